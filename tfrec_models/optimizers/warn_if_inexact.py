"""Warning about Keras optimizers that are inexact on embedding tables."""

import warnings
from typing import Any

import keras

from tfrec_models.optimizers.base_row_optimizer import RowOptimizer
from tfrec_models.optimizers.unwrap import table_optimizer

_ADAM_FAMILY = ("Adam", "AdamW", "Adamax", "Nadam")
_REPLACEMENTS = {"Adagrad": "Adagrad", "Ftrl": "Ftrl", "SGD": "SGD"} | dict.fromkeys(
    _ADAM_FAMILY, "LazyAdam"
)


def warn_if_inexact(optimizer: Any) -> None:
    """Warns when a Keras optimizer is about to train embedding tables.

    Keras's Adagrad, Adam, RMSprop and Ftrl square the gradients of repeated ids one by one where
    the definition squares their sum, and walk whole tables at every step. Keras's SGD without
    momentum is exact and fast, and is accepted, as are optimizers that are not Keras's.

    Args:
        optimizer: What was passed to `compile`. Of a `CompositeOptimizer` only the embedding part
            counts; a `LossScaleOptimizer` is looked through.

    Example:

    >>> import keras
    >>> from tfrec_models.optimizers import RowWiseAdagrad, warn_if_inexact
    >>> warn_if_inexact(RowWiseAdagrad())
    """
    optimizer = table_optimizer(optimizer)
    cls = type(optimizer)
    if isinstance(optimizer, RowOptimizer) or not cls.__module__.startswith("keras."):
        return
    if cls is keras.optimizers.SGD and not optimizer.momentum:
        return
    replacement = f"tfrec_models.optimizers.{_REPLACEMENTS.get(cls.__name__, 'RowWiseAdagrad')}"
    fault = (
        "walks every row of every embedding table at each step"
        if cls is keras.optimizers.SGD
        else "is wrong for ids that repeat in a batch and walks every row of every embedding table "
        "at each step"
    )
    warnings.warn(
        f"keras.optimizers.{cls.__name__} {fault}. Use {replacement}, or "
        f"tfrec_models.optimizers.CompositeOptimizer({replacement}(...), "
        f"keras.optimizers.{cls.__name__}(...)) to keep it for the dense layers.",
        UserWarning,
        stacklevel=3,
    )
