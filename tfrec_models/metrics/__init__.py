"""Metrics of click-through-rate prediction."""

from tfrec_models.metrics.exact_auc import auc

__all__ = ["auc"]
