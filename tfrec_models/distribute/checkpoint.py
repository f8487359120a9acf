"""Checkpoints of a training run: weights, optimizer state and position, whole or not at all."""

import glob
import json
import os
import pathlib
import re
import shutil
import warnings
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfrec_models.distribute.cluster import check_optimizer_scope

FORMAT_VERSION = 1
# What TensorFlow raises for a file that is cut off, missing or changed; its reader turns "out of
# range" into Python's IndexError.
_UNREADABLE = (tf.errors.OpError, IndexError)
_METADATA = "metadata/.ATTRIBUTES/py_state"


def training_variables(model: Any) -> dict[str, tf.Variable]:
    """Returns all variables that training changes, by the names they have in a checkpoint.

    Those of the model (seeds of dropout among them) and of its optimizer (slots, learning rate,
    steps). Metrics are left out: Keras resets them at each epoch.

    A name is the variable's Keras path without the counters by which Keras distinguishes the layers
    of one process, so that a model built a second time has the same names. Where that makes two
    names equal, the later in the model's order gets ":1", ":2" and so on.

    Args:
        model: `keras.Model`, built and compiled.

    Returns:
        dict from str to `tf.Variable`.

    Raises:
        ValueError: if the model is not built or not compiled; if its optimizer was made outside
            the scope of its strategy.

    Example:

    >>> import keras
    >>> from tfrec_models.distribute import training_variables
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> list(training_variables(model))
    ['sequential/dense/kernel', 'sequential/dense/bias', 'sgd/iteration', 'sgd/learning_rate']
    """
    if not model.built or not model.compiled:
        raise ValueError(
            f"{model.name} must be built and compiled before its training can be saved or "
            f"restored; built is {model.built}, compiled is {model.compiled}."
        )
    variables = list(model.variables)
    if model.optimizer is not None:
        if not model.optimizer.built:
            check_optimizer_scope(model)
            with model.distribute_strategy.scope():
                model.optimizer.build(model.trainable_variables)
        variables += model.optimizer.variables
    names = checkpoint_names([variable.path for variable in variables])
    return dict(zip(names, [variable.value for variable in variables], strict=True))


def checkpoint_names(paths):
    """Returns the name in a checkpoint of each Keras path, given in the model's order."""
    names, seen = [], {}
    for path in paths:
        name = re.sub(r"_\d+(?=[_/]|$)", "", path)
        seen[name] = number = seen.get(name, -1) + 1
        names.append(f"{name}:{number}" if number else name)
    return names


