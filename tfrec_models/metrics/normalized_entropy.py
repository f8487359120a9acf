"""Cross entropy relative to that of always predicting the mean label."""

from typing import Any

import keras
import tensorflow as tf

from tfrec_models.metrics._sums_metric import SumsMetric

# TorchRec keeps probabilities and the mean label this far from 0 and 1.
ETA = 1e-12


@keras.saving.register_keras_serializable("tfrec_models")
class NormalizedEntropy(SumsMetric):
    """Cross entropy of the predictions over that of always predicting the mean label.

    Below 1 the model is better than knowing the click-through rate alone; lower is better. Unlike
    the cross entropy it can be compared between data of different click-through rates. With
    labels y, probabilities p, weights w and the mean label q = Σ w y / Σ w:

        NE = Σ w (y log₂ p + (1 - y) log₂(1 - p)) / Σ w (y log₂ q + (1 - y) log₂(1 - q))

    p and q are kept in [1e-12, 1 - 1e-12], as `torchrec.metrics.ne` does, in float64. So labels
    of one class have a value, which is useless and large (unless p is as close to them as q).
    Without an example of positive weight, before the first update included, it is NaN: a 0 would
    be taken for the best value ever.

    States add up over replicas. Inside a step of a strategy the value is that of the replica.

    Paper: He et al., "Practical Lessons from Predicting Clicks on Ads at Facebook", ADKDD 2014.

    Args:
        from_logits: bool, whether `y_pred` is logits instead of probabilities. Defaults to False.
        window: int, over how many of the latest examples: whole updates, the oldest of which
            leave until the rest fit, and at most 1,000 updates. Under a strategy each replica has
            an equal part of the window, rounded up, as in TorchRec. None for all examples since
            the last reset; Keras resets at the start of an epoch.
        name: str. Defaults to "normalized_entropy".
        dtype: dtype of the result. Defaults to `keras.config.floatx()`.

    Input shape:
        `y_true`: `(batch,)` or `(batch, 1)`, 0 or 1.
        `y_pred`: `(batch,)` or `(batch, 1)`, floats.
        `sample_weight`: `(batch,)`, `(batch, 1)` or a scalar, at least 0. In `compile`, metrics
        are weighted if they are given as `weighted_metrics`.

    Output shape:
        scalar.

    Raises:
        ValueError: if a label is neither 0 nor 1, a score NaN or no probability, a weight negative
            or not finite; if a shape does not fit, or a batch is larger than the window. In a
            graph, `tf.errors.InvalidArgumentError` when it runs, unless shapes tell.

    Example:
        >>> from tfrec_models.metrics import NormalizedEntropy
        >>> metric = NormalizedEntropy()
        >>> metric.update_state([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5])
        >>> float(metric.result())
        1.0
    """

    num_sums = 4

    def __init__(
        self,
        from_logits: bool = False,
        window: int | None = None,
        name: str = "normalized_entropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits=from_logits, window=window, name=name, dtype=dtype)

    def summands(self, labels, probabilities, weights):
        probabilities = tf.clip_by_value(probabilities, ETA, 1 - ETA)
        chance = tf.where(labels > 0, probabilities, 1 - probabilities)
        # Not one as the rest of the other: beside a norm of 1e-12 a rounded difference counts.
        positive, negative = weights * labels, weights * (1 - labels)
        return tf.stack([-weights * _log2(chance), weights, positive, negative])

    def value(self, sums):
        entropy, total, positive, negative = sums
        mean = tf.clip_by_value(positive / tf.maximum(total, ETA), ETA, 1 - ETA)
        return entropy / (-positive * _log2(mean) - negative * _log2(1 - mean))


def _log2(x):
    return tf.math.log(x) / tf.math.log(tf.constant(2, x.dtype))
