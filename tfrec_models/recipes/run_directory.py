"""The folder of a run: what is in it, and which one may be written to."""

import dataclasses
import json
import os
import pathlib
import shutil
from typing import Any

import numpy as np

from tfrec_models._files import atomic_path


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """The files of one training.

    - `recipe.yaml`: every value that was in effect;
    - `schema.yaml`: the schema with what it learned;
    - `log.csv`: a line an epoch, written while training;
    - `metrics.json`: what the model reaches on the rows of training, validation and test; the
      run is finished when it is there;
    - `model.keras`: the model;
    - `predictions.npz`: `label` and `score`, the probability, of up to a million test rows;
    - `environment.json`: versions, machine, seed, and the data's files with their checksums.

    All but the log appear whole, by a rename.

    Args:
        path: `pathlib.Path`.
    """

    path: pathlib.Path

    @property
    def recipe(self) -> pathlib.Path:
        return self.path / "recipe.yaml"

    @property
    def schema(self) -> pathlib.Path:
        return self.path / "schema.yaml"

    @property
    def log(self) -> pathlib.Path:
        return self.path / "log.csv"

    @property
    def metrics(self) -> pathlib.Path:
        return self.path / "metrics.json"

    @property
    def model(self) -> pathlib.Path:
        return self.path / "model.keras"

    @property
    def predictions(self) -> pathlib.Path:
        return self.path / "predictions.npz"

    @property
    def environment(self) -> pathlib.Path:
        return self.path / "environment.json"

    @property
    def backup(self) -> pathlib.Path:
        """Where Keras keeps what an interrupted training continues from."""
        return self.path / "backup"

    @classmethod
    def open(cls, path: str | os.PathLike) -> "RunDirectory":
        """The folder of a finished run.

        Raises:
            FileNotFoundError: if it is not there, or is not the folder of a finished run.
        """
        run = cls(pathlib.Path(path))
        for file in (run.recipe, run.schema, run.model):
            if not file.exists():
                raise FileNotFoundError(
                    f"{path} must be the folder of a finished run, as `train --out` writes it; "
                    f"it has no {file.name}."
                )
        return run

    @classmethod
    def start(cls, path: str | os.PathLike, overwrite: bool, resume: bool) -> "RunDirectory":
        """The folder of a new run, or of one that continues; nothing in it is changed yet.

        Raises:
            FileExistsError: if there is something that must not be lost.
            FileNotFoundError: with `resume`, if there is nothing to continue from.
            ValueError: with both, `overwrite` and `resume`.
        """
        run = cls(pathlib.Path(path))
        if overwrite and resume:
            raise ValueError("overwrite and resume exclude each other; choose one.")
        if resume:
            if run.metrics.exists():
                raise FileExistsError(f"{path} holds a finished run, which cannot be resumed.")
            if not run.recipe.exists():
                raise FileNotFoundError(f"{path} holds no run to resume; leave --resume out.")
            return run
        is_run = run.recipe.exists()
        if is_run and not overwrite:
            state = "a finished run" if run.metrics.exists() else "a run that was interrupted"
            advice = "" if run.metrics.exists() else "continue with --resume, "
            raise FileExistsError(
                f"{path} holds {state}; {advice}choose another --out, or --overwrite it."
            )
        is_free = not run.path.exists() or (run.path.is_dir() and not any(run.path.iterdir()))
        if not is_run and not is_free:
            raise FileExistsError(f"{path} exists and is no run; choose another --out.")
        return run

    def clear(self) -> None:
        """Makes the folder, or removes the run that is in it."""
        if self.path.exists():
            shutil.rmtree(self.path)
        self.path.mkdir(parents=True)

    def write_json(self, file: pathlib.Path, values: dict[str, Any]) -> None:
        """Writes plain data, whole or not at all."""
        with atomic_path(file) as temporary:
            temporary.write_text(json.dumps(values, indent=1) + "\n")

    def write_predictions(self, labels: np.ndarray, scores: np.ndarray) -> None:
        """Writes the labels and probabilities of the test rows."""
        with atomic_path(self.predictions) as temporary:
            np.savez(temporary, label=labels, score=scores)
