"""Predicted clicks over clicks."""

from typing import Any

import keras
import tensorflow as tf

from tfrec_models.metrics._sums_metric import SumsMetric


@keras.saving.register_keras_serializable("tfrec_models")
class Calibration(SumsMetric):
    """Predicted clicks over clicks: 1 where a model predicts as many as there were.

    Above 1 it predicts too many. With labels y, probabilities p and weights w:

        calibration = Σ w p / Σ w y

    Where no positive label has weight, before the first update included, it is 0, as in
    `torchrec.metrics.calibration`. States are float64 and add up over replicas. Inside a step of
    a strategy the value is that of the replica.

    Paper: He et al., "Practical Lessons from Predicting Clicks on Ads at Facebook", ADKDD 2014.

    Args:
        from_logits: bool, whether `y_pred` is logits instead of probabilities. Defaults to False.
        window: int, over how many of the latest examples; None for all since the last reset. See
            `NormalizedEntropy`.
        name: str. Defaults to "calibration".
        dtype: dtype of the result. Defaults to `keras.config.floatx()`.

    Input shape:
        that of `NormalizedEntropy`.

    Output shape:
        scalar.

    Raises:
        ValueError: as `NormalizedEntropy`.

    Example:
        >>> from tfrec_models.metrics import Calibration
        >>> metric = Calibration()
        >>> metric.update_state([0, 0, 0, 1], [0.5, 0.25, 0.5, 0.75])
        >>> float(metric.result())
        2.0
    """

    num_sums = 2

    def __init__(
        self,
        from_logits: bool = False,
        window: int | None = None,
        name: str = "calibration",
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits=from_logits, window=window, name=name, dtype=dtype)

    def summands(self, labels, probabilities, weights):
        return tf.stack([probabilities, labels]) * weights

    def value(self, sums):
        predicted, clicks = sums
        return tf.math.divide_no_nan(predicted, clicks)
