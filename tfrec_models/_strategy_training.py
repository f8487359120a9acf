"""`fit`, `evaluate` and `predict` of ragged batches under a tf.distribute strategy."""

import logging
import warnings
from collections.abc import Mapping

import keras
import tensorflow as tf

from tfrec_models import execution
from tfrec_models._compat.keras import TrainerHooks, map_structure

_log = logging.getLogger("tfrec_models")


class StrategyTraining(TrainerHooks):
    """Mixin of models that train under a strategy on ragged batches.

    Keras builds metrics and optimizer, before the first step, from a batch it reduces over the
    replicas: that fails for ragged tensors. Here the batch of the first replica is used, and the
    output's spec comes from `compute_output_spec`.

    Under MultiWorkerMirroredStrategy Keras also averages the logs over axis 0, which a scalar does
    not have (keras#20585).
    """

    def build_before_trace(self, specs):
        """Makes the variables of the model, of its metrics and of its optimizer, on one device.

        Args:
            specs: what each batch is, `x` or `(x, y, sample_weight)`, as specs or arrays; None
                where it is not known.
        """
        if not self.built:
            self.build()
        x, y, _ = keras.utils.unpack_x_y_sample_weight(specs)
        dense = x.get("dense_features") if isinstance(x, Mapping) else None
        # Lists, and shapes that only the data has, wait for the trace.
        if y is not None and all(map(_has_rank, [dense, *keras.tree.flatten(y)])):
            self.build_metrics(x, y)
        if self.optimizer is not None and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)

    def build_under_strategy(self, strategy, data_batch):
        """Makes all variables of the model, of its metrics and of its optimizer."""
        if isinstance(strategy, tf.distribute.experimental.CentralStorageStrategy):
            warnings.warn(
                "Under CentralStorageStrategy weights and predictions are right, but the loss and "
                "metrics that Keras shows are not: each replica adds to what the others have "
                "added. Take metrics from predict().",
                stacklevel=5,
            )
        batch = tf.nest.map_structure(
            lambda value: strategy.experimental_local_results(value)[0], data_batch
        )
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        with strategy.scope():
            if not self.built:
                self.build()
            self.build_compiled(x, y, sample_weight)
            if self.optimizer is not None and not self.optimizer.built:
                self.optimizer.build(self.trainable_variables)

    def test_step(self, data):
        with execution.changed(in_process=True, same_bits=False):
            return super().test_step(data)

    def predict_step(self, data):
        with execution.changed(in_process=True):
            return super().predict_step(data)

    def wrap_step(self, step_function):
        """The step as replicas run it: the execution of `fit` or `evaluate`, and logs of rank 1.

        Threads of replicas have context variables of their own, so the execution is passed to them.
        """
        chosen = execution.current()
        many_workers = isinstance(
            self.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy
        )

        def step(data):
            if not tf.executing_eagerly():
                name = getattr(step_function, "__name__", "step")
                _log.info("%s of %s is traced with %s.", name, self.name, chosen)
            with execution.using(chosen):
                logs = step_function(data)
            if not many_workers:
                return logs
            return map_structure(
                lambda log: tf.reshape(log, [1]) if log.shape.rank == 0 else log, logs
            )

        return step


def _has_rank(part):
    shape = getattr(part, "shape", None)
    return shape is not None and getattr(shape, "rank", 0) is not None
