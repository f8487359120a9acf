"""How close each family comes to the best reachable AUC of the generated log.

    python benchmarks/families.py --machine "AMD EPYC, 2 cores" [DLRM DeepFMRanker ...]

The labels of `ClickLog` are drawn from known probabilities, so no model ranks its test rows better
than these do. Each family trains by a recipe that differs in the sizes of its layers alone. Its
AUC on the test rows, that of the probabilities on the same rows, and its calibration are written to
benchmarks/results/families.json; families that are not trained again stay.
"""

import argparse
import json
import pathlib
import sys
import tempfile

from tfrec_models._files import atomic_path
from tfrec_models.datasets import ClickLog
from tfrec_models.metrics import auc
from tfrec_models.recipes import Recipe, train

RESULTS = pathlib.Path(__file__).with_name("results") / "families.json"
RECORDED = ("model", "tables", "optimizer", "schedule", "training")
DIM, BATCH, EPOCHS = 16, 1024, 2
ENDS = {"dense_arch_layer_sizes": [64, DIM], "over_arch_layer_sizes": [64, 32, 1]}
FAMILIES = {
    "DLRM": ENDS,
    "DLRM_DCN": {**ENDS, "dcn_num_layers": 3, "dcn_low_rank_dim": 64},
    "DLRM_Projection": {
        **ENDS,
        "interaction_branch1_layer_sizes": [8 * DIM],
        "interaction_branch2_layer_sizes": [8 * DIM],
    },
    "DeepFMRanker": {"deep_layer_sizes": [64, 32]},
    "SimpleDeepFMNN": {"hidden_layer_size": 64, "deep_fm_dimension": 128},
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=", ".join(FAMILIES))
    parser.add_argument("--machine", required=True, help="what the figures were measured on")
    parser.add_argument("--rows", type=int, default=1_000_000, help="for training")
    options = parser.parse_args()
    names = options.families or list(FAMILIES)
    if unknown := set(names) - set(FAMILIES):
        parser.error(f"there is no family {sorted(unknown)}; there are {list(FAMILIES)}")
    log = ClickLog(num_train=options.rows, num_validation=0)
    best = auc(log.labels("test"), log.probabilities("test"))
    with tempfile.TemporaryDirectory() as folder:
        log.write(folder)
        for name in names:
            recipe = recipe_of(name, folder, options.rows)
            settings = recipe.to_dict()
            metrics = train(recipe, pathlib.Path(folder, name))
            result = {
                "recipe": {key: settings[key] for key in RECORDED},
                "rows": options.rows,
                "machine": options.machine,
                "best_auc": best,
                "test": metrics["test"],
                "seconds": metrics["seconds"],
            }
            record(name, result)
            print(f"{name}: {metrics['test']}, best AUC {best:.4f}", file=sys.stderr)


def recipe_of(name, folder, rows):
    """The recipe of a family over a log that was written to a folder."""
    optimizer = {"learning_rate": 0.004}
    return Recipe.from_dict(
        {
            "name": name,
            "data": {
                "schema": f"{folder}/schema.yaml",
                "train": f"{folder}/train.parquet",
                "test": f"{folder}/test.parquet",
                "batch_size": BATCH,
            },
            "model": {"kind": name, **FAMILIES[name]},
            "tables": {"dim": DIM},
            "optimizer": {
                "tables": {"name": "LazyAdam", **optimizer},
                "dense": {"name": "Adam", **optimizer},
            },
            # To zero: at a constant rate rare ids keep learning noise.
            "schedule": {"decay_steps": EPOCHS * -(-rows // BATCH)},
            "training": {"epochs": EPOCHS},
        }
    )


def record(name, result):
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[name] = result
    with atomic_path(RESULTS) as temporary:
        temporary.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
