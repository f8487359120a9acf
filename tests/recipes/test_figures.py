"""The numbers of README and the documentation are those of the files of results."""

import importlib.util
import json
import pathlib

import pytest

from tfrec_models.recipes import Recipe

ROOT = pathlib.Path(__file__).parents[2]
RESULTS = sorted((ROOT / "benchmarks" / "results" / "recipes").glob("*.json"))


@pytest.fixture(scope="module")
def figures():
    """The module of scripts/figures.py."""
    spec = importlib.util.spec_from_file_location("figures", ROOT / "scripts" / "figures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_are_what_the_script_writes(figures):
    """After new results: python scripts/figures.py."""
    for page in figures.PAGES:
        text = (ROOT / page).read_text()
        assert figures.written(text) == text, f"{page}: run python scripts/figures.py"


def test_a_row_by_hand(figures):
    """Means and deviations over seeds, the published numbers beside them."""

    def run(auc, log_loss, seconds):
        metrics = {
            "test": {"auc": auc, "log_loss": log_loss},
            "seconds": seconds,
            "epochs": 11,
        }
        return {"metrics": metrics, "machine": "Abacus", "cores": 2}

    result = {
        "recipe": {"name": "tiny", "published": {"auc": 0.5}, "tables": {"dim": 4}},
        "runs": [run(0.51, 0.3, 60), run(0.53, 0.5, 120)],
    }
    expected = "| `tiny` | 4 | 2 | 0.5200 ± 0.0141 | 0.5000 | 0.4000 ± 0.1414 |  | 11 | 1.5 |"
    assert figures.row(result) == f"{expected} Abacus, 2 cores |"
    with pytest.raises(ValueError, match="must have the lines <!-- results: begin -->"):
        figures.written("no table")


def test_headline_by_hand(figures, tmp_path, monkeypatch):
    """Each of README's three figures is one number of one file, and the machine is named."""
    folder = tmp_path / "benchmarks" / "results"
    folder.mkdir(parents=True)
    results = {
        "torchrec": {"machine": "Abacus", "ratio": 1.234},
        "stock_keras": {"machine": "Abacus", "ratio": 21.06},
        "auc": {"machine": "Slide rule", "auc": 0.71234, "best": 0.8},
    }
    (folder / "headline.json").write_text(json.dumps(results))
    monkeypatch.setattr(figures, "ROOT", tmp_path)
    first, second, third, _, where = figures.headline_list().splitlines()
    assert first.endswith(": 1.23")
    assert second.endswith(": 21.1")
    assert third.endswith(": 0.712 of 0.800")
    assert "Abacus and Slide rule" in where


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_hold_a_whole_recipe(path):
    """Settings that make a recipe, and checksums of the data of every run."""
    result = json.loads(path.read_text())
    assert Recipe.from_dict(result["recipe"]).name == path.stem
    for run in result["runs"]:
        assert all(len(file["sha256"]) == 64 for files in run["data"].values() for file in files)
