"""`python -m tfrec_models`: trains, evaluates, exports and describes by recipes."""

import argparse
import importlib
import json
import re
import sys

import tensorflow as tf
import yaml

from tfrec_models.recipes import Recipe, describe, evaluate, find_recipe, train
from tfrec_models.recipes.effective import effective
from tfrec_models.recipes.evaluate import load_run
from tfrec_models.recipes.run_directory import RunDirectory


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tfrec_models",
        description="Trains, evaluates, exports and describes rankers by recipes.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for add in (_add_train, _add_evaluate, _add_export, _add_describe, _add_report):
        add(commands)
    chosen = parser.parse_args(arguments)
    try:
        return chosen.run(chosen)
    except (ValueError, TypeError, OSError, RuntimeError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
    except tf.errors.OpError as error:
        print(f"error: {_sentence(error)}", file=sys.stderr)
    return 1


def _sentence(error):
    """What an error of a graph says, without where in the graph it was raised."""
    text = error.message
    # Of the reader's Python, and of assertions.
    if found := re.search(r"(?:Row|Value|Type|OS|FileNotFound)Error: (.+)", text):
        return found[1]
    if found := re.search(r"assertion failed: (.+)", text):
        return re.sub(r"[\[\]\\]", "", found[1])
    return text


def _add_recipe(command):
    command.add_argument("recipe", help="a recipe's file, or the name of a shipped one")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another value, such as tables.dim=32; as often as wanted",
    )


def _recipe(chosen):
    path = find_recipe(chosen.recipe)
    if str(path) != chosen.recipe:
        print(f"{chosen.recipe} is not a file; using the shipped recipe {path.stem}.")
    return Recipe.load(path).override(chosen.set)


def _add_train(commands):
    command = commands.add_parser(
        "train",
        help="train a recipe",
        description="Trains a recipe and writes model, log, metrics, predictions and every "
        "setting to a folder.",
    )
    _add_recipe(command)
    command.add_argument("--out", required=True, help="the folder of the run")
    command.add_argument("--overwrite", action="store_true", help="remove a run that is there")
    command.add_argument("--resume", action="store_true", help="continue with an interrupted run")
    command.add_argument("--quiet", action="store_true", help="show no progress")
    command.set_defaults(run=_train)


def _train(chosen):
    recipe = effective(_recipe(chosen))
    if not chosen.quiet:
        print(yaml.dump(recipe.to_dict(), sort_keys=False).rstrip())
    metrics = train(
        recipe,
        chosen.out,
        overwrite=chosen.overwrite,
        resume=chosen.resume,
        progress=not chosen.quiet,
    )
    for part in ("validation", "test"):
        if part in metrics:
            print(f"{part}: {_numbers(metrics[part])}")
    if recipe.published:
        print(f"published: {_numbers(recipe.published)}")
    print(f"{chosen.out}: {metrics['epochs']} epochs in {metrics['seconds']} s")
    return 0


def _numbers(metrics):
    return "  ".join(f"{name} {value:.5f}" for name, value in metrics.items())


def _add_evaluate(commands):
    command = commands.add_parser(
        "evaluate", help="evaluate a run's model", description="Evaluates the model of a run."
    )
    command.add_argument("run_folder", metavar="RUN", help="the folder of a finished run")
    command.add_argument("data", nargs="*", help="files to evaluate; else the recipe's test files")
    command.set_defaults(run=_evaluate)


def _evaluate(chosen):
    print(json.dumps(evaluate(chosen.run_folder, chosen.data or None), indent=1))
    return 0


def _add_export(commands):
    command = commands.add_parser(
        "export",
        help="export a run's model for serving",
        description="Writes the model of a run as a SavedModel for TensorFlow Serving, which takes "
        "ids and the log's own columns.",
    )
    command.add_argument("run_folder", metavar="RUN", help="the folder of a finished run")
    command.add_argument("--out", required=True, help="the folder of all versions")
    command.add_argument("--version", type=int, help="else the next free number")
    command.add_argument("--table-dtype", help="int8, float16 or bfloat16; else as trained")
    command.set_defaults(run=_export)


def _export(chosen):
    from tfrec_models.serving import export

    model, schema = load_run(RunDirectory.open(chosen.run_folder))
    path = export(
        model,
        chosen.out,
        version=chosen.version,
        table_dtype=chosen.table_dtype,
        schema=schema,
    )
    print(path)
    return 0


def _add_describe(commands):
    command = commands.add_parser(
        "describe",
        help="show the size and cost of a recipe's model",
        description="Shows parameters, memory, operations and bytes an example of a recipe's "
        "model, without making its tables.",
    )
    _add_recipe(command)
    command.set_defaults(run=_describe)


def _describe(chosen):
    print(describe(_recipe(chosen)))
    return 0


def _add_report(commands):
    command = commands.add_parser(
        "report",
        help="write a page about a run, or about two",
        description="Writes a page with the curves, tables and settings of a run.",
    )
    command.add_argument("run_folder", metavar="RUN", help="the folder of a finished run")
    command.add_argument("other", nargs="?", metavar="OTHER_RUN", help="one to compare it with")
    command.add_argument("--out", help="the folder to write to; else the run's")
    command.set_defaults(run=_report)


def _report(chosen):
    # Its plots need matplotlib, which training does not.
    report = importlib.import_module("tfrec_models.report")
    print(report.write_report(chosen.run_folder, other=chosen.other, out=chosen.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
