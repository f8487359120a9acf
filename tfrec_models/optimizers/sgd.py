"""Gradient descent with momentum whose velocity moves only for the rows of a batch."""

from typing import Any

import keras

from tfrec_models.optimizers.base_row_optimizer import RowOptimizer


@keras.saving.register_keras_serializable("tfrec_models")
class SGD(RowOptimizer, keras.optimizers.SGD):
    """Gradient descent (with momentum) that never walks a table.

    Without momentum it is FBGEMM's `EXACT_SGD`. With momentum the velocity of a row decays and
    acts in the steps where the row has a gradient; dense momentum would also move the rows the
    batch does not name, so the two differ for rows that are not in every batch.

    With `g` the sum of a row's gradients in the batch:

    ```
    v = momentum * v - learning_rate * g
    w = w + v                                        # nesterov=False
    w = w + momentum * v - learning_rate * g         # nesterov=True
    ```

    Paper: [Sutskever et al., 2013](https://proceedings.mlr.press/v28/sutskever13.html).

    Args:
        learning_rate: float, a `keras.optimizers.schedules.LearningRateSchedule` or a callable.
        momentum: float in [0, 1].
        nesterov: bool, whether to look ahead along the velocity.
        check_finite: bool, raise before updating if a gradient is not finite; see
            `RowWiseAdagrad`.
        **kwargs: `l2` and the arguments of every Keras optimizer, as in `RowWiseAdagrad`.

    Raises:
        ValueError: As `RowWiseAdagrad`.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models.optimizers import SGD
    >>> table = tf.Variable(tf.ones((4, 2)))
    >>> repeated = tf.IndexedSlices(tf.ones((2, 2)), [1, 1], [4, 2])
    >>> _ = SGD(learning_rate=0.25).apply_gradients([(repeated, table)])
    >>> table.numpy().tolist()
    [[1.0, 1.0], [0.5, 0.5], [1.0, 1.0], [1.0, 1.0]]
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        check_finite: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            momentum=momentum,
            nesterov=nesterov,
            check_finite=check_finite,
            **kwargs,
        )

    def slot_initializers(self):
        return {"momentum": "zeros"} if self.momentum else {}

    def rule(self, weights, gradient, slots, learning_rate):
        step = learning_rate * gradient
        if not slots:
            return weights - step, []
        velocity = self.momentum * slots[0] - step
        if self.nesterov:
            return weights + self.momentum * velocity - step, [velocity]
        return weights + velocity, [velocity]

    def native_rule(self, learning_rate):
        if not self.momentum:
            return "sgd", [], learning_rate
        return "nesterov" if self.nesterov else "momentum", [self.momentum], learning_rate
