"""Starting a model from the weights of another."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from tfrec_models._compat.keras import all_layers
from tfrec_models.distribute.checkpoint import checkpoint_names
from tfrec_models.embeddings.embedding_tables import EmbeddingTables
from tfrec_models.embeddings.find_tables import tables_in

# Rows that are copied at once.
_BLOCK_ROWS = 65_536


@dataclasses.dataclass
class WarmStart:
    """What `warm_start` copied, and what it left as it was.

    Args:
        copied: list of str, the names of the tables and variables that were copied.
        left: dict from the name of each that keeps its initial value to the reason.

    Example:

    >>> from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig, SimpleDeepFMNN
    >>> from tfrec_models import warm_start
    >>> def make(hidden_layer_size):
    ...     table = EmbeddingBagConfig(9, 8, "t1")
    ...     model = SimpleDeepFMNN(2, EmbeddingBagCollection([table]), hidden_layer_size, 4)
    ...     model.build()
    ...     return model
    >>> found = warm_start(make(4), make(6))
    >>> "t1" in found.copied, len(found.left) > 0
    (True, True)
    """

    copied: list[str] = dataclasses.field(default_factory=list)
    left: dict[str, str] = dataclasses.field(default_factory=dict)


def warm_start(model: keras.Model, from_model: keras.Model) -> WarmStart:
    """Copies the tables and variables of another model that fit by name.

    Tables are copied by id: with managed ids each id takes its embedding along, those used last
    first; of others the rows of the ids that both have. A table whose ids are hashed is copied if
    its size is a multiple of the other's. Other variables are copied where path and shape agree.

    Args:
        model: `keras.Model`, built; what has no counterpart keeps its values.
        from_model: `keras.Model`, built.

    Returns:
        `WarmStart`, what was copied, and what was not and why.

    Raises:
        TypeError: if one is no `keras.Model`.
        ValueError: if one is not built.

    Example:

    >>> from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig, SimpleDeepFMNN
    >>> from tfrec_models import warm_start
    >>> def make(rows):
    ...     table = EmbeddingBagConfig(rows, 8, "t1", feature_names=["f1"])
    ...     model = SimpleDeepFMNN(2, EmbeddingBagCollection([table]), 4, 4)
    ...     model.build()
    ...     return model
    >>> warm_start(make(200), make(100)).left
    {}
    """
    for argument, value in (("model", model), ("from_model", from_model)):
        if not isinstance(value, keras.Model):
            raise TypeError(f"{argument} must be a keras.Model, received {type(value).__name__}.")
        if not value.built:
            raise ValueError(f"{argument} must be built; call it on a batch, or its build().")
    return copy_weights(model, from_model, rows_of)


def rows_of(variable):
    """Returns a function from numbers of rows, an int array, to those of a variable."""
    return lambda rows: tf.gather(variable.value, rows)


def copy_weights(model, from_model, reader):
    """As `warm_start`.

    Args:
        model, from_model: as there.
        reader: function of a variable of tables of `from_model`, as `rows_of`.
    """
    report = WarmStart()
    _copy_tables(model, from_model, report, reader)
    ours, theirs = _other_variables(model), _other_variables(from_model)
    for name, variable in ours.items():
        if name not in theirs:
            report.left[name] = "the other model has none of this name"
        elif theirs[name].shape != variable.shape:
            report.left[name] = (
                f"shape {tuple(theirs[name].shape)} there, {tuple(variable.shape)} here"
            )
        else:
            variable.assign(theirs[name])
            report.copied.append(name)
    return report


def _copy_tables(model, from_model, report, reader):
    sources = {
        table.name: (layer, table) for layer in tables_in(from_model) for table in layer.tables
    }
    for layer in tables_in(model):
        for table in layer.tables:
            if table.name not in sources:
                report.left[table.name] = "the other model has no table of this name"
                continue
            source_layer, source = sources[table.name]
            variable, stack = layer.stack_of(table.name)
            source_variable, source_stack = source_layer.stack_of(table.name)
            report.left[table.name] = _difference(table, source)
            if report.left[table.name]:
                continue
            if table.is_managed:
                stack.id_map.take_over(source_stack.id_map, table.name)
            copy_table(table.name, variable, reader(source_variable), stack, source_stack)
            del report.left[table.name]
            report.copied.append(table.name)


def copy_table(name, variable, read, stack, source_stack):
    """Copies the rows of the ids that a table has in both of two stacks.

    Args:
        name: str, the table's name in both.
        variable: `keras.Variable`, that of the stack or a slot of an optimizer.
        read: function from numbers of rows of the source stack to its values, as `rows_of`.
        stack, source_stack: `TableStack`.
    """
    old, new = _rows_of_both(name, stack, source_stack)
    old, new = source_stack.first_rows[name] + old, stack.first_rows[name] + new
    # By blocks, without a dense read of either variable.
    for first in range(0, len(old), _BLOCK_ROWS):
        block = slice(first, first + _BLOCK_ROWS)
        values = tf.cast(read(old[block]), variable.dtype)
        slices = tf.IndexedSlices(values, tf.constant(new[block], tf.int64))
        for copy in getattr(variable.value, "values", None) or (variable.value,):
            copy.scatter_update(slices)


def _rows_of_both(name, stack, source_stack):
    """Returns the rows, counted within each table, that belong to one id: (there, here)."""
    table, source = stack.table(name), source_stack.table(name)
    if table.is_managed:
        old_ids, old = source_stack.id_map.ids_of(name)
        ids, new = stack.id_map.ids_of(name)
        _, first, second = np.intersect1d(old_ids, ids, assume_unique=True, return_indices=True)
        old, new = old[first], new[second]
    elif table.id_policy == "hash":
        new = np.arange(table.num_embeddings)
        old = new % source.num_embeddings
    else:
        old = new = np.arange(min(table.num_embeddings, source.num_embeddings))
    if table.num_rows > table.num_embeddings:
        old, new = np.append(old, source.num_embeddings), np.append(new, table.num_embeddings)
    return old, new


def _difference(table, source):
    """Why a table cannot be copied, or ""."""
    if table.embedding_dim != source.embedding_dim:
        return f"embedding_dim {source.embedding_dim} there, {table.embedding_dim} here"
    if table.is_managed != source.is_managed or table.row_policy != source.row_policy:
        return f"id_policy {source.id_policy!r} there, {table.id_policy!r} here"
    if table.id_policy == "hash" and table.num_embeddings % source.num_embeddings:
        return (
            f"ids are hashed to {source.num_embeddings} rows there and to {table.num_embeddings} "
            "here, which is no multiple"
        )
    return ""


def _other_variables(model):
    """Name to variable of all that is not a table or its id map."""
    own = {
        id(variable)
        for layer in all_layers(model)
        if isinstance(layer, EmbeddingTables)
        for variable in layer.weights
    }
    others = [variable for variable in model.variables if id(variable) not in own]
    return dict(zip(checkpoint_names([v.path for v in others]), others, strict=True))
