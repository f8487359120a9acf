"""Fault-tolerant `fit` with exact resume."""

import os
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrec_models._checks.arguments import check_integer
from tfrec_models._compat.keras import forget_validation_data
from tfrec_models._schema_check import check_schema
from tfrec_models.distribute.checkpoint import TrainingCheckpoint, training_variables
from tfrec_models.distribute.cluster import check_agreement, check_strategy, check_variables
from tfrec_models.distribute.epoch_data import EpochData
from tfrec_models.distribute.resume import Resume
from tfrec_models.distribute.watchdog import limit_exit


def fit(
    model: Any,
    dataset: Any,
    checkpoint_directory: str | os.PathLike[str],
    *,
    epochs: int = 1,
    steps_per_epoch: int | None = None,
    save_every: int | None = None,
    max_to_keep: int = 3,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
    validation_data: Any = None,
    validation_steps: int | None = None,
    validation_freq: int = 1,
) -> keras.callbacks.History:
    """`model.fit`, with checkpoints, that continues where a killed run stopped.

    Run the same script again: without a checkpoint in the directory it begins, with one it
    continues at the very step, and at the end it returns at once. It works on one device and under
    MirroredStrategy and MultiWorkerMirroredStrategy; there every worker calls it with the same
    directory, which all must see, and the chief alone writes.

    A checkpoint holds the weights, the optimizer (slots, steps, learning rate), the seeds of
    dropout and the position in the data. A run that was killed at any moment ends with the weights
    of one that never was, to the bit, if

    - the step itself is deterministic (on a GPU that takes
      `tf.config.experimental.enable_op_determinism()`);
    - the dataset gives the same batches each time the script runs: shuffle with a seed, draw random
      numbers with `tf.random.stateless_*`, interleave with `deterministic=True`; no other code
      iterates the dataset while `fit` runs. `shuffle(seed=..., reshuffle_each_iteration=True)`
      keeps its order of each epoch. A function from the epoch to a dataset needs no such care.

    The first batch is compared with that of the interrupted run. The batches of an epoch that were
    trained on before are read again and skipped, so that the progress bar and callbacks count
    them. What Keras does not keep in variables is not kept: the state of callbacks (the patience
    of EarlyStopping; the learning rate that ReduceLROnPlateau set is kept, its wait is not), the
    history before, and metrics of the interrupted epoch, which are those of its rest. Rerunning
    after early stopping does nothing.

    Under MultiWorkerMirroredStrategy a worker that failed, because its peer was lost for instance,
    exits within ten seconds of the end of its script; see `watchdog.limit_exit`.

    Args:
        model: `keras.Model`, compiled; made and compiled in the strategy's scope, if any.
        dataset: `tf.data.Dataset` of `(inputs, labels)` in global batches, or a function from the
            number of an epoch to one.
        checkpoint_directory: path, of its own for each run.
        epochs: int, in all.
        steps_per_epoch: int, for a dataset that continues over all epochs.
        save_every: int, steps between checkpoints; one is written at the end of each epoch anyway.
        max_to_keep: int, older checkpoints are deleted.
        callbacks, verbose, validation_data, validation_steps, validation_freq: those of
            `model.fit`.

    Returns:
        `keras.callbacks.History` of the epochs that were run.

    Raises:
        ValueError: if the checkpoint is one of another model, a newer format or other data; if the
            model was made outside the scope of its strategy; if a batch is smaller than the number
            of replicas.
        OSError: if a checkpoint cannot be written or none can be read.

    Example:

    >>> import tempfile, keras, tensorflow as tf
    >>> from tfrec_models.distribute import fit
    >>> model = keras.Sequential([keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> dataset = tf.data.Dataset.from_tensor_slices((tf.ones((6, 2)), tf.ones(6)))
    >>> dataset = dataset.shuffle(6, seed=1).batch(2)
    >>> directory = tempfile.mkdtemp()
    >>> fit(model, dataset, directory, epochs=2, save_every=2, verbose=0).epoch
    [0, 1]
    >>> fit(model, dataset, directory, epochs=3, save_every=2, verbose=0).epoch
    [2]
    """
    if save_every is not None:
        check_integer("save_every", save_every, 1, "at least 1 step or None")
    check_strategy(model)
    check_schema(model, dataset)
    strategy = model.distribute_strategy
    data = EpochData(dataset, strategy, steps_per_epoch)
    _check_batch(data.first_batch, strategy.num_replicas_in_sync)
    if not model.built:
        with strategy.scope():
            model(keras.utils.unpack_x_y_sample_weight(data.first_batch)[0])
    variables = training_variables(model)
    check_variables(strategy, variables)
    checkpoint = TrainingCheckpoint(variables, checkpoint_directory, max_to_keep)
    position = checkpoint.restore()
    check_agreement(strategy, position, checkpoint_directory)
    if position is not None:
        _check_data(position, data, checkpoint_directory)
        # The count of `fit_on_servers` would be wrong after the next step.
        position.pop("steps", None)
    is_chief = strategy.extended.should_checkpoint
    if is_chief:
        checkpoint.delete_unfinished()
    if position is None:
        position = {"epoch": 0, "step": 0, "stopped": False, "data": data.fingerprint()}
        if is_chief:
            # Weights that were not drawn from a seed are kept too, and a directory that cannot be
            # written is found out before the first step.
            checkpoint.save(position)
    resume = Resume(data, position, checkpoint, save_every if is_chief else None, is_chief)
    try:
        return model.fit(
            data,
            epochs=epochs,
            initial_epoch=epochs if position["stopped"] else position["epoch"],
            callbacks=[*callbacks, resume],
            verbose=verbose,
            validation_data=validation_data,
            validation_steps=validation_steps,
            validation_freq=validation_freq,
            shuffle=False,
        )
    except BaseException:
        data.end()
        forget_validation_data(model)
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            limit_exit()
        raise
    finally:
        resume.end()


def _check_batch(batch, replicas):
    examples = int(tf.shape(tf.nest.flatten(batch, expand_composites=True)[0])[0])
    if examples < replicas:
        raise ValueError(
            f"The first batch has {examples} examples for {replicas} replicas. Batches are global: "
            f"make them at least {replicas}, better a multiple of it."
        )


def _check_data(position, data, directory):
    # `fit_on_servers` keeps none: each worker has its own order.
    if position.setdefault("data", data.fingerprint()) != data.fingerprint():
        raise ValueError(
            f"The dataset does not begin with the batch that the run in {directory} began with, so "
            "it cannot continue exactly. Shuffle with a seed and keep files and batch size; to "
            "train on other data give another directory, and load the weights with "
            "TrainingCheckpoint."
        )
