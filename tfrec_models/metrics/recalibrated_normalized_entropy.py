"""Normalized entropy of predictions mapped back to the rate before downsampling."""

from typing import Any

import keras

from tfrec_models.metrics.normalized_entropy import NormalizedEntropy


@keras.saving.register_keras_serializable("tfrec_models")
class RecalibratedNormalizedEntropy(NormalizedEntropy):
    """Normalized entropy of a model that was trained on downsampled negatives.

    A model that saw only a share c of the negatives predicts too many clicks. Its probabilities
    p are mapped back before they are compared with labels that are not downsampled:

        p' = p / (p + (1 - p) / c)

    The value is then that of `NormalizedEntropy`, and what is said there holds, of windows,
    replicas, undefined values and errors. With c = 1 both are equal. TorchRec has the same as
    `recalibrated_ne`.

    Paper: He et al., "Practical Lessons from Predicting Clicks on Ads at Facebook", ADKDD 2014,
    section 6.3.

    Args:
        recalibration_coefficient: float above 0, c, the share of the negatives that was trained
            on. Defaults to 1.0.
        from_logits: bool, whether `y_pred` is logits instead of probabilities. Defaults to False.
        window: int, over how many of the latest examples; None for all since the last reset.
        name: str. Defaults to "recalibrated_normalized_entropy".
        dtype: dtype of the result. Defaults to `keras.config.floatx()`.

    Input shape:
        that of `NormalizedEntropy`.

    Output shape:
        scalar.

    Raises:
        ValueError: if the coefficient is not a finite number above 0; else as `NormalizedEntropy`.

    Example:
        >>> from tfrec_models.metrics import RecalibratedNormalizedEntropy
        >>> metric = RecalibratedNormalizedEntropy(recalibration_coefficient=0.25)
        >>> metric.update_state([0, 0, 0, 0, 1], [0.5, 0.5, 0.5, 0.5, 0.5])
        >>> round(float(metric.result()), 6)
        1.0
    """

    def __init__(
        self,
        recalibration_coefficient: float = 1.0,
        from_logits: bool = False,
        window: int | None = None,
        name: str = "recalibrated_normalized_entropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits=from_logits, window=window, name=name, dtype=dtype)
        if not 0 < recalibration_coefficient < float("inf"):
            raise ValueError(
                "recalibration_coefficient must be a finite number above 0, received "
                f"{recalibration_coefficient!r}."
            )
        self.recalibration_coefficient = float(recalibration_coefficient)

    def summands(self, labels, probabilities, weights):
        odds = (1 - probabilities) / self.recalibration_coefficient
        return super().summands(labels, probabilities / (probabilities + odds), weights)

    def get_config(self):
        coefficient = {"recalibration_coefficient": self.recalibration_coefficient}
        return {**super().get_config(), **coefficient}
