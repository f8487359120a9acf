"""Growing and shrinking the tables of a model."""

import contextlib
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrec_models._checks.arguments import check_positive
from tfrec_models.embeddings.find_tables import tables_in
from tfrec_models.optimizers.unwrap import optimizer_parts
from tfrec_models.ranking_model import RankingModel
from tfrec_models.warm_start import copy_table, copy_weights

# Rows that are moved at once.
_BLOCK_ROWS = 65_536


def resize_tables(model: RankingModel, num_embeddings: Mapping[str, int]) -> RankingModel:
    """Returns a model like another with some tables of another size, to which its weights move.

    Rows go to the ids that they belong to, with the state of the optimizer; new rows have initial
    values. With managed ids every id keeps its embedding. Tables with the "hash" policy grow to a
    multiple of their size; of others the first rows stay.

    Tables and slots are written to temporary files, which need disk space of their size, and leave
    memory before those of the new model are made. `model` has no rows after that; use the one
    returned.

    Args:
        model: `RankingModel`, built; compiled or not. Its tables are taken.
        num_embeddings: dict from the names of tables to their new numbers of rows.

    Returns:
        A `RankingModel` of the same class, built, and compiled if the other is.

    Raises:
        TypeError: if `model` is no `RankingModel`.
        ValueError: if the model is not built, a table is unknown, a number of rows is not positive
            or no multiple where ids are hashed, or a table has more ids than the new size has
            rows for. The model is as it was then.

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
    with tempfile.TemporaryDirectory() as folder:
        moved = {}
        try:
            for number, variable in enumerate(_variables_of_rows(model)):
                rows = _write_rows(variable, pathlib.Path(folder, f"{number}.rows"))
                moved[id(variable)] = variable, rows
                _replace_rows(variable, rows[:0])
            return _take_over(resized, model, moved)
        # An interrupt too: the rows are in the folder alone.
        except BaseException:
            for variable, rows in moved.values():
                _replace_rows(variable, rows)
            raise


def _take_over(resized, model, moved):
    """Builds a model and gives it what another has; `moved` are the rows of the other's tables."""
    strategy = model.distribute_strategy
    with strategy.scope() if strategy else contextlib.nullcontext():
        resized.build()
        if model.compiled:
            resized.compile_from_config(model.get_compile_config())
    readers = {key: rows.__getitem__ for key, (_, rows) in moved.items()}
    copy_weights(resized, model, lambda variable: readers[id(variable)])
    _check_all_have_rows(resized, model)
    if model.compiled and model.optimizer.built:
        _copy_state(resized, model, readers)
    return resized


def _check_all_have_rows(resized, model):
    """An id may lie in a part of its table alone, and that may be full where others are not."""
    for layer, old_layer in zip(tables_in(resized), tables_in(model), strict=True):
        for table in layer.tables:
            if not table.is_managed:
                continue
            count, needed = (len(one.ids_of(table.name)[0]) for one in (layer, old_layer))
            if count < needed:
                raise ValueError(
                    f"Table {table.name!r} must have a row for each of its {needed} ids in the "
                    f"groups that the id may lie in, received {table.num_embeddings} rows, with "
                    f"none for {needed - count} of them. Give it a few percent more."
                )


def _variables_of_rows(model):
    """The tables of a model, and the slots of its optimizer with a row for each of theirs."""
    tables = [variable for layer in tables_in(model) for variable in layer.table_variables]
    if not model.compiled:
        return tables
    stacks = _slot_stacks(model.optimizer)
    return tables + [slot for slot in model.optimizer.variables if id(slot) in stacks]


def _write_rows(variable, path):
    """Writes a variable to a file; returns the file as an array."""
    shape, dtype = tuple(variable.shape), np.dtype(tf.as_dtype(variable.dtype).as_numpy_dtype)
    rows = np.memmap(path, np.uint8, "w+", shape=(int(np.prod(shape)) * dtype.itemsize,))
    rows = rows.view(dtype).reshape(shape)
    for first in range(0, shape[0], _BLOCK_ROWS):
        block = np.arange(first, min(first + _BLOCK_ROWS, shape[0]))
        rows[block] = tf.gather(variable.value, block).numpy()
    return rows


def _replace_rows(variable, rows):
    """Gives a variable other rows, and as many as they are, where its static shape has another."""
    for copy in getattr(variable.value, "values", None) or (variable.value,):
        with tf.device(copy.device):
            values = tf.constant(rows, copy.dtype)
        tf.raw_ops.AssignVariableOp(resource=copy.handle, value=values, validate_shape=False)


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


def _copy_state(resized, model, readers):
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
        read = readers[id(source)]
        for table in stack.tables:
            copy_table(table.name, variable, read, stack, source_stacks[id(source)])


def _slot_stacks(optimizer: keras.optimizers.Optimizer):
    """Dict from the id of each slot of tables to the `TableStack` whose rows it has."""
    return {
        slot: stack
        for part in optimizer_parts(optimizer)
        for slot, stack in getattr(part, "slot_stacks", {}).items()
    }
