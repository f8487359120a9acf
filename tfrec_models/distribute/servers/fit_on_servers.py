"""`fit` for tables larger than one machine, over parameter servers."""

import collections
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrec_models._checks.arguments import check_integer, check_positive
from tfrec_models._compat.keras import build_for_training, count_atomically
from tfrec_models._compat.tensorflow import has_failed, num_workers, server_addresses
from tfrec_models._schema_check import check_schema
from tfrec_models.distribute.checkpoint import TrainingCheckpoint, training_variables
from tfrec_models.distribute.cluster import check_variables
from tfrec_models.distribute.servers.checks import (
    check_callbacks,
    check_dense_weights,
    check_optimizer,
    check_server_strategy,
)
from tfrec_models.distribute.servers.resume_position import resume_position
from tfrec_models.distribute.servers.steps import make_steps
from tfrec_models.distribute.tf_config import answers
from tfrec_models.optimizers.unwrap import optimizer_parts

# Connections that break, and servers that restarted empty.
_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.FailedPreconditionError)


def fit_on_servers(
    model: Any,
    dataset_fn: Callable[[], tf.data.Dataset],
    *,
    epochs: int = 1,
    steps_per_epoch: int | None = None,
    validation_dataset_fn: Callable[[], tf.data.Dataset] | None = None,
    validation_steps: int | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    checkpoint_directory: str | os.PathLike[str] | None = None,
    save_every: int | None = None,
    verbose: int | str = "auto",
    max_pending: int | None = None,
    max_to_keep: int = 3,
) -> keras.callbacks.History:
    """`model.fit` under ParameterServerStrategy, which Keras's own does not support.

    The tables lie in pieces on the servers, each with its optimizer state beside it; dense weights
    lie on the servers too, whole. A step reads the rows it needs, once each, and sends the summed
    gradient of each row to the server that keeps it, where the update is computed.

    Workers do not wait for each other. A step's gradient may be taken at weights that other steps
    have changed since. Each update is applied whole: the optimizers of `tfrec_models.optimizers`
    read, compute and write under a lock for each piece of a variable, so no worker's update
    overwrites another's. Keras's own optimizers take no lock: their plain SGD adds and loses
    nothing, the others may lose part of an update of the dense weights to another at the same
    moment. With `max_pending=1` steps follow one another, and the weights are those of one device.

    A lost worker's step is given to another, or to itself once it is back; training continues. A
    step that was cut off while it updated may have updated some variables, and is then done again
    for them: no update is lost, at most one a lost worker is applied twice. A lost server takes
    its rows with it and the call raises `ConnectionError`. Start everything again: with a
    `checkpoint_directory` the run continues from its last checkpoint, and the steps since are lost.
    The files are those of `fit`: what was trained here loads on one machine and the other way
    round.

    A run that continues lets each worker read and skip its equal share of the batches that all
    steps before took, over the data's repetitions. With one worker, `max_pending=1` and a dataset
    that is the same each time it ends with the weights of a run that was never interrupted, to the
    bit. Which of several workers takes a step is not determined, so with them it is a share and not
    the very batches. A worker that dies and returns begins where it began in this run, not where
    it was. For workers to train on different batches, shuffle without a seed.

    Args:
        model: `keras.Model`, made and compiled in the scope of a `ParameterServerStrategy`.
        dataset_fn: function without arguments that returns a `tf.data.Dataset` of
            `(inputs, labels)`, made of files and TensorFlow operations inside the function. Each
            worker runs it by itself and repeats its batches, so tensors of this process,
            `from_generator` and `py_function` cannot be used.
        epochs: int, in all.
        steps_per_epoch: int, steps of all workers together.
        validation_dataset_fn: function as `dataset_fn`; read once after each epoch on the
            coordinator, which hands its batches to the workers.
        validation_steps: int, the batches to read; needed if that dataset does not end.
        callbacks: list of `keras.callbacks.Callback`. At the start and end of an epoch all steps
            are done and the weights stand still. `on_train_batch_end` comes once for each step in
            the order they were given out, while others run on; its logs are the metrics so far as
            that step's worker saw them; those of the epoch are exact, for metrics that
            count or sum, as Keras's do; a step done again counts twice. `on_train_batch_begin` is
            not called.
        checkpoint_directory: path, of its own for each run.
        save_every: int, steps between checkpoints; one is written at the end of each epoch anyway.
        verbose: that of `model.fit`.
        max_pending: int, how many steps may be given out and not done; four for each worker if
            None.
        max_to_keep: int, older checkpoints are deleted.

    Returns:
        `keras.callbacks.History` of the epochs that were run.

    Raises:
        TypeError: if `dataset_fn` is no function.
        ValueError: if `steps_per_epoch` is missing; if the model was made outside the scope or
            its dense weights are cut; if the checkpoint lies beyond the last step of an epoch; on
            a callback that needs the state after every single step; on several GPUs a worker; on
            `use_ema` of tables, `gradient_accumulation_steps` and `ema_overwrite_frequency`; on a
            `LossScaleOptimizer` with several workers.
        ConnectionError: if a parameter server was lost.

    Example:

        strategy = server_strategy(
            tf.distribute.experimental.partitioners.MinSizePartitioner(16 << 20, max_shards=2)
        )
        with strategy.scope():
            model = DLRM(...)
            model.compile(RowWiseAdagrad(0.05), keras.losses.BinaryCrossentropy(from_logits=True))
        fit_on_servers(model, dataset_fn, epochs=2, steps_per_epoch=1000)
    """
    for name, function in (
        ("dataset_fn", dataset_fn),
        ("validation_dataset_fn", validation_dataset_fn or (lambda: None)),
    ):
        if isinstance(function, tf.data.Dataset) or not callable(function):
            raise TypeError(
                f"{name} must be a function that returns a dataset, which each worker calls for "
                f"itself; received {type(function).__name__}. Make the dataset inside a "
                "function and pass that."
            )
    check_integer(
        "steps_per_epoch",
        steps_per_epoch,
        1,
        "an integer of at least 1, since workers repeat their data without end",
    )
    check_positive("epochs", epochs)
    for name, number in (("save_every", save_every), ("max_pending", max_pending)):
        if number is not None:
            check_integer(name, number, 1, "a positive integer or None")
    check_callbacks(callbacks)
    strategy = model.distribute_strategy
    check_server_strategy(model, strategy)
    check_optimizer(model)
    data = dataset_fn()
    check_schema(model, data)
    batch = next(iter(data))
    with strategy.scope():
        if not model.built:
            model(keras.utils.unpack_x_y_sample_weight(batch)[0])
        build_for_training(model, batch)
    count_atomically(optimizer_parts(model.optimizer))
    check_dense_weights(model)
    checkpoint = None
    position = {"epoch": 0, "step": 0, "stopped": False, "steps": 0}
    if checkpoint_directory is not None:
        variables = training_variables(model)
        check_variables(strategy, variables)
        checkpoint = TrainingCheckpoint(variables, checkpoint_directory, max_to_keep)
        checkpoint.delete_unfinished()
        position = resume_position(
            checkpoint.restore() or position, steps_per_epoch, checkpoint_directory
        )
    run = _Run(
        model, dataset_fn, steps_per_epoch, max_pending, checkpoint, save_every, position["steps"]
    )
    called = keras.callbacks.CallbackList(
        list(callbacks),
        add_history=True,
        add_progbar=verbose != 0,
        model=model,
        verbose=1 if verbose == "auto" else verbose,
        epochs=epochs,
        steps=steps_per_epoch,
    )
    model.stop_training = position["stopped"]
    try:
        called.on_train_begin()
        logs = {}
        for epoch in range(position["epoch"], epochs):
            if model.stop_training:
                break
            called.on_epoch_begin(epoch)
            first_step = position["step"] if epoch == position["epoch"] else 0
            logs = run.train_epoch(epoch, first_step, called)
            if validation_dataset_fn is not None:
                found = run.evaluate(validation_dataset_fn, validation_steps)
                logs |= {f"val_{name}": value for name, value in found.items()}
            called.on_epoch_end(epoch, logs)
            run.save(epoch + 1, 0)
        model.optimizer.finalize_variable_values(model.trainable_variables)
        called.on_train_end(logs)
    except Exception as error:
        # A server that dies shows as one of many errors, whichever operation was under way.
        servers = server_addresses(strategy)
        lost = [address for address in servers if not answers(address)]
        if not lost and not isinstance(error, _LOST):
            raise
        raise ConnectionError(
            f"A parameter server was lost {lost or ''}, and its rows with it. Start all servers, "
            "workers and this script again"
            + ("; the run continues from its last checkpoint." if checkpoint else ".")
            + f" TensorFlow says: {error}"
        ) from error
    return model.history


