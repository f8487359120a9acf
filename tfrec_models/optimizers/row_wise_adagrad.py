"""Adagrad with one accumulator a row: the optimizer of choice for embedding tables."""

from typing import Any

import keras
import tensorflow as tf

from tfrec_models.optimizers._checks import check_accumulator
from tfrec_models.optimizers.base_row_optimizer import RowOptimizer


@keras.saving.register_keras_serializable("tfrec_models")
class RowWiseAdagrad(RowOptimizer, keras.optimizers.Optimizer):
    """Adagrad that keeps one number for each row of a table.

    Its state is D times smaller than Adagrad's for tables of D columns, and on click logs it
    learns as well; it is what TorchRec trains tables with (FBGEMM's `EXACT_ROWWISE_ADAGRAD`).
    Repeated ids are summed before the update, and a step costs the same however many rows the
    table has.

    For row `r` of a table, with `g` the sum of its gradients in the batch:

    ```
    m[r] += mean(g ** 2)
    w[r] -= learning_rate * g / (sqrt(m[r]) + epsilon)
    ```

    Rows without a gradient do not change. In a dense gradient every index of the first axis is a
    row; for a vector or a scalar every element is, which is plain Adagrad.

    Paper: [Duchi et al., 2011](https://jmlr.org/papers/v12/duchi11a.html), row-wise as in
    [Mudigere et al., 2021](https://arxiv.org/abs/2104.05158).

    Args:
        learning_rate: float, a `keras.optimizers.schedules.LearningRateSchedule` or a callable.
        initial_accumulator_value: float, what `m` starts with.
        epsilon: float, added after the square root.
        check_finite: bool, raise `tf.errors.InvalidArgumentError` that names the variable when a
            gradient has a NaN or an infinity, before any weight or state is updated: in a
            `CompositeOptimizer`, those of the dense part too. Costs one pass over the gradients.
        **kwargs: `l2`, float, adds `l2 * w` to the gradient of each row that has one: L2
            regularization of the rows that were looked up. Those of every Keras optimizer.
            `weight_decay` decays the rows that have a gradient and no others. `clipnorm`,
            `global_clipnorm` and `clipvalue` act on the sums over repeated rows, on each replica's
            gradient as in Keras. `use_ema` gives exactly Keras's averages, written to the weights
            at the end of `fit` (the `SwapEMAWeights` callback cannot be used).

    Raises:
        ValueError: On an unknown argument or a setting out of range, on
            `gradient_accumulation_steps` and `ema_overwrite_frequency`, which would walk whole
            tables; at a step, on gradients that do not belong to the variables.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models.optimizers import RowWiseAdagrad
    >>> table = tf.Variable(tf.ones((4, 2)))
    >>> with tf.GradientTape() as tape:
    ...     loss = tf.reduce_sum(tf.gather(table, [1, 1, 3]))
    >>> optimizer = RowWiseAdagrad(learning_rate=0.1)
    >>> _ = optimizer.apply_gradients([(tape.gradient(loss, table), table)])
    >>> table.numpy()
    array([[1. , 1. ],
           [0.9, 0.9],
           [1. , 1. ],
           [0.9, 0.9]], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.01,
        initial_accumulator_value: float = 0.0,
        epsilon: float = 1e-8,
        check_finite: bool = False,
        **kwargs: Any,
    ) -> None:
        check_accumulator(initial_accumulator_value, epsilon)
        super().__init__(learning_rate=learning_rate, check_finite=check_finite, **kwargs)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def slot_initializers(self):
        return {"accumulator": keras.initializers.Constant(self.initial_accumulator_value)}

    def slot_shape(self, variable):
        return variable.shape[:1]

    def rule(self, weights, gradient, slots, learning_rate):
        (accumulator,) = slots
        columns = range(1, gradient.shape.rank)
        accumulator += tf.reduce_mean(tf.square(gradient), axis=list(columns))
        # One number a row, then one pass over the gradient, as FBGEMM has it.
        rate = learning_rate / (tf.sqrt(accumulator) + self.epsilon)
        for axis in columns:
            rate = tf.expand_dims(rate, axis)
        return weights - rate * gradient, [accumulator]

    def native_rule(self, learning_rate):
        return "row_wise_adagrad", [self.epsilon], learning_rate

    def get_config(self):
        return {
            **super().get_config(),
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }
