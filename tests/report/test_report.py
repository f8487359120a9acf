"""The page of a run, of two runs, and of what an interrupted run left."""

import importlib
import json
import re
import shutil
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.support.html_page import HtmlPage
from tfrec_models import DLRM
from tfrec_models.datasets import Dense, Schema, Sparse
from tfrec_models.report import write_report
from tfrec_models.report._run import FILES

SECTIONS = {
    "metrics",
    "learning_curves",
    "ranking",
    "calibration",
    "tables",
    "ids",
    "importance",
    "settings",
    "data",
    "versions_and_machine",
}
# Neither HTML nor a formula of matplotlib.
NAME = "<b>&$x_1$"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two finished runs of 300 test rows."""
    folder, rng = tmp_path_factory.mktemp("runs"), np.random.default_rng(0)
    table = pa.table(
        {
            "y": rng.integers(0, 2, 300),
            "x": rng.normal(size=300),
            NAME: rng.integers(0, 9, 300),
            "list": [rng.integers(0, 5, k).tolist() for k in rng.integers(0, 4, 300)],
        }
    )
    pq.write_table(table, folder / "test.parquet")
    sparse = [Sparse(NAME, ids="vocabulary"), Sparse("list", ids="integer", num_ids=5)]
    schema = Schema("y", [Dense("x")], sparse)
    schema.fit(table, progress=False)
    model = DLRM(schema.collection(4), 1, [4], [4, 1])
    model.build()
    labels = table["y"].to_numpy().astype(float)
    for number, name in enumerate(("first", "second")):
        run = folder / name
        run.mkdir()
        recipe = {
            "description": "A <small> run.",
            "published": {"auc": 0.625},
            "data": {"test": str(folder / "test.parquet")},
            "tables": {"dim": 4},
            "optimizer": {"learning_rate": [0.1, 0.2][number]},
            "model": {"layers": [4, 1], "dropout": None},
        }
        (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        metrics = {
            "test": {"auc": 0.5 + number / 4, "log_loss": 0.25},
            "seconds": 61.4,
            "epochs": 2,
            "best_epoch": 1,
        }
        (run / "metrics.json").write_text(json.dumps(metrics))
        (run / "log.csv").write_text(
            "epoch,auc,learning_rate,val_auc\n0,0.5,0.1,0.6\n1,0.7,0.1,NA\n"
        )
        scores = np.clip(0.3 + 0.4 * labels + (0.2 + number) * rng.normal(size=300), 0, 1)
        np.savez(run / "predictions.npz", label=labels, score=scores[:, None])
        environment = {"cores": 2, "data": {"test": [{"path": "test.parquet", "sha256": "ab12"}]}}
        (run / "environment.json").write_text(json.dumps(environment))
        schema.save(run / "schema.yaml")
        model.save(run / "model.keras")
    return folder


def read_page(path):
    """The text of a page that is whole, and its parser."""
    text = path.read_text()
    page = HtmlPage(text)
    assert page.open == []
    assert page.ids.keys() >= SECTIONS
    assert max(page.ids.values()) == 1
    return text, page


def references(text):
    """Places of the page that it refers to."""
    return set(re.findall(r'(?:href="|url\()#([^")]+)', text))


def test_the_page_of_a_run_is_whole_and_needs_nothing_else(runs, tmp_path):
    """Each section and plot, names escaped, no address of anything outside, colors by theme."""
    path = write_report(runs / "first", out=tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "report.html"
    text, page = read_page(path)
    assert not re.search(r'src=|https?:|//|@import|<script|url\((?!#)|href="(?!#)', text)
    assert references(text) <= page.ids.keys()
    plots = "learning_auc learning_learning_rate roc precision_recall calibration scores tables ids"
    plots = {*plots.split(), "empty_bags", "importance"}
    assert {file.stem for file in path.parent.glob("*.png")} == plots
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in path.parent.glob("*.png"))
    assert page.tags["svg"] == len(plots)
    assert "prefers-color-scheme: dark" in text
    drawn = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert "var(--first)" in drawn and "var(--ink)" in drawn
    assert "#1864ab" not in drawn
    for shown in (NAME, "A <small> run.", "2 epochs in 1 min 1 s, with the weights of epoch 1"):
        assert shown in page.text
    for shown in ("0.625", "Test AUC of first: ", "optimizer.learning_rate", "ab12", "300 test"):
        assert shown in page.text
    assert 'class="note"' not in text
    assert not re.search(r"\bnan\b", page.text)


def test_two_runs_beside_each_other(runs, tmp_path):
    """Metrics with their difference, marked settings, the error of the areas' difference."""
    text, page = read_page(write_report(runs / "first", runs / "second", tmp_path))
    assert re.search(r"test auc\s*0\.5\s*0\.75\s*-0\.25000", re.sub("<[^>]+>", " ", text))
    marked = re.findall(r'<tr class="marked">(.*?)</tr>', text)
    assert [re.findall("<td>(.*?)</td>", line) for line in marked] == [
        ["optimizer.learning_<wbr>rate", "0.1", "0.2"]
    ]
    assert re.search(r"first minus second: \+0\.\d{5} ± 0\.\d{5}, one standard error", page.text)
    drawn = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert sum("var(--second)" in svg for svg in drawn) == 10
    assert {"ids.png", "ids_2.png"} <= {file.name for file in tmp_path.iterdir()}
    assert not (runs / "first" / "report").exists()


