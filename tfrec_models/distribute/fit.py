"""`fit` that survives a kill."""

import sys

import keras
import tensorflow as tf

from tfrec_models._compat.keras import forget_validation_data
from tfrec_models.distribute.checkpoint import TrainingCheckpoint, training_variables
from tfrec_models.distribute.cluster import check_agreement, check_strategy, check_variables
from tfrec_models.distribute.epoch_data import EpochData, skip
from tfrec_models.distribute.worker_exit import let_go


def fit(
    model,
    dataset,
    checkpoint_directory,
    *,
    epochs=1,
    steps_per_epoch=None,
    save_every=None,
    max_to_keep=3,
    callbacks=(),
    verbose="auto",
    validation_data=None,
    validation_steps=None,
    validation_freq=1,
):
    """`model.fit`, with checkpoints, that goes on where a killed run stopped.

    Run the same script again: without a checkpoint in the directory it begins, with one it goes
    on, at the very step, and at the end it returns at once. It works on one device and under
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
    trained on before are read again and passed by, so that the progress bar and callbacks count
    them. What Keras does not keep in variables is not kept: the state of callbacks (the patience
    of EarlyStopping; the learning rate that ReduceLROnPlateau set is kept, its wait is not), the
    history before, and metrics of the interrupted epoch, which are those of its rest. A run that a
    callback stopped stays stopped.

    Under MultiWorkerMirroredStrategy an error clears the local variables of the functions it came
    through, so that a worker whose peer was lost ends: a debugger finds none there.

    Args:
        model: `keras.Model`, compiled; made and compiled in the strategy's scope, if any.
        dataset: `tf.data.Dataset` of `(inputs, labels)` in global batches, or a function from the
            number of an epoch to one.
        checkpoint_directory: path, of its own for each run.
        epochs: int, in all.
        steps_per_epoch: int, for a dataset that goes on over all epochs.
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
    if save_every is not None and save_every < 1:
        raise ValueError(f"save_every must be at least 1 step or None, received {save_every}.")
    check_strategy(model)
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
    resume = _Resume(data, position, checkpoint, save_every if is_chief else None, is_chief)
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
    except BaseException as error:
        data.end()
        forget_validation_data(model)
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            let_go(error, sys._getframe())
        raise
    finally:
        resume.end()


class _Resume(keras.callbacks.Callback):
    """Brings `fit` to the position of a checkpoint, then writes checkpoints.

    The last of all callbacks, so that it saves what the others have done.
    """

    def __init__(self, data, position, checkpoint, save_every, is_chief):
        super().__init__()
        self._data = data
        self._position = position
        self._checkpoint = checkpoint
        self._save_every = save_every
        self._is_chief = is_chief
        self._epoch = None
        self._pass_by = None

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._data.begin(epoch)
        if epoch == self._position["epoch"] and self._position["step"]:
            self._pass_by = _PassBy(self.model, self._position["step"])

    def on_train_batch_end(self, batch, logs=None):
        if self._pass_by is not None:
            if self._pass_by.left == 0:
                self._pass_by = None
                # What other callbacks did to the rate in this epoch was done before the checkpoint
                # already.
                self._checkpoint.restore()
            return
        before = batch + 1 - self.model.steps_per_execution
        if self._save_every and (batch + 1) // self._save_every > before // self._save_every:
            self._save(self._epoch, batch + 1)

    def on_epoch_end(self, epoch, logs=None):
        if self._pass_by is not None:
            raise ValueError(
                f"The epoch ended {self._pass_by.left} batches before the step at which the run "
                "was interrupted. Give fit the dataset that it was given before."
            )
        self._save(epoch + 1, 0)

    def end(self):
        """Gives the model back as it was, whatever happened."""
        if self._pass_by is not None:
            self._pass_by.end()

    def _save(self, epoch, step):
        if self._is_chief:
            stopped = bool(self.model.stop_training)
            position = {**self._position, "epoch": epoch, "step": step, "stopped": stopped}
            self._checkpoint.save(position)


class _PassBy:
    """Stands in for the model's train function, and reads batches without training on them."""

    def __init__(self, model, steps):
        self.left = steps
        self._model = model
        self._train_function = model.train_function
        if steps % model.steps_per_execution:
            raise ValueError(
                f"The run was saved after step {steps} of an epoch, which is no multiple of "
                f"steps_per_execution={model.steps_per_execution}. Compile as it was before."
            )
        model.train_function = self

    def __call__(self, iterator):
        steps = self._model.steps_per_execution
        skip(iterator, steps)
        self.left -= steps
        if self.left == 0:
            self.end()
        return {}

    def end(self):
        self._model.train_function = self._train_function


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
            "it cannot go on exactly. Shuffle with a seed and keep files and batch size; to train "
            "on other data give another directory, and load the weights with TrainingCheckpoint."
        )
