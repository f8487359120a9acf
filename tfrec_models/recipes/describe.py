"""Says what a recipe's model takes, without making its tables."""

import dataclasses
import time

import numpy as np
import tensorflow as tf

from tfrec_models._rows.variables import tf_variable
from tfrec_models.datasets.schema import Schema
from tfrec_models.embeddings.embedding_bag_collection import EmbeddingBagCollection
from tfrec_models.embeddings.find_tables import tables_in
from tfrec_models.recipes._matrix_products import product_flops
from tfrec_models.recipes.build_model import build_tables, uncompiled_model
from tfrec_models.recipes.build_optimizer import build_optimizer
from tfrec_models.recipes.build_schema import build_schema
from tfrec_models.recipes.recipe import Recipe
from tfrec_models.recipes.recipe_description import RecipeDescription

_GATHERED_ROWS, _TABLE_ROWS = 1 << 14, 1 << 20
_MATRIX = 1024


def describe(recipe: Recipe, schema: Schema | None = None) -> RecipeDescription:
    """Parameters, memory, operations and bytes of a recipe's model, tables of any size.

    The model is made with tables of one row, so that one too large for this machine can be
    described. Bags have as many ids as the schema's `max_length`, or one. How fast this machine
    multiplies matrices and reads rows is measured, in under a second.

    Args:
        recipe: `Recipe`.
        schema: `Schema`, or None for the recipe's, as `build_schema` gives it.

    Raises:
        FileNotFoundError: if sizes of tables are learned from files that are not there.
        ValueError: if the recipe's model cannot be made.

    Example:

    >>> from tfrec_models.recipes import Recipe, describe
    >>> recipe = Recipe().override([
    ...     "data.schema=criteo", "data.schema_arguments.num_ids=1000",
    ...     "model.dense_arch_layer_sizes=[32, 16]", "model.over_arch_layer_sizes=[32, 1]",
    ... ])
    >>> described = describe(recipe)
    >>> described.table_parameters, described.lookup_bytes
    (416000, 1664.0)
    """
    schema = schema or build_schema(recipe)
    tables = build_tables(recipe, schema)
    twin = uncompiled_model(recipe, _with_one_row(tables), schema.num_dense)
    twin.build()
    optimizer = build_optimizer(recipe)
    optimizer.build(twin.trainable_variables)
    lengths = {column.name: float(column.max_length or 1) for column in schema.sparse}
    rows = {table.name: table.num_rows for table in tables.tables}
    totals = dict.fromkeys(("parameters", "bytes", "slots", "looked_up", "updated"), 0.0)
    for collection in tables_in(twin):
        for table in collection.tables:
            variable, _ = collection.stack_of(table.name)
            slots = optimizer.embedding_optimizer.slots_of(variable)
            row = _row_bytes(variable)
            slot = sum(_row_bytes(value) for value in slots.values())
            ids = sum(lengths[feature] for feature in table.feature_names)
            totals["parameters"] += rows[table.name] * table.embedding_dim
            totals["bytes"] += rows[table.name] * row
            totals["slots"] += rows[table.name] * slot
            totals["looked_up"] += ids * row
            totals["updated"] += ids * 2 * (row + slot)
    dense = [v for v in twin.weights if not optimizer.is_embedding(v)]
    dense_slots = optimizer.dense_optimizer.variables
    return RecipeDescription(
        name=recipe.name,
        tables={table.name: (table.num_rows, table.embedding_dim) for table in tables.tables},
        table_parameters=int(totals["parameters"]),
        dense_parameters=sum(int(np.prod(v.shape)) for v in dense),
        table_bytes=int(totals["bytes"]),
        slot_bytes=int(totals["slots"] + sum(map(_bytes, dense_slots))),
        dense_bytes=sum(map(_bytes, dense)),
        ids=sum(lengths[feature] for feature in schema.sparse_feature_names),
        lookup_bytes=totals["looked_up"],
        update_bytes=totals["updated"],
        flops=_flops(twin, schema),
        batch_size=recipe.data.batch_size,
        flops_per_second=_flops_per_second(),
        bytes_per_second=_bytes_per_second(recipe.tables.dim),
    )


def _with_one_row(collection):
    return EmbeddingBagCollection(
        [
            dataclasses.replace(table, num_embeddings=1, init_fn="zeros")
            for table in collection.tables
        ],
        is_weighted=collection.is_weighted,
        dtype=collection.dtype_policy,
    )


def _bytes(variable):
    value = tf_variable(variable)
    return int(np.prod(value.shape)) * value.dtype.size


def _row_bytes(variable):
    return _bytes(variable) / variable.shape[0]


def _flops(model, schema):
    """Those of the matrix products of a forward pass of one example."""
    features = len(model.sparse_feature_names)
    specs = [
        tf.TensorSpec((1, schema.num_dense), tf.float32),
        tf.TensorSpec((1, features), tf.int64),
    ]

    def forward(dense_features, ids):
        sparse = (ids, tf.ones_like(ids, tf.float32)) if schema.is_weighted else ids
        return model(dense_features, sparse, training=False)

    return product_flops(forward, *specs)


def _flops_per_second():
    matrix = tf.random.stateless_normal((_MATRIX, _MATRIX), (0, 1))
    return 2 * _MATRIX**3 / _seconds(lambda: tf.matmul(matrix, matrix))


def _bytes_per_second(dim):
    table = tf.zeros((_TABLE_ROWS, dim))
    shape = (_GATHERED_ROWS,)
    rows = tf.random.stateless_uniform(shape, (0, 1), 0, _TABLE_ROWS, tf.int64)
    return _GATHERED_ROWS * dim * 4 / _seconds(lambda: tf.gather(table, rows))


def _seconds(work):
    """The shortest of several runs."""
    work()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        work().numpy()
        times.append(time.perf_counter() - start)
    return min(times)
