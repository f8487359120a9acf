"""Whether an optimizer keeps the ids that a row belongs to in turn apart."""

import traceback
from collections.abc import Sequence
from typing import Any

import keras

from tfrec_models.optimizers.unwrap import table_optimizer


def check_keeps_rows_apart(managed: Sequence[str], optimizer: Any) -> None:
    """Refuses an optimizer of Keras with a state, which would pass from one id to the next.

    Args:
        managed: list of str, names of tables with managed ids.
        optimizer: `keras.optimizers.Optimizer`, or None.

    Raises:
        ValueError: if it is one.
    """
    optimizer = table_optimizer(optimizer)
    is_keras = type(optimizer).__module__.startswith("keras.")
    is_stateless = type(optimizer) is keras.optimizers.SGD and not optimizer.momentum
    if is_keras and not is_stateless:
        raise ValueError(
            f"Tables with managed ids, {list(managed)}, need an optimizer that resets the state of "
            "rows that change their id, received "
            f"keras.optimizers.{type(optimizer).__name__}. Use one of tfrec_models.optimizers, "
            "with a CompositeOptimizer to keep it for the dense layers."
        )


def check_running_fit(managed: Sequence[str]) -> None:
    """As `check_keeps_rows_apart`, for the model whose `train_step` is on the stack, if one is.

    A model of the user's own is compiled without a call of ours; its lookups in a training step are
    the first that we see of it. A training loop without `train_step` is not seen.

    Args:
        managed: list of str, names of tables with managed ids.
    """
    for frame, _ in traceback.walk_stack(None):
        # AutoGraph gives what it converts another prefix.
        if frame.f_code.co_name.endswith("train_step"):
            model = frame.f_locals.get("self")
            if isinstance(model, keras.Model) and getattr(model, "optimizer", None) is not None:
                check_keeps_rows_apart(managed, model.optimizer)
