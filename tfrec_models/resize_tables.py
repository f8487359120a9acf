"""Growing and shrinking the tables of a model."""

import contextlib
from collections.abc import Mapping
from typing import Any

import keras

from tfrec_models._checks.arguments import check_positive
from tfrec_models.embeddings.find_tables import tables_in
from tfrec_models.optimizers.unwrap import optimizer_parts
from tfrec_models.ranking_model import RankingModel
from tfrec_models.warm_start import copy_table, warm_start


def resize_tables(model: RankingModel, num_embeddings: Mapping[str, int]) -> RankingModel:
    """Returns a model like another with some tables of another size, and the other's weights.

    Rows go to the ids that they belong to, with the state of the optimizer; new rows have initial
    values. With managed ids every id keeps its embedding. Tables with the "hash" policy grow to a
    multiple of their size; of others the first rows stay. The other model stays as it is: drop it,
    and its tables with it, where memory is short.

    Args:
        model: `RankingModel`, built; compiled or not.
        num_embeddings: dict from the names of tables to their new numbers of rows.

    Returns:
        A `RankingModel` of the same class, built, and compiled if the other is.

    Raises:
        TypeError: if `model` is no `RankingModel`.
        ValueError: if the model is not built, a table is unknown, a number of rows is not positive
            or no multiple where ids are hashed, or a table has more ids than the new size.

    Example:

    >>> from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig, SimpleDeepFMNN
    >>> from tfrec_models import resize_tables
    >>> table = EmbeddingBagConfig(100, 8, "t_user", feature_names=["user"], id_policy="managed")
    >>> model = SimpleDeepFMNN(2, EmbeddingBagCollection([table]), 4, 4)
    >>> model.build()
    >>> larger = resize_tables(model, {"t_user": 200})
    >>> larger.embedding_bag_collection.read_table("t_user").shape
    TensorShape([201, 8])
    """
    if not isinstance(model, RankingModel):
        raise TypeError(
            f"model must be a ranking model such as DLRM, received {type(model).__name__}."
        )
    if not model.built:
        raise ValueError("model must be built; call model.build() or train it.")
    sizes = {
        name: check_positive(f"num_embeddings of {name!r}", size)
        for name, size in num_embeddings.items()
    }
    _check_sizes(model, sizes)
    strategy = model.distribute_strategy
    with strategy.scope() if strategy else contextlib.nullcontext():
        resized = type(model).from_config(_with_sizes(model.get_config(), sizes))
        resized.build()
        if model.compiled:
            resized.compile_from_config(model.get_compile_config())
    warm_start(resized, model)
    if model.compiled and model.optimizer.built:
        _copy_state(resized, model)
    return resized


def _check_sizes(model, sizes):
    tables = {table.name: (layer, table) for layer in tables_in(model) for table in layer.tables}
    for name, size in sizes.items():
        if name not in tables:
            raise ValueError(f"No table {name!r} to resize; there are {list(tables)}.")
        layer, table = tables[name]
        if table.is_managed and len(layer.ids_of(name)[0]) > size:
            raise ValueError(
                f"Table {name!r} must keep a row for each of its {len(layer.ids_of(name)[0])} ids, "
                f"received {size} rows. Give it more."
            )
        if table.id_policy == "hash" and size % table.num_embeddings:
            raise ValueError(
                f"Table {name!r} hashes ids to its {table.num_embeddings} rows, so its new size "
                f"must be a multiple of that, received {size}: ids would be those of other rows."
            )


def _with_sizes(config: Any, sizes):
    """A config of Keras with other numbers of rows, wherever in it tables are."""
    if isinstance(config, (list, tuple)):
        return [_with_sizes(part, sizes) for part in config]
    if not isinstance(config, dict):
        return config
    config = {key: _with_sizes(part, sizes) for key, part in config.items()}
    if "num_embeddings" in config and config.get("name") in sizes:
        config["num_embeddings"] = sizes[config["name"]]
    return config


def _copy_state(resized, model):
    """Copies the state of the optimizer, table by table where it has a row for each of theirs."""
    if not resized.optimizer.built:
        resized.optimizer.build(resized.trainable_variables)
    stacks, source_stacks = (_slot_stacks(m.optimizer) for m in (resized, model))
    pairs = zip(resized.optimizer.variables, model.optimizer.variables, strict=True)
    for variable, source in pairs:
        stack = stacks.get(id(variable))
        if stack is None:
            variable.assign(source)
            continue
        for table in stack.tables:
            copy_table(table.name, variable, source, stack, source_stacks[id(source)])


def _slot_stacks(optimizer: keras.optimizers.Optimizer):
    """Dict from the id of each slot of tables to the `TableStack` whose rows it has."""
    return {
        slot: stack
        for part in optimizer_parts(optimizer)
        for slot, stack in getattr(part, "slot_stacks", {}).items()
    }
