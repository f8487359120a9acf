"""The files of a run's folder."""

import csv
import dataclasses
import json
import math
import pathlib
from typing import Any

import keras
import numpy as np
import yaml

from tfrec_models.datasets.schema import Schema

# What is written along with a run, and what its page shows of it.
FILES = {
    "metrics.json": "the metrics; the run has not finished",
    "log.csv": "the learning curves",
    "predictions.npz": "the curves of the test rows",
    "schema.yaml": "the ids of features and their importance",
    "model.keras": "the sizes of tables and the importance of features",
    "environment.json": "checksums, versions and the machine",
}


@dataclasses.dataclass(frozen=True)
class Run:
    """A run as it was stored; what is missing is None or empty, and told in `notes`.

    Args:
        name: str, what the page calls it.
        recipe: dict.
        metrics: dict.
        log: dict from a column of the log to numbers, one an epoch.
        environment: dict.
        labels: array (n,) of 0 and 1, of the test rows, or None.
        scores: array (n,) of probabilities, or None.
        schema: `Schema` or None.
        model: Keras model or None.
        notes: list of str.
    """

    name: str
    recipe: dict
    metrics: dict
    log: dict
    environment: dict
    labels: Any
    scores: Any
    schema: Any
    model: Any
    notes: list[str]

    @property
    def test_source(self):
        """Paths of the test rows, or None."""
        return self._data.get("test")

    @property
    def read_options(self):
        """How these files are read."""
        return {name: self._data.get(name) for name in ("format", "delimiter")}

    @property
    def _data(self):
        data = self.recipe.get("data")
        return data if isinstance(data, dict) else {}


def read_run(folder, name):
    """Reads a run.

    Args:
        folder: path.
        name: str, what the page calls it.

    Raises:
        FileNotFoundError: where there is no recipe.yaml.
        ValueError: on a file that cannot be read; names it.
    """
    folder = pathlib.Path(folder)
    if not (folder / "recipe.yaml").is_file():
        raise FileNotFoundError(
            f"A run's folder must have a recipe.yaml, and {folder} has none; give the folder that "
            "`python -m tfrec_models train` wrote."
        )
    notes: list[str] = []
    for file, shows in FILES.items():
        if not (folder / file).is_file():
            notes.append(f"{file} is missing, and with it {shows}.")

    def part(file, read, otherwise):
        path = folder / file
        if not path.is_file():
            return otherwise
        try:
            return read(path, notes)
        # Of each library its own; a file that is cut off raises nearly any.
        except Exception as error:
            raise ValueError(
                f"{path} cannot be read ({type(error).__name__}: {error}); remove it to leave it "
                "out."
            ) from error

    labels, scores = part("predictions.npz", _predictions, (None, None))
    return Run(
        name=name,
        recipe=part("recipe.yaml", _yaml, {}),
        metrics=part("metrics.json", _json, {}),
        log=part("log.csv", _log, {}),
        environment=part("environment.json", _json, {}),
        labels=labels,
        scores=scores,
        schema=part("schema.yaml", lambda path, _: Schema.load(path), None),
        model=part("model.keras", lambda path, _: keras.models.load_model(path), None),
        notes=notes,
    )


def _yaml(path, _):
    return _mapping(yaml.safe_load(path.read_text(encoding="utf-8")))


def _json(path, _):
    return _mapping(json.loads(path.read_text(encoding="utf-8")))


def _mapping(found):
    if not isinstance(found, dict):
        raise ValueError(f"must be a mapping, received {type(found).__name__}")
    return found


def _log(path, notes):
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        notes.append("log.csv has no epoch yet.")
        return {}
    return {name: np.array([_number(row[name]) for row in rows]) for name in rows[0]}


def _number(text):
    """Keras writes NA where an epoch has no value, and nothing at the end of a line cut off."""
    return math.nan if text in (None, "", "NA") else float(text)


def _predictions(path, notes):
    with np.load(path) as arrays:
        labels, scores = (np.asarray(arrays[name], np.float64) for name in ("label", "score"))
    if labels.size != scores.size or scores.size != len(scores):
        notes.append(
            f"predictions.npz has labels of shape {labels.shape} and scores of {scores.shape}; "
            "curves are drawn of one score a row."
        )
        return None, None
    labels, scores = labels.reshape(-1), scores.reshape(-1)
    if outside := int(np.count_nonzero(~((scores >= 0) & (scores <= 1)))):
        notes.append(
            f"predictions.npz has {outside:,} scores that are no probabilities, "
            f"{scores[~((scores >= 0) & (scores <= 1))][0]} the first; no curves are drawn."
        )
        return None, None
    if set(np.unique(labels)) != {0.0, 1.0}:
        notes.append(
            "predictions.npz must have labels of 0 and of 1, received "
            f"{np.unique(labels)[:3].tolist()}; no curves are drawn."
        )
        return None, None
    return labels, scores
