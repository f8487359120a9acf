"""FTRL-proximal, exact for repeated ids."""

from typing import Any

import keras
import tensorflow as tf

from tfrec_models.optimizers.base_row_optimizer import RowOptimizer


@keras.saving.register_keras_serializable("tfrec_models")
class Ftrl(RowOptimizer, keras.optimizers.Ftrl):
    """FTRL-proximal that recomputes only the rows of a table that the batch touches.

    With L1 regularization it makes weights exactly zero, which suits wide linear parts on hashed
    ids. Repeated ids are summed before the update, and a step costs the same however many rows the
    table has. Rows without a gradient keep their weights; dense FTRL rewrites them from its
    accumulators at every step, which wipes an initial value that is not zero.

    With `g` the sum of a row's gradients in the batch,
    `s` = `l2_shrinkage_regularization_strength` and
    `l2` = `l2_regularization_strength + beta / (2 * learning_rate)`:

    ```
    n_new = n + g ** 2
    z += g + 2 * s * w - (n_new ** -power - n ** -power) / learning_rate * w
    w = (clip(z, -l1, l1) - z) / (n_new ** -power / learning_rate + 2 * l2)
    n = n_new
    ```

    At a learning rate of 0, as in the first step of a warm-up, nothing changes, `z` and `n`
    included; nor does a weight whose denominator is 0, for want of any gradient so far.

    Paper: [McMahan et al., 2013](https://research.google/pubs/pub41159/).

    Args:
        learning_rate: float, a `keras.optimizers.schedules.LearningRateSchedule` or a callable.
        learning_rate_power: float, `power` above, zero or negative.
        initial_accumulator_value: float, what `n` starts with.
        l1_regularization_strength: float, `l1` above, zero or positive.
        l2_regularization_strength: float, zero or positive.
        l2_shrinkage_regularization_strength: float, `s` above, zero or positive.
        beta: float, `beta` in the paper.
        check_finite: bool, raise before updating if a gradient is not finite; see
            `RowWiseAdagrad`.
        **kwargs: `l2` and the arguments of every Keras optimizer, as in `RowWiseAdagrad`.

    Raises:
        ValueError: As `RowWiseAdagrad`.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models.optimizers import Ftrl
    >>> table = tf.Variable(tf.zeros((4, 2)))
    >>> small = tf.IndexedSlices(tf.constant([[0.5, 3.0]]), [1], [4, 2])
    >>> optimizer = Ftrl(learning_rate=1.0, l1_regularization_strength=1.0)
    >>> _ = optimizer.apply_gradients([(small, table)])
    >>> (table.numpy() == 0).tolist()
    [[True, True], [True, False], [True, True], [True, True]]
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        check_finite: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            learning_rate_power=learning_rate_power,
            initial_accumulator_value=initial_accumulator_value,
            l1_regularization_strength=l1_regularization_strength,
            l2_regularization_strength=l2_regularization_strength,
            l2_shrinkage_regularization_strength=l2_shrinkage_regularization_strength,
            beta=beta,
            check_finite=check_finite,
            **kwargs,
        )

    def slot_initializers(self):
        return {
            "accumulator": keras.initializers.Constant(self.initial_accumulator_value),
            "linear": "zeros",
        }

    def rule(self, weights, gradient, slots, learning_rate):
        accumulator, linear = slots
        power = -self.learning_rate_power
        l1 = self.l1_regularization_strength
        # The formula divides by the rate; at 0 the results are thrown away.
        stands = tf.equal(learning_rate, 0)
        rate = tf.where(stands, tf.ones_like(learning_rate), learning_rate)
        l2 = self.l2_regularization_strength + self.beta / (2.0 * rate)
        shrinkage = 2 * self.l2_shrinkage_regularization_strength * weights
        grown = accumulator + tf.square(gradient)
        scale = tf.pow(grown, power) / rate
        growth = scale - tf.pow(accumulator, power) / rate
        moved = linear + gradient + shrinkage - growth * weights
        curvature = scale + 2 * l2
        # Nothing holds an element without curvature: it never had a gradient, and stays.
        stays = stands | tf.equal(curvature, 0)
        new = tf.math.divide_no_nan(tf.clip_by_value(moved, -l1, l1) - moved, curvature)
        return tf.where(stays, weights, new), [
            tf.where(stands, accumulator, grown),
            tf.where(stands, linear, moved),
        ]

    def native_rule(self, learning_rate):
        if self.learning_rate_power != -0.5:
            return None
        settings = [
            self.l1_regularization_strength,
            self.l2_regularization_strength,
            self.beta,
            self.l2_shrinkage_regularization_strength,
        ]
        return "ftrl", settings, learning_rate
