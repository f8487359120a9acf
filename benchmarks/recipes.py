"""Trains shipped recipes with several seeds and writes what they reach to benchmarks/results.

    python benchmarks/recipes.py frappe_dlrm frappe_deepfm --seeds 0 1 2

One file a recipe: all settings, and for each seed the metrics, the log, the machine, the versions,
the commit and the checksums of the data. Seeds that are there are replaced, others stay. Afterwards
`python scripts/figures.py` writes the tables of README and docs/recipes.md anew.
"""

import argparse
import csv
import json
import pathlib
import sys
import tempfile

from tfrec_models._files import atomic_path
from tfrec_models.recipes import Recipe, find_recipe, train

RESULTS = pathlib.Path(__file__).with_name("results") / "recipes"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipes", nargs="+", help="names of shipped recipes, or files")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    for name in options.recipes:
        recipe = Recipe.load(find_recipe(name)).override(options.set)
        for seed in options.seeds:
            with tempfile.TemporaryDirectory() as folder:
                out = pathlib.Path(folder, "run")
                train(recipe.override([f"seed={seed}"]), out)
                record(out, RESULTS / f"{recipe.name}.json")
            print(f"{recipe.name}, seed {seed}: written to {RESULTS}", file=sys.stderr)


def record(run, path):
    """Adds a finished run to the results of its recipe; another run of its seed is replaced."""
    settings = Recipe.load(run / "recipe.yaml").to_dict()
    seed = settings.pop("seed")
    environment = json.loads((run / "environment.json").read_text())
    with open(run / "log.csv", encoding="utf-8") as file:
        log = [
            # Without validation rows their columns have NA.
            {key: float(value) for key, value in row.items() if value != "NA"}
            for row in csv.DictReader(file)
        ]
    result = {
        "seed": seed,
        "metrics": json.loads((run / "metrics.json").read_text()),
        **{key: environment[key] for key in ("machine", "cores", "versions", "commit", "data")},
        "log": log,
    }
    runs = []
    if path.exists():
        there = json.loads(path.read_text())
        # Runs with other settings are those of another recipe.
        runs = there["runs"] if there["recipe"] == settings else []
    runs = sorted(
        [*(other for other in runs if other["seed"] != seed), result], key=lambda r: r["seed"]
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({"recipe": settings, "runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
