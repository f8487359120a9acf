"""Checks that a model with managed ids can be trained."""

from typing import Any

import keras

from tfrec_models.embeddings.find_tables import tables_in
from tfrec_models.embeddings.id_map import check_strategy
from tfrec_models.optimizers.unwrap import table_optimizer


def check_managed_ids(model: keras.Model, optimizer: Any) -> None:
    """Refuses what cannot train the tables of a model whose ids are managed.

    Args:
        model: `keras.Model` that is being compiled.
        optimizer: `keras.optimizers.Optimizer`.

    Raises:
        ValueError: on parameter servers; on an optimizer of Keras with a state, which would pass
            from one id of a row to the next.
    """
    managed = [
        table.name for layer in tables_in(model) for table in layer.tables if table.is_managed
    ]
    if not managed:
        return
    check_strategy(model.distribute_strategy)
    optimizer = table_optimizer(optimizer)
    is_keras = type(optimizer).__module__.startswith("keras.")
    is_stateless = type(optimizer) is keras.optimizers.SGD and not optimizer.momentum
    if is_keras and not is_stateless:
        raise ValueError(
            f"Tables with managed ids, {managed}, need an optimizer that resets the state of rows "
            f"that change their id, received keras.optimizers.{type(optimizer).__name__}. Use one "
            "of tfrec_models.optimizers, with a CompositeOptimizer to keep it for the dense layers."
        )
