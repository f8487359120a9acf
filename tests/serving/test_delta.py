"""Deltas: what they hold, that they make a full export, and what is refused."""

import json
import os
import shutil
import zipfile

import numpy as np
import pytest

from tests.support.exports import ask
from tests.support.serving import DENSE, FAMILIES, batch
from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig
from tfrec_models.serving import apply_delta, delta_file, export, export_delta
from tfrec_models.serving.__main__ import main

ROWS, DIM = 5000, 16


class Versions:
    """A version, the same model trained on a few rows as a full version, and the delta."""

    def __init__(self, folder):
        tables = [EmbeddingBagConfig(ROWS, DIM, name, feature_names=[name]) for name in ("a", "b")]
        self.model = DLRM(EmbeddingBagCollection(tables), DENSE, [DIM], [8, 1])
        self.folder = folder
        self.base = export(self.model, folder / "models")
        self.change([7, 8, 4000])
        self.model.over_arch.mlp.perceptrons[0].linear.bias.assign_add(np.ones(8))
        self.delta = export_delta(self.model, self.base, folder / "delta")
        self.full = export(self.model, folder / "models")

    def change(self, rows):
        """Adds one to some rows of a table."""
        values = self.model.embedding_bag_collection.read_table("b").numpy()
        values[rows] += 1
        self.model.embedding_bag_collection.write_table("b", values)


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """Written once."""
    return Versions(tmp_path_factory.mktemp("versions"))


def variables_of(version):
    """The bytes of the files with variables."""
    return {file.name: file.read_bytes() for file in (version / "variables").iterdir()}


def test_makes_the_full_export(versions, tmp_path, capsys):
    """Variables byte for byte and answers; by the command as well; the base stays as it was."""
    before = delta_file.digests_of(versions.base)
    out = apply_delta(versions.base, versions.delta, tmp_path / "2")
    assert variables_of(out) == variables_of(versions.full) != variables_of(versions.base)
    inputs = batch(4)
    inputs["sparse_features"] = {
        name: inputs["sparse_features"]["f1"] * 0 + row for name, row in (("a", 1), ("b", 4000))
    }
    np.testing.assert_array_equal(ask(out, inputs), ask(versions.full, inputs))
    assert delta_file.digests_of(versions.base) == before
    paths = [str(path) for path in (versions.base, versions.delta, tmp_path / "3")]
    assert main(["apply", *paths]) == 0 and capsys.readouterr().out.strip() == paths[2]
    assert variables_of(tmp_path / "3") == variables_of(out)
    assert main(["apply", *paths]) == 1
    assert "error: " in (text := capsys.readouterr().err) and "3 is there already" in text
    # A second delta on the result of the first.
    versions.change([4999])
    second = export_delta(versions.model, out, tmp_path / "second")
    latest = export(versions.model, tmp_path / "latest")
    assert variables_of(apply_delta(out, second, tmp_path / "4")) == variables_of(latest)


def test_holds_the_changed_rows_alone(versions):
    """Three rows of a table of 5,000 and the dense weights; a row may lie in two blocks."""
    with zipfile.ZipFile(versions.delta) as archive:
        blocks = len(archive.read(f"blocks/{delta_file.VARIABLES}")) // delta_file.BLOCK_BYTES
    assert 3 <= blocks <= 2 * 3 + 2
    size = (versions.base / delta_file.VARIABLES).stat().st_size
    assert size > 2 * ROWS * DIM * 4 > 10 * os.path.getsize(versions.delta) / 4


def test_a_killed_apply_leaves_nothing_to_serve(versions, tmp_path, monkeypatch):
    """The process ends in the middle: no version appears, and the next apply makes it."""
    out = tmp_path / "2"
    child = os.fork()
    if not child:
        monkeypatch.setattr(delta_file.DeltaFile, "_write_runs", lambda *_: os._exit(9))
        apply_delta(versions.base, versions.delta, out)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert not out.exists()
    assert [path.name[:10] for path in tmp_path.iterdir()] == ["exporting-"]
    apply_delta(versions.base, versions.delta, out)
    assert variables_of(out) == variables_of(versions.full)


def test_deltas_that_do_not_fit(versions, tmp_path):
    """Another base, twice, cut off, damaged, no delta, a path outside; nothing is written."""
    applied = apply_delta(versions.base, versions.delta, tmp_path / "applied")
    other = shutil.copytree(versions.base, tmp_path / "other")
    (other / "fingerprint.pb").write_bytes(b"other")
    data = versions.delta.read_bytes()
    with zipfile.ZipFile(versions.delta) as archive:
        offset = archive.getinfo(name := f"blocks/{delta_file.VARIABLES}").header_offset
        manifest = json.loads(archive.read("manifest.json"))
    damaged = bytearray(data)
    # Behind the header, which is shorter than twice the name and 100.
    damaged[offset + 100 + 2 * len(name)] ^= 1
    with zipfile.ZipFile(tmp_path / "outside", "w") as archive:
        manifest["result"]["../evil"] = ""
        archive.writestr("manifest.json", json.dumps(manifest))
    for name, content in (("cut", data[:-40]), ("damaged", damaged), ("text", b"rows")):
        (tmp_path / name).write_bytes(content)
    before = sorted(tmp_path.iterdir())
    for base, delta, text in (
        (other, versions.delta, r"made on another version than .*\['fingerprint.pb'\] differ. App"),
        (applied, versions.delta, "has the changes of .*delta already. Serve it as it is"),
        (versions.base, tmp_path / "cut", "cut must be a delta .* wrote, whole: File is not a zip"),
        (versions.base, tmp_path / "damaged", "damaged is damaged: Bad CRC-32 .*Copy or write it"),
        (
            versions.base,
            tmp_path / "text",
            "must be a delta that tfrec_models.serving.exp",
        ),
        (versions.base, tmp_path / "outside", r"names files outside of a version, \['../evil'\]"),
    ):
        with pytest.raises(ValueError, match=text):
            apply_delta(base, delta, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="base must be the directory of a version"):
        apply_delta(tmp_path / "none", versions.delta, tmp_path / "out")
    with pytest.raises(ValueError, match="base must be an export of the same model with the same"):
        export_delta(FAMILIES["dlrm"](), versions.base, tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before
