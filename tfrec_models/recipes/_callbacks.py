"""Keras's callbacks for a recipe, and a line an epoch."""

import math
import sys
import time

import keras

from tfrec_models.recipes.recipe import Recipe
from tfrec_models.recipes.run_directory import RunDirectory


def callbacks_of(recipe: Recipe, run: RunDirectory, resume: bool, plain: bool) -> list:
    """The callbacks of a training.

    Args:
        recipe: `Recipe`.
        run: `RunDirectory`.
        resume: bool, whether the log continues, if there is an epoch to continue from.
        plain: bool, whether to print a line an epoch in place of Keras's bar.
    """
    callbacks, chosen = keras.callbacks, recipe.training
    watched = {"monitor": chosen.monitor, "mode": chosen.better, "min_delta": chosen.min_delta}
    # Keras keeps the batch of a backup, and takes the epoch from its start.
    made = [callbacks.BackupAndRestore(run.backup)]
    if chosen.reduce_lr_patience is not None:
        made.append(
            callbacks.ReduceLROnPlateau(
                factor=chosen.reduce_lr_factor,
                patience=chosen.reduce_lr_patience,
                min_lr=chosen.min_learning_rate,
                **watched,
            )
        )
    if chosen.early_stopping_patience is not None:
        made.append(
            callbacks.EarlyStopping(
                patience=chosen.early_stopping_patience, restore_best_weights=True, **watched
            )
        )
    if chosen.checkpoint:
        made.append(
            callbacks.ModelCheckpoint(
                run.path / "checkpoint.keras",
                monitor=chosen.monitor,
                mode=chosen.better,
                save_best_only=True,
            )
        )
    if chosen.tensorboard:
        made.append(callbacks.TensorBoard(run.path / "tensorboard"))
    made.append(callbacks.CSVLogger(run.log, append=resume and run.backup.exists()))
    made.append(callbacks.TerminateOnNaN())
    if plain:
        made.append(EpochLine())
    return made


class EpochLine(keras.callbacks.Callback):
    """Prints one line an epoch: its numbers, how long it took, and how long the rest may take."""

    def on_train_begin(self, logs=None):
        self._start = time.monotonic()
        self._done = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch_start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        now, epochs = time.monotonic(), self.params["epochs"]
        self._done += 1
        left = (now - self._start) / self._done * (epochs - epoch - 1)
        numbers = "  ".join(f"{name} {_short(value)}" for name, value in (logs or {}).items())
        print(
            f"epoch {epoch + 1}/{epochs}  {now - self._epoch_start:.1f} s  {numbers}  "
            f"at most {_duration(left)} left",
            flush=True,
        )


def _short(value):
    return f"{float(value):.5g}"


def _duration(seconds):
    minutes = math.ceil(seconds / 60)
    return f"{math.ceil(seconds)} s" if seconds < 60 else f"{minutes // 60}:{minutes % 60:02d} h"


def is_terminal() -> bool:
    """Whether what is printed goes to a terminal."""
    return sys.stdout.isatty()
