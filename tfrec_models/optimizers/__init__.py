"""Optimizers that update embedding rows exactly, at a cost that does not grow with the table."""

from tfrec_models.optimizers.adagrad import Adagrad
from tfrec_models.optimizers.adam import Adam
from tfrec_models.optimizers.composite_optimizer import CompositeOptimizer
from tfrec_models.optimizers.ftrl import Ftrl
from tfrec_models.optimizers.lazy_adam import LazyAdam
from tfrec_models.optimizers.loss_scale_optimizer import LossScaleOptimizer
from tfrec_models.optimizers.row_wise_adagrad import RowWiseAdagrad
from tfrec_models.optimizers.sgd import SGD
from tfrec_models.optimizers.warmup_decay import WarmupDecay
from tfrec_models.optimizers.warn_if_inexact import warn_if_inexact

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "CompositeOptimizer",
    "Ftrl",
    "LazyAdam",
    "LossScaleOptimizer",
    "RowWiseAdagrad",
    "WarmupDecay",
    "warn_if_inexact",
]