class _Run:
    """Schedules steps, and keeps no more of them pending than it may."""

    def __init__(
        self, model, dataset_fn, steps_per_epoch, max_pending, checkpoint, save_every, steps_before
    ):
        strategy = model.distribute_strategy
        workers = num_workers(strategy)
        self._model = model
        self._steps_per_epoch = steps_per_epoch
        self._checkpoint = checkpoint
        self._save_every = save_every
        self._coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
        self._max_pending = max_pending or 4 * workers
        self._steps = steps_before
        self._train_step, self._evaluate_step = make_steps(model)
        self._iterator = iter(
            self._coordinator.create_per_worker_dataset(
                lambda: dataset_fn().repeat().skip(steps_before // workers)
            )
        )

    def train_epoch(self, epoch, first_step, callbacks):
        """Trains to the end of an epoch and returns its logs."""
        self._model.reset_metrics()
        pending, done = collections.deque(), first_step

        def finish_one():
            nonlocal done
            logs = self._answer(pending.popleft())
            self._steps += 1
            callbacks.on_train_batch_end(done, _floats(logs))
            done += 1

        for step in range(first_step, self._steps_per_epoch):
            if len(pending) == self._max_pending:
                finish_one()
            if self._model.stop_training:
                break
            pending.append(self._coordinator.schedule(self._train_step, args=(self._iterator,)))
            if self._save_every and (step + 1) % self._save_every == 0:
                while pending:
                    finish_one()
                self.save(epoch, step + 1)
        while pending:
            finish_one()
        self._coordinator.join()
        return _floats(self._model.get_metrics_result())

    def evaluate(self, dataset_fn, steps):
        """Returns the metrics of a dataset, each of its batches evaluated by one worker."""
        self._model.reset_metrics()
        pending = collections.deque()
        data = dataset_fn()
        check_schema(self._model, data)
        for batch in data.take(-1 if steps is None else steps):
            if len(pending) == self._max_pending:
                self._answer(pending.popleft())
            pending.append(self._coordinator.schedule(self._evaluate_step, args=(batch,)))
        self._coordinator.join()
        return _floats(self._model.get_metrics_result())

    def _answer(self, step):
        """The metrics as a step's worker saw them."""
        while True:
            try:
                return step.fetch()
            except tf.errors.OpError:
                # A worker was lost when it had done the step and not yet sent the answer, which
                # shows as one of several errors. TensorFlow asks too, and has the step done again
                # or keeps the error: that one is the end.
                if has_failed(step):
                    raise
                time.sleep(0.1)

    def save(self, epoch, step):
        """Writes a checkpoint, if there is a directory for it. No step may be pending."""
        if self._checkpoint is not None:
            stopped = bool(self._model.stop_training)
            self._checkpoint.save(
                {"epoch": epoch, "step": step, "stopped": stopped, "steps": self._steps}
            )


def _floats(logs):
    return {name: float(value) for name, value in logs.items()}
