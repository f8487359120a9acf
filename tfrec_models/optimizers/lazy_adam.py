"""Adam whose moments move only for the rows of a batch."""

from typing import Any

import keras
import tensorflow as tf

from tfrec_models.optimizers._checks import check_moments
from tfrec_models.optimizers.base_row_optimizer import RowOptimizer


@keras.saving.register_keras_serializable("tfrec_models")
class LazyAdam(RowOptimizer, keras.optimizers.Adam):
    """Adam that never walks a table: rows without a gradient keep weights and moments.

    Dense Adam lets the moments of every row decay at every step, and continues moving rows long
    after their last gradient. Here both happen only in the steps where the row has a gradient, so
    a rare row's moments are averages over its own gradients; results differ slightly from dense
    Adam, and a step costs the same however many rows the table has. The bias correction counts
    all steps. Dense gradients get ordinary Adam.

    With `g` the sum of a row's gradients in the batch and `t` the number of the step, from 1:

    ```
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g ** 2
    w -= learning_rate * sqrt(1 - beta_2 ** t) / (1 - beta_1 ** t) * m / (sqrt(v) + epsilon)
    ```

    `epsilon` is not PyTorch's `eps`, nor is that of `keras.optimizers.Adam`: PyTorch adds its own
    after the bias correction, so that `epsilon = eps * sqrt(1 - beta_2 ** t)` would be the same,
    and its default is 1e-8. On click logs the two defaults have differed by 1e-4 of AUC.

    Paper: [Kingma and Ba, 2014](https://arxiv.org/abs/1412.6980).

    Args:
        learning_rate: float, a `keras.optimizers.schedules.LearningRateSchedule` or a callable.
        beta_1: float, decay of the first moment.
        beta_2: float, decay of the second moment.
        epsilon: float, the paper's "epsilon hat", added after the square root.
        amsgrad: bool, divide by the largest second moment so far
            ([Reddi et al., 2018](https://openreview.net/forum?id=ryQu7f-RZ)).
        check_finite: bool, raise before updating if a gradient is not finite; see
            `RowWiseAdagrad`.
        **kwargs: `l2` and the arguments of every Keras optimizer, as in `RowWiseAdagrad`.

    Raises:
        ValueError: As `RowWiseAdagrad`.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models.optimizers import LazyAdam
    >>> table = tf.Variable(tf.ones((4, 2)))
    >>> repeated = tf.IndexedSlices(tf.ones((2, 2)), [1, 1], [4, 2])
    >>> _ = LazyAdam(learning_rate=0.25).apply_gradients([(repeated, table)])
    >>> table.numpy().round(4).tolist()
    [[1.0, 1.0], [0.75, 0.75], [1.0, 1.0], [1.0, 1.0]]
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        check_finite: bool = False,
        **kwargs: Any,
    ) -> None:
        check_moments(beta_1, beta_2, epsilon)
        super().__init__(
            learning_rate=learning_rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            amsgrad=amsgrad,
            check_finite=check_finite,
            **kwargs,
        )

    def slot_initializers(self):
        names = ("momentum", "velocity", "velocity_hat")
        return dict.fromkeys(names if self.amsgrad else names[:2], "zeros")

    def rule(self, weights, gradient, slots, learning_rate):
        first, second, *largest = slots
        first += (gradient - first) * (1 - self.beta_1)
        second += (tf.square(gradient) - second) * (1 - self.beta_2)
        denominator = second
        if largest:
            denominator = tf.maximum(largest[0], second)
            largest = [denominator]
        rate = learning_rate * tf.cast(self._bias_correction(), gradient.dtype)
        step = rate * first / (tf.sqrt(denominator) + self.epsilon)
        return weights - step, [first, second, *largest]

    def native_rule(self, learning_rate):
        settings = [1 - self.beta_1, 1 - self.beta_2, self.epsilon]
        rate = tf.cast(learning_rate, tf.float32) * tf.cast(self._bias_correction(), tf.float32)
        return "amsgrad" if self.amsgrad else "lazy_adam", settings, rate

    def _bias_correction(self):
        # In float64: near t = 1 the difference 1 - beta_2 ** t keeps few digits of float32.
        t = tf.cast(self.iterations + 1, tf.float64)
        beta_1, beta_2 = (tf.constant(b, tf.float64) for b in (self.beta_1, self.beta_2))
        return tf.sqrt(1 - beta_2**t) / (1 - beta_1**t)
