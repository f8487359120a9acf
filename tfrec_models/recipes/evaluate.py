"""Evaluates a run's model on rows of any files."""

import os
from typing import Any

import keras

from tfrec_models.datasets.schema import Schema
from tfrec_models.recipes.build_data import build_data
from tfrec_models.recipes.recipe import Recipe
from tfrec_models.recipes.run_directory import RunDirectory
from tfrec_models.recipes.scores import with_log_loss


def evaluate(out: str | os.PathLike, data: str | list[str] | None = None) -> dict[str, float]:
    """What the model of a finished run reaches.

    Args:
        out: path of the run's folder.
        data: files to evaluate, read as the recipe reads its own; None for its test files.

    Returns:
        dict of "log_loss", "auc", "normalized_entropy" and "calibration".

    Raises:
        FileNotFoundError: if the folder holds no finished run, or the files are not there.
        ValueError: if there are no files to evaluate, or they do not fit the schema.
    """
    run = RunDirectory.open(out)
    recipe = Recipe.load(run.recipe)
    model, schema = load_run(run)
    if data is not None:
        config: dict[str, Any] = recipe.to_dict()
        config["data"]["test"] = data
        recipe = Recipe.from_dict(config)
    dataset = build_data(recipe, schema, "test")
    if dataset is None:
        raise ValueError("The recipe has no test files; name the files to evaluate.")
    return with_log_loss(model.evaluate(dataset, return_dict=True, verbose=0))


def load_run(run: RunDirectory) -> tuple[Any, Schema]:
    """The model and the schema of a finished run."""
    return keras.models.load_model(run.model), Schema.load(run.schema)