class TrainingCheckpoint:
    """The last few checkpoints of one training run in a directory.

    `save` writes the variables together with the position of the run; `restore` reads the newest
    that is whole. The files are those of `tf.train.Checkpoint`, one logical tensor for each name:
    what was saved from one device loads into mirrored variables, into the shards of a parameter
    server and the other way round.

    A process may be killed at any moment: TensorFlow writes to temporary names, renames the data
    and then the index, and a checkpoint is only looked at once its index is there. Each tensor
    carries a CRC32C; one that does not match, or a file that was cut off or is missing, makes
    `restore` warn and take the checkpoint before. The files are not forced to the disk, so after a
    power failure the last ones may be lost or damaged, which is noticed in the same way.

    Args:
        variables: dict from str to `tf.Variable` or `ShardedVariable`, as `training_variables`
            returns it. The names and shapes must be those of the checkpoint, the devices need not.
        directory: path, made at the first `save`.
        max_to_keep: int, older checkpoints are deleted.

    Raises:
        ValueError: if `max_to_keep` is less than 1.

    Example:

    >>> import tempfile, keras
    >>> from tfrec_models.distribute import TrainingCheckpoint, training_variables
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> checkpoint = TrainingCheckpoint(training_variables(model), tempfile.mkdtemp())
    >>> path = checkpoint.save({"epoch": 3, "step": 20})
    >>> checkpoint.restore()
    {'epoch': 3, 'step': 20}
    """

    def __init__(
        self,
        variables: Mapping[str, tf.Variable],
        directory: str | os.PathLike[str],
        max_to_keep: int = 3,
    ) -> None:
        if max_to_keep < 1:
            raise ValueError(f"max_to_keep must be at least 1, received {max_to_keep}.")
        self.directory = pathlib.Path(directory)
        self._shapes = {
            name: [list(variable.shape), tf.as_dtype(variable.dtype).name]
            for name, variable in variables.items()
        }
        self._max_to_keep = max_to_keep
        self._damaged: set[str] = set()
        self._metadata = _Metadata()
        self._checkpoint = tf.train.Checkpoint(variables=dict(variables), metadata=self._metadata)

    def save(self, position: dict[str, Any]) -> str:
        """Writes a checkpoint, then deletes those that are too old.

        Args:
            position: dict that JSON can hold, such as `{"epoch": 2, "step": 100}`.

        Returns:
            str, the path that the names of the files begin with.

        Raises:
            OSError: if it cannot be written, for a full disk for instance. The checkpoints there
                are stay as they are.
        """
        self._metadata.content = {
            "format": FORMAT_VERSION,
            "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
            "position": position,
            "variables": self._shapes,
        }
        number = 1 + max((_number(path) for path in self._trusted()), default=0)
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            # TensorFlow adds 1. Its CheckpointManager would go by the file "checkpoint", which says
            # less than the checkpoints themselves, and stops where that file is damaged.
            self._checkpoint.save_counter.assign(number - 1)
            path = self._checkpoint.save(str(self.directory / "ckpt"))
        except tf.errors.OpError as error:
            self.delete_unfinished()
            raise OSError(
                f"The checkpoint could not be written to {self.directory}: {error.message} "
                f"{self._whole_ones()}"
            ) from error
        self._damaged.discard(path)
        for old in self._trusted()[: -self._max_to_keep]:
            _delete(old)
        return path

    def restore(self):
        """Sets the variables to the newest checkpoint that is whole.

        Returns:
            The position it was saved with; None if there is no checkpoint at all.

        Raises:
            ValueError: if the checkpoint is one of another model or of a newer format. No variable
                has been changed then.
            OSError: if there are checkpoints, but none can be read.
        """
        paths = self.paths()
        for path in reversed(paths):
            try:
                metadata = self._read_metadata(path)
                self._check(path, metadata)
                self._checkpoint.restore(path).assert_consumed()
            except _UNREADABLE as error:
                self._damaged.add(path)
                warnings.warn(
                    f"Checkpoint {path} is damaged and was skipped: {error}",
                    stacklevel=2,
                )
            else:
                return metadata["position"]
        if paths:
            raise OSError(
                f"None of the checkpoints in {self.directory} can be read: {paths}. To start "
                "again, move them away."
            )
        return None

    def paths(self) -> list[str]:
        """The checkpoints in the directory, oldest first, whether they can be read or not."""
        found = [
            str(index.with_suffix(""))
            for index in self.directory.glob("ckpt-*.index")
            if re.fullmatch(r"ckpt-\d+\.index", index.name) and index.is_file()
        ]
        return sorted(found, key=_number)

    def delete_unfinished(self) -> None:
        """Deletes what a process that was killed while saving left behind.

        Only for when no other process saves to the directory.
        """
        for path in self.directory.glob("ckpt-*_temp"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _read_metadata(self, path):
        # A PythonState is read back as the string it was saved as. `tf.train.load_checkpoint` would
        # look into a directory of that name instead.
        reader = tf.compat.v1.train.NewCheckpointReader(path)
        if not reader.has_tensor(_METADATA):
            raise ValueError(
                f"{path} is a checkpoint, but not one of tfrec_models.distribute. Give a directory "
                "of its own."
            )
        return json.loads(reader.get_tensor(_METADATA))

    def _check(self, path, metadata):
        if metadata["format"] > FORMAT_VERSION:
            raise ValueError(
                f"{path} has format {metadata['format']}, written with {metadata['versions']}; "
                f"this version of tfrec_models reads up to {FORMAT_VERSION}. Install a newer one."
            )
        saved, ours = metadata["variables"], self._shapes
        differences = [
            f"{name} is {_describe(saved.get(name))} in the checkpoint, "
            f"{_describe(ours.get(name))} here"
            for name in {**saved, **ours}
            if saved.get(name) != ours.get(name)
        ]
        if differences:
            shown = "; ".join(differences[:10])
            more = f"; and {len(differences) - 10} more" if len(differences) > 10 else ""
            raise ValueError(
                f"{path} is a checkpoint of another model or optimizer: {shown}{more}. Build and "
                "compile the model as it was, or give another directory."
            )

    def _trusted(self):
        """The checkpoints that nothing is known to be wrong with, oldest first."""
        return [path for path in self.paths() if path not in self._damaged]

    def _whole_ones(self):
        paths = self._trusted()
        return f"The last good one is {paths[-1]}." if paths else "There is none before it."


class _Metadata(tf.train.experimental.PythonState):
    """What a checkpoint says about itself, in the same file as the variables."""

    content: Any = None

    def serialize(self):
        return json.dumps(self.content)

    def deserialize(self, string_value):
        self.content = json.loads(string_value)


def _number(path):
    return int(path.rpartition("-")[2])


def _delete(path):
    """Deletes the files of a checkpoint; the index first, for without it there is none."""
    for file in [f"{path}.index", *glob.glob(f"{glob.escape(path)}.data-*")]:
        pathlib.Path(file).unlink(missing_ok=True)


def _describe(variable):
    return "missing" if variable is None else f"{tuple(variable[0])} {variable[1]}"
