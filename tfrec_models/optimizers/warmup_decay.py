"""A learning rate that rises, stays and falls."""

from typing import Any

import keras
import tensorflow as tf

from tfrec_models._checks.arguments import check_not_negative


@keras.saving.register_keras_serializable("tfrec_models")
class WarmupDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises linearly, stays, and falls by a polynomial.

    The schedule of MLPerf's DLRM: large batches start slowly, and the last steps take small ones.
    With the step t counted from 0, W warm-up, H hold and D decay steps:

        t < W:          learning_rate (t + 1) / W
        t < W + H:      learning_rate
        after that:     end + (learning_rate - end) (1 - min((t - W - H) / D, 1))^power

    Without decay steps the rate stays. Keras's own schedules have no warm-up before a polynomial.

    Paper: Goyal et al., Accurate, Large Minibatch SGD, https://arxiv.org/abs/1706.02677.

    Args:
        learning_rate: float, the full rate.
        warmup_steps: int, W.
        hold_steps: int, H.
        decay_steps: int, D.
        end_learning_rate: float, the last rate, where there are decay steps.
        power: float, 1 for a straight line.

    Raises:
        ValueError: on steps below 0, or rates or a power that are negative.

    Example:

    >>> from tfrec_models.optimizers import WarmupDecay
    >>> schedule = WarmupDecay(0.8, warmup_steps=2, hold_steps=1, decay_steps=4)
    >>> [round(float(schedule(step)), 2) for step in range(8)]
    [0.4, 0.8, 0.8, 0.8, 0.6, 0.4, 0.2, 0.0]
    """

    def __init__(
        self,
        learning_rate: float,
        warmup_steps: int = 0,
        hold_steps: int = 0,
        decay_steps: int = 0,
        end_learning_rate: float = 0.0,
        power: float = 1.0,
    ) -> None:
        super().__init__()
        numbers = {"learning_rate": learning_rate, "end_learning_rate": end_learning_rate}
        for name, value in {**numbers, "power": power}.items():
            if not value >= 0:
                raise ValueError(f"{name} must be zero or positive, received {value!r}.")
        self.learning_rate = learning_rate
        self.warmup_steps = check_not_negative("warmup_steps", warmup_steps)
        self.hold_steps = check_not_negative("hold_steps", hold_steps)
        self.decay_steps = check_not_negative("decay_steps", decay_steps)
        self.end_learning_rate = end_learning_rate
        self.power = power

    def __call__(self, step):
        step = tf.cast(step, tf.float32)
        rate = tf.constant(self.learning_rate, tf.float32)
        if self.decay_steps:
            after = step - (self.warmup_steps + self.hold_steps)
            left = 1 - tf.clip_by_value(after / self.decay_steps, 0.0, 1.0)
            end = tf.constant(self.end_learning_rate, tf.float32)
            rate = end + (rate - end) * left**self.power
        if self.warmup_steps:
            rate *= tf.minimum((step + 1) / self.warmup_steps, 1.0)
        return rate

    def get_config(self) -> dict[str, Any]:
        return {
            "learning_rate": self.learning_rate,
            "warmup_steps": self.warmup_steps,
            "hold_steps": self.hold_steps,
            "decay_steps": self.decay_steps,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
        }
