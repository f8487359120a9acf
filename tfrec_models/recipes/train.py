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
from tfrec_models.recipes.build_data import PARTS, build_data
from tfrec_models.recipes.build_model import build_model
from tfrec_models.recipes.build_schema import build_schema
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
    interrupted run continues from, at the epoch after its last. On a terminal there is Keras's bar
    with time left and metrics; elsewhere one plain line an epoch. The same recipe on the same
    machine gives the same weights to the bit.

    Args:
        recipe: `Recipe`.
        out: path of the run's folder; see `RunDirectory` for what is in it.
        overwrite: bool, whether to remove a run that is there.
        resume: bool, whether to continue with a run that was interrupted there, with its recipe.
        progress: bool, whether to show progress.

    Returns:
        dict: "train", "validation" and "test", each a dict of "log_loss", "auc",
        "normalized_entropy" and "calibration"; "seconds" that `fit` took; "epochs" that were run
        and "best_epoch", whose weights the model has, both counted from 1. The numbers of "train"
        are those that were logged in that epoch.

    Raises:
        FileExistsError: if the folder holds a run, and neither `overwrite` nor `resume` is given.
        FileNotFoundError: if files of the data are not there, or nothing to resume.
        ValueError: if the recipe, its schema and the data do not fit.

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
    ...     "model": {"over_arch_layer_sizes": [8, 1]},
    ...     "optimizer": {"dense": {"learning_rate": 0.05}, "tables": {"learning_rate": 0.05}},
    ...     "training": {"epochs": 4},
    ... })
    >>> metrics = train(recipe, os.path.join(folder, "run"), progress=False)
    >>> metrics["test"]["auc"]
    1.0
    """
    run = RunDirectory.start(out, overwrite, resume)
    if resume:
        recipe = Recipe.load(run.recipe)
    keras.utils.set_random_seed(recipe.seed)
    schema = build_schema(recipe, progress)
    datasets: dict[str, Any] = {part: build_data(recipe, schema, part) for part in PARTS}
    if datasets["train"] is None:
        raise ValueError("data.train must name the training rows, received null.")
    model = build_model(recipe, schema)
    model.build()
    recipe.save(run.recipe)
    schema.save(run.schema)
    run.write_json(run.environment, environment_of(recipe))
    start = time.monotonic()
    model.fit(
        datasets["train"],
        epochs=recipe.training.epochs,
        steps_per_epoch=recipe.data.steps_per_epoch,
        validation_data=datasets["validation"],
        callbacks=callbacks_of(recipe, run, resume, progress and not is_terminal()),
        verbose=1 if progress and is_terminal() else 0,
        # The rows are shuffled as they are read; with its default Keras warns that it does not.
        shuffle=False,
    )
    seconds = time.monotonic() - start
    with atomic_path(run.model) as temporary:
        model.save(temporary)
    metrics: dict[str, Any] = _logged(recipe, run)
    for part in ("validation", "test"):
        if datasets[part] is not None:
            found = model.evaluate(datasets[part], return_dict=True, verbose=0)
            metrics[part] = with_log_loss(found)
    if datasets["test"] is not None:
        run.write_predictions(*scores_of(model, datasets["test"]))
    metrics["seconds"] = round(seconds, 1)
    run.write_json(run.metrics, metrics)
    return metrics


def _logged(recipe, run):
    """The training rows' numbers of the epoch whose weights the model has, and the epochs run."""
    with open(run.log, encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    # Without validation rows Keras writes their columns all the same, with NA in each.
    log = {
        name: [float(line[name]) for line in lines]
        for name in lines[0]
        if not any(line[name] == "NA" for line in lines)
    }
    best = len(lines) - 1
    chosen = recipe.training
    if chosen.early_stopping_patience is not None and chosen.monitor in log:
        pick = np.argmax if chosen.mode == "max" else np.argmin
        best = int(pick(log[chosen.monitor]))
    logged = {
        name: values[best]
        for name, values in log.items()
        if not name.startswith(("val_", "learning_rate")) and name != "epoch"
    }
    return {"train": with_log_loss(logged), "epochs": len(lines), "best_epoch": best + 1}


def read_metrics(out: str | os.PathLike) -> dict[str, Any]:
    """What `train` wrote to the folder of a finished run.

    Raises:
        FileNotFoundError: if it is not there.
    """
    run = RunDirectory.open(out)
    return json.loads(run.metrics.read_text())
