"""Recipes that come with the package, on small files of the form that they name."""

import pathlib
import runpy
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec_models.datasets.schema import Schema
from tfrec_models.recipes import Recipe, find_recipe, shipped_recipes, train

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def criteo(tmp_path_factory):
    """A folder with 70 rows of Criteo's text, cut by the example."""
    folder = tmp_path_factory.mktemp("criteo")
    rng = np.random.default_rng(0)
    lines = []
    for row in range(70):
        counts = rng.integers(0, 9, 13)
        ids = [f"{number:08x}" for number in rng.integers(0, 5, 26)]
        # Some fields of the log are empty.
        counts = ["" if number == 8 else str(number) for number in counts]
        lines.append("\t".join([str(row % 2), *counts, *ids]))
    (folder / "all.txt").write_text("\n".join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["split", str(folder / "all.txt"), "--out", str(folder)])
        runpy.run_path(str(ROOT / "examples" / "criteo_kaggle_split.py"), run_name="__main__")
    return folder


def test_criteo_is_cut_by_day(criteo):
    """Six of seven days, then halves of the seventh; no row is lost."""
    parts = [(criteo / f"{part}.txt").read_text() for part in ("train", "validation", "test")]
    assert [part.count("\n") for part in parts] == [60, 5, 5]
    assert "".join(parts) == (criteo / "all.txt").read_text()


@pytest.mark.parametrize("name", ["criteo_kaggle_dlrm", "deeprec_dlrm"])
def test_recipes_of_criteo(criteo, tmp_path, name):
    """They train with their own layers, and measure both halves of the last day."""
    files = [f"data.{part}={criteo / part}.txt" for part in ("train", "validation", "test")]
    metrics = train(
        Recipe.load(find_recipe(name)).override(files), tmp_path / "run", progress=False
    )
    assert metrics["epochs"] == 1
    for part in ("train", "validation", "test"):
        assert 0.1 < metrics[part]["log_loss"] < 3


def test_a_scaled_run_of_mlperf(tmp_path):
    """Its own layers and lists over tables of at most 50 rows."""
    recipe = Recipe.load(find_recipe("mlperf_dlrm_dcnv2"))
    config = recipe.to_dict()
    rng = np.random.default_rng(0)
    columns = {"label": [0, 1] * 8}
    columns |= {f"int_{i}": rng.uniform(size=16) for i in range(13)}
    for column in config["data"]["schema"]["sparse"]:
        column["num_ids"] = min(column["num_ids"], 50)
        lists = rng.integers(0, column["num_ids"], (16, column["max_length"]))
        columns[column["name"]] = pa.array(list(lists), pa.list_(pa.int64()))
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table(columns), path)
    config["data"] |= {"train": str(path), "validation": str(path), "batch_size": 8}
    metrics = train(Recipe.from_dict(config), tmp_path / "run", progress=False)
    assert metrics["epochs"] == 1 and np.isfinite(metrics["validation"]["log_loss"])
    assert Schema.load(tmp_path / "run" / "schema.yaml").num_dense == 13


@pytest.mark.parametrize("name", sorted(set(shipped_recipes()) - {"mlperf_dlrm_dcnv2"}))
def test_every_recipe_reads_as_it_was_written(name):
    """All have a name of their own, and their values survive a round trip."""
    recipe = Recipe.load(find_recipe(name))
    assert recipe.name == name and Recipe.from_dict(recipe.to_dict()) == recipe