def test_what_is_missing_is_named(runs, tmp_path):
    """Of a run that has a recipe alone, every file; each section is there."""
    shutil.copy(runs / "first" / "recipe.yaml", tmp_path)
    text, page = read_page(write_report(tmp_path))
    for file in FILES:
        assert f"{file} is missing, and with it " in page.text
    assert page.tags["svg"] == 0
    for told in ("No epoch is", "No predictions", "not measured", "No checksums"):
        assert told in page.text
    # Beside a whole one, plots have the color of their run.
    text, page = read_page(write_report(tmp_path, runs / "second", tmp_path / "both"))
    drawn = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert all("var(--second)" in svg and "var(--first)" not in svg for svg in drawn)


def test_parts_that_cannot_be_shown_are_told(runs, tmp_path):
    """Test data that is gone, a log without an epoch, scores that are no probabilities."""
    run = tmp_path / "run"
    shutil.copytree(runs / "first", run, ignore=shutil.ignore_patterns("model.keras"))
    (run / "recipe.yaml").write_text("data: {test: nowhere.parquet}")
    (run / "log.csv").write_text("epoch,auc\n")
    for labels, scores, told in (
        ([0, 1], [0.5, np.nan], "1 scores that are no probabilities, nan the first"),
        ([0, 0], [0.5, 0.25], "must have labels of 0 and of 1, received [0.0]"),
        ([0, 1], [[0.5, 0.5], [0, 1]], "scores of (2, 2); curves are drawn of one score a row"),
    ):
        np.savez(run / "predictions.npz", label=labels, score=scores)
        _, page = read_page(write_report(run))
        assert told in page.text
    for told in ("nowhere.parquet", "log.csv has no epoch yet", "model.keras is missing"):
        assert told in page.text
    # Without a model, the schema tells the tables.
    assert "list" in page.text


def test_test_files_that_have_changed_are_told(runs, tmp_path):
    """Ids and importance are of the files that are there now."""
    run = tmp_path / "run"
    shutil.copytree(runs / "first", run)
    size = (runs / "test.parquet").stat().st_size
    for recorded, is_told in ((size, False), (size - 1, True)):
        files = {"test": [{"path": "test.parquet", "bytes": recorded, "sha256": "ab12"}]}
        (run / "environment.json").write_text(json.dumps({"data": files}))
        _, page = read_page(write_report(run))
        told = "The test files have changed since the run (test.parquet): ids and importance are of"
        assert (told in page.text) == is_told


@pytest.mark.parametrize("file", ["metrics.json", "log.csv", "model.keras", "predictions.npz"])
def test_a_file_that_cannot_be_read_is_named(runs, tmp_path, file):
    """Cut off or of something else: an error that says what to do."""
    shutil.copy(runs / "first" / "recipe.yaml", tmp_path)
    (tmp_path / file).write_text("a\nb")
    with pytest.raises(ValueError, match=rf"{file} cannot be read \(.*remove it to leave it out"):
        write_report(tmp_path)
    assert not (tmp_path / "report").exists()


def test_a_folder_that_is_no_run(tmp_path):
    """Named, with what a run has."""
    with pytest.raises(FileNotFoundError, match="must have a recipe.yaml, and .* has none"):
        write_report(tmp_path)


def test_without_matplotlib(runs, monkeypatch):
    """One sentence says what to install."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in list(sys.modules):
        if name.startswith("tfrec_models.report._"):
            monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'tfrec_models\[report\]'\."):
        write_report(runs / "first")
    monkeypatch.undo()
    importlib.import_module("tfrec_models.report._page")
