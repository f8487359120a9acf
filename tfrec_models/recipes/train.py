"""Trains a recipe."""

import csv
import json
import os
import time
from typing import Any

import keras
import numpy as np

from tfrec_models._files import atomic_path
from tfrec_models.recipes._callbacks import callbacks_of, is_terminal
from tfrec_models.recipes._environment import environment_of
from tfrec_models.recipes._section import flat
from tfrec_models.recipes.build_data import PARTS, build_data
from tfrec_models.recipes.build_model import build_model
from tfrec_models.recipes.build_schema import build_schema
from tfrec_models.recipes.effective import effective
from tfrec_models.recipes.evaluate import load_run
from tfrec_models.recipes.recipe import Recipe
from tfrec_models.recipes.run_directory import RunDirectory
from tfrec_models.recipes.scores import scores_of, with_log_loss


def train(
    recipe: Recipe,
    out: str | os.PathLike,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Trains a recipe and writes what it reaches to a folder.

    `model.fit` trains; Keras's callbacks end it early, reduce learning rates, and keep what an
    interrupted run continues from, at the epoch after its last. A run that ended between training
    and its last number is resumed with its model. On a terminal there is Keras's bar
    with time left and metrics; elsewhere one plain line an epoch. The same recipe on the same
    machine gives the same weights to the bit.

    Args:
        recipe: `Recipe`.
        out: path of the run's folder; see `RunDirectory` for what is in it.
        overwrite: bool, whether to remove a run that is there.
        resume: bool, whether to continue with a run of this recipe that was interrupted there.
        progress: bool, whether to show progress.

    Returns:
        dict: "train", "validation" and "test", each a dict of "log_loss", "auc",
        "normalized_entropy" and "calibration"; "seconds" that `fit` took; "epochs" that were run
        and "best_epoch", whose weights the model has, both counted from 1. The numbers of "train"
        are those that were logged in that epoch.

    Raises:
        FileExistsError: if the folder holds a run, and neither `overwrite` nor `resume` is given.
        FileNotFoundError: if files of the data are not there, or nothing to resume.
        ValueError: if the recipe, its schema and the data do not fit, the interrupted run has
            another recipe, or the loss is no longer a number.

    Example:

    >>> import os, tempfile
    >>> import numpy as np
    >>> import pyarrow as pa
    >>> import pyarrow.parquet as pq
    >>> from tfrec_models.recipes import Recipe, train
    >>> folder = tempfile.mkdtemp()
    >>> items = np.arange(200) % 4
    >>> log = pa.table({"y": (items > 1).astype("int8"), "item": items.astype(str)})
    >>> pq.write_table(log, os.path.join(folder, "log.parquet"))
    >>> recipe = Recipe.from_dict({
    ...     "data": {
    ...         "train": os.path.join(folder, "log.parquet"),
    ...         "test": os.path.join(folder, "log.parquet"),
    ...         "schema": {"label": "y", "sparse": [{"name": "item", "ids": "vocabulary"}]},
    ...         "batch_size": 50,
    ...     },
    ...     "tables": {"dim": 4},
    ...     "model": {"interaction": "concat", "over_arch_layer_sizes": [8, 1]},
    ...     "optimizer": {"dense": {"learning_rate": 0.05}, "tables": {"learning_rate": 0.05}},
    ...     "training": {"epochs": 4},
    ... })
    >>> metrics = train(recipe, os.path.join(folder, "run"), progress=False)
    >>> metrics["test"]["auc"]
    1.0
    """
    run = RunDirectory.start(out, overwrite, resume)
    recipe = effective(recipe)
    if resume:
        _check_same(effective(Recipe.load(run.recipe)), recipe, run)
    keras.utils.set_random_seed(recipe.seed)
    schema = build_schema(recipe, progress)
    datasets: dict[str, Any] = {part: build_data(recipe, schema, part) for part in PARTS}
    if datasets["train"] is None:
        raise ValueError("data.train must name the training rows, received null.")
    # How many there are is known of Parquet.
    if int(datasets["train"].cardinality()) == 0:
        raise ValueError(f"data.train must have rows, received {recipe.data.train!r} without any.")
    if resume and run.model.exists():
        model, _ = load_run(run)
        return _measure(recipe, run, model, datasets)
    model = build_model(recipe, schema)
    model.build()
    if not resume:
        run.clear()
    recipe.save(run.recipe)
    schema.save(run.schema)
    environment = environment_of(recipe)
    run.write_json(run.environment, environment)
    callbacks = callbacks_of(recipe, run, resume, progress and not is_terminal())
    start = time.monotonic()
    history = model.fit(
        datasets["train"],
        epochs=recipe.training.epochs,
        steps_per_epoch=recipe.data.steps_per_epoch,
        validation_data=datasets["validation"],
        callbacks=callbacks,
        verbose=1 if progress and is_terminal() else 0,
        # The rows are shuffled as they are read; with its default Keras warns that it does not.
        shuffle=False,
    )
    seconds = time.monotonic() - start
    _check_finite(history)
    stopping = [each for each in callbacks if isinstance(each, keras.callbacks.EarlyStopping)]
    last = recipe.training.epochs - 1
    best = stopping[0].best_epoch if stopping and history.epoch else [last, *history.epoch][-1]
    fit = {"seconds": round(seconds, 1), "best_epoch": int(best) + 1}
    run.write_json(run.environment, {**environment, "fit": fit})
    with atomic_path(run.model) as temporary:
        model.save(temporary)
    return _measure(recipe, run, model, datasets)


def _check_same(interrupted, recipe, run):
    """Raises ValueError where an interrupted run has other settings."""
    there, given = flat(interrupted), flat(recipe)
    others = [key for key in given if given[key] != there[key]]
    if others:
        differences = ", ".join(f"{key}={there[key]!r}" for key in others)
        raise ValueError(
            f"{run.path} holds a run with {differences}, received "
            f"{', '.join(f'{key}={given[key]!r}' for key in others)}; resume it with its own "
            f"recipe, {run.recipe}, or train elsewhere."
        )


def _check_finite(history):
    # A run that was interrupted after its last epoch has none left.
    loss = history.history.get("loss", [0.0])[-1]
    if not np.isfinite(loss):
        raise ValueError(
            f"Training ended in epoch {history.epoch[-1] + 1} with a loss of {loss}; lower "
            "the learning rates of optimizer.tables and optimizer.dense, or set "
            "optimizer.global_clipnorm."
        )


def _measure(recipe, run, model, datasets):
    """Evaluates the model of a run, and writes what it reaches."""
    fit = json.loads(run.environment.read_text())["fit"]
    metrics = _logged(run, fit["best_epoch"])
    for part in ("validation", "test"):
        if datasets[part] is not None:
            found = model.evaluate(datasets[part], return_dict=True, verbose=0)
            metrics[part] = with_log_loss(found)
    if datasets["test"] is not None:
        run.write_predictions(*scores_of(model, datasets["test"]))
    metrics["seconds"] = fit["seconds"]
    run.write_json(run.metrics, metrics)
    return metrics


def _logged(run, best_epoch):
    """The training rows' numbers of the epoch whose weights the model has, and the epochs run."""
    with open(run.log, encoding="utf-8") as file:
        # A killed run may lack the line of an epoch.
        lines = {int(line["epoch"]) + 1: line for line in csv.DictReader(file)}
    logged = {
        name: float(value)
        for name, value in lines.get(best_epoch, {}).items()
        if not name.startswith(("val_", "learning_rate")) and name != "epoch"
    }
    return {"train": with_log_loss(logged), "epochs": max(lines), "best_epoch": best_epoch}


def read_metrics(out: str | os.PathLike) -> dict[str, Any]:
    """What `train` wrote to the folder of a finished run.

    Raises:
        FileNotFoundError: if it is not there.
    """
    run = RunDirectory.open(out)
    return json.loads(run.metrics.read_text())
