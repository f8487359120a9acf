"""Adagrad, exact for repeated ids."""

from typing import Any

import keras
import tensorflow as tf

from tfrec_models.optimizers._checks import check_accumulator
from tfrec_models.optimizers.base_row_optimizer import RowOptimizer


@keras.saving.register_keras_serializable("tfrec_models")
class Adagrad(RowOptimizer, keras.optimizers.Adagrad):
    """Adagrad whose step touches only the rows of a table that the batch touches.

    Sums repeated ids before the update, as the definition asks (Keras's own squares them one by
    one), and costs the same however many rows the table has. With Keras's defaults a dense
    gradient gives Keras's numbers to float32 rounding.

    With `g` the sum of an element's gradients in the batch:

    ```
    m += g ** 2
    w -= learning_rate * g / (sqrt(m) + epsilon)
    ```

    Note that `epsilon` is added after the square root, as in the paper, PyTorch and FBGEMM's
    `EXACT_ADAGRAD`; Keras adds it before. With an accumulator that starts at 0.1 the difference is
    below float32 rounding; to follow `torch.optim.Adagrad`, pass `initial_accumulator_value=0.0`
    and its `eps` as `epsilon`.

    Paper: [Duchi et al., 2011](https://jmlr.org/papers/v12/duchi11a.html).

    Args:
        learning_rate: float, a `keras.optimizers.schedules.LearningRateSchedule` or a callable.
        initial_accumulator_value: float, what `m` starts with.
        epsilon: float, added after the square root.
        check_finite: bool, raise before updating if a gradient is not finite; see
            `RowWiseAdagrad`.
        **kwargs: `l2` and the arguments of every Keras optimizer, as in `RowWiseAdagrad`.

    Raises:
        ValueError: As `RowWiseAdagrad`.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models.optimizers import Adagrad
    >>> table = tf.Variable(tf.ones((4, 2)))
    >>> repeated = tf.IndexedSlices(tf.constant([[1.0, 2.0], [2.0, 1.0]]), [1, 1], [4, 2])
    >>> optimizer = Adagrad(learning_rate=0.1, initial_accumulator_value=0.0)
    >>> _ = optimizer.apply_gradients([(repeated, table)])
    >>> table.numpy()[1]
    array([0.9, 0.9], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        check_finite: bool = False,
        **kwargs: Any,
    ) -> None:
        check_accumulator(initial_accumulator_value, epsilon)
        super().__init__(
            learning_rate=learning_rate,
            initial_accumulator_value=initial_accumulator_value,
            epsilon=epsilon,
            check_finite=check_finite,
            **kwargs,
        )

    def slot_initializers(self):
        return {"accumulator": keras.initializers.Constant(self.initial_accumulator_value)}

    def rule(self, weights, gradient, slots, learning_rate):
        (accumulator,) = slots
        accumulator += tf.square(gradient)
        step = learning_rate * gradient / (tf.sqrt(accumulator) + self.epsilon)
        return weights - step, [accumulator]

    def native_rule(self, learning_rate):
        return "adagrad", [self.epsilon], learning_rate
