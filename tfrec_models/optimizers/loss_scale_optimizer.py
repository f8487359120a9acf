"""Keras's dynamic loss scaling, without making table gradients dense."""

from typing import Any

import keras
import tensorflow as tf

from tfrec_models.optimizers._state import load_state


@keras.saving.register_keras_serializable("tfrec_models")
class LossScaleOptimizer(keras.optimizers.LossScaleOptimizer):
    """`keras.optimizers.LossScaleOptimizer` whose cost does not grow with the tables.

    Keras's own looks for infinities in a dense copy of every table's gradient at each step. This
    one looks at the rows that have a gradient. Pass it to `compile` under `mixed_float16`;
    everything else is Keras's.

    Args:
        inner_optimizer: The Keras optimizer to wrap.
        initial_scale: float, what the loss is multiplied by at first.
        dynamic_growth_steps: int, how many steps with finite gradients before the scale doubles.
        name: str.

    Example:

    >>> from tfrec_models.optimizers import LossScaleOptimizer, RowWiseAdagrad
    >>> LossScaleOptimizer(RowWiseAdagrad(learning_rate=0.05)).initial_scale
    32768.0
    """

    def check_finite(self, grads: Any) -> bool:
        values = [g.values if isinstance(g, tf.IndexedSlices) else g for g in grads]
        return super().check_finite(values)

    def load_own_variables(self, store):
        load_state(self, self.variables, {}, store)
