"""The few private parts of Keras this package relies on, all in one place.

Tested on Keras 3.12.4 and 3.15.1; importing it under a version outside that range warns.
"""

import warnings

import keras
import tensorflow as tf
from keras.src import backend, tree

OLDEST, NEWEST = (3, 12), (3, 15)


def check_keras_version(version=keras.__version__):
    """Warns where Keras is none of the versions these hooks were tested on."""
    if not OLDEST <= tuple(int(part) for part in version.split(".")[:2]) <= NEWEST:
        warnings.warn(
            f"tfrec_models was tested on Keras {'.'.join(map(str, OLDEST))} to "
            f"{'.'.join(map(str, NEWEST))}, this is {version}. Training under a tf.distribute "
            "strategy relies on private parts of Keras that may have changed.",
            stacklevel=2,
        )


def register_tree_node(cls):
    """Lets Keras flatten instances of `cls` (which has tree_flatten and tree_unflatten)."""
    tree.register_tree_node_class(cls)
    return cls


def all_layers(model):
    """Returns the model and all layers below it."""
    return list(model._flatten_layers())


class StrategyTraining:
    """Mixin of models that `fit`, `evaluate` and `predict` ragged batches under a strategy.

    Keras builds metrics and optimizer, before the first step, from a batch it reduces over the
    replicas: that fails for ragged tensors. Here the batch of the first replica serves instead, and
    the model says by itself what its output will be.

    Under MultiWorkerMirroredStrategy Keras also averages the logs over axis 0, which a scalar does
    not have (keras#20585).
    """

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        strategy = self._distribute_strategy
        if strategy is None:
            return
        if iterator is not None:
            for _, _, batches in iterator:
                data_batch = next(batches)
                break
        batch = tf.nest.map_structure(
            lambda value: strategy.experimental_local_results(value)[0], data_batch
        )
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        with strategy.scope():
            if not self.built:
                self.build()
            self._build_compiled(x, y, sample_weight)
            if self.optimizer is not None and not self.optimizer.built:
                self.optimizer.build(self.trainable_variables)
            self._post_build()

    def _build_compiled(self, x, y, sample_weight):
        """Creates the variables of compiled metrics and losses."""
        y, sample_weight = (
            tree.map_structure(_as_keras_tensor, part) for part in (y, sample_weight)
        )
        y_pred = self.compute_output_spec(x)
        metrics, loss = self._compile_metrics, self._compile_loss
        if metrics is not None and not metrics.built:
            backend.compute_output_spec(
                self.compute_metrics, None, y, y_pred, sample_weight=sample_weight
            )
        if loss is not None and not loss.built:
            backend.compute_output_spec(
                self._compute_loss, None, y, y_pred, sample_weight=sample_weight, training=False
            )

    def _make_function(self, step_function):
        if not isinstance(self.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return super()._make_function(step_function)

        def step_with_an_axis(data):
            return tree.map_structure(
                lambda log: tf.reshape(log, [1]) if log.shape.rank == 0 else log,
                step_function(data),
            )

        return super()._make_function(step_with_an_axis)


def _as_keras_tensor(value):
    if value is None:
        return None
    return keras.KerasTensor(value.shape, backend.standardize_dtype(value.dtype))


check_keras_version()
