"""Metrics of click-through-rate prediction."""

from tfrec_models.metrics.area_under_curve import auc
from tfrec_models.metrics.calibration import Calibration
from tfrec_models.metrics.evaluate_grouped_auc import evaluate_grouped_auc
from tfrec_models.metrics.exact_auc import ExactAUC
from tfrec_models.metrics.grouped_auc import grouped_auc
from tfrec_models.metrics.normalized_entropy import NormalizedEntropy
from tfrec_models.metrics.recalibrated_normalized_entropy import RecalibratedNormalizedEntropy

__all__ = [
    "Calibration",
    "ExactAUC",
    "NormalizedEntropy",
    "RecalibratedNormalizedEntropy",
    "auc",
    "evaluate_grouped_auc",
    "grouped_auc",
]
