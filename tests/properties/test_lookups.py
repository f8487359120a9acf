"""Lookups of random tables and bags: native = stock = NumPy, forward, gradient and update.

`pytest tests/properties --examples 100000` tries more of them, a hundredth of that on each property
here and the rest in `test_traced_lookups.py`. It prints its seed; `--hypothesis-seed` sets it.
"""

import contextlib
import functools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.examples import share
from tests.support.random_lookups import lookups
from tests.support.row_updates import OPTIMIZERS
from tfrec_models import native
from tfrec_models.testing import TestCase

CASE = TestCase()
TOLERANCE = {"float32": 1e-4, "float64": 1e-4, "bfloat16": 0.1, "float16": 0.02}


def paths():
    """The ways a lookup may go on this machine; without a compiler there is one."""
    return [True, False] if native.is_native_available() else [False]


def run(lookup, kernels, function, *arguments):
    """Calls `function` on one path, in a graph or eagerly as the lookup says."""
    with contextlib.nullcontext() if kernels else native.native_disabled():
        return (tf.function(function) if lookup.in_graph else function)(*arguments)


@share(0.01)
@given(lookup=lookups(dtypes=["float32", "float64", "bfloat16", "float16"]))
def test_pooled_embeddings(lookup):
    """Of tables of every dtype, in training and in inference."""
    layer = lookup.layer()
    rows = {name: np.float64(layer.read_table(name)) for name in lookup.start()}
    expected = lookup.pooled(rows)
    tolerance = max(TOLERANCE[table.data_type] for table in lookup.tables)
    for kernels in paths():
        for training in (True, False):
            call = functools.partial(layer, training=training)
            pooled = run(lookup, kernels, call, lookup.inputs())
            CASE.assertAllClose(pooled.values(), expected, rtol=tolerance, atol=tolerance)
            assert pooled.keys() == layer.embedding_names


@share(0.01)
@given(lookup=lookups(pooled=False))
def test_unpooled_rows(lookup):
    """The row of every id that counts, in order, and the lengths that are left."""
    layer = lookup.layer()
    rows = lookup.start()
    for kernels in paths():
        found = run(lookup, kernels, layer, lookup.inputs())
        for name, (table, feature) in zip(layer.embedding_names, lookup.columns, strict=True):
            occurrences = lookup.occurrences(table, feature)
            wanted = [rows[table.name][row] for _, row, _ in occurrences]
            wanted = np.reshape(wanted, (-1, table.embedding_dim))
            CASE.assertAllClose(found[name].values(), wanted)
            examples = [example for example, *_ in occurrences]
            lengths = np.bincount(examples, minlength=lookup.batch_size)
            CASE.assertAllEqual(found[name].lengths(), lengths)


@share(0.01)
@given(lookup=lookups(), name=st.sampled_from(sorted(OPTIMIZERS)))
def test_gradients_and_one_step(lookup, name):
    """The gradient of every table, and the tables after one step of an optimizer."""
    make, rule, settings = OPTIMIZERS[name]
    upstream = lookup.numbers("upstream", *lookup.pooled(lookup.start()).shape)
    by_table = lookup.row_gradients(upstream)
    sums, after = {}, {}
    for table, start in lookup.start().items():
        values, rows = by_table[table]
        sums[table] = np.zeros_like(start)
        np.add.at(sums[table], np.array(rows, int), np.reshape(values, (-1, start.shape[1])))
        # Where gradients cancel out, what an optimizer makes of the rest is a matter of rounding.
        largest = max((np.abs(value).max() for value in values), default=0)
        assume(not ((np.abs(sums[table]) < 1e-4 * largest) & (sums[table] != 0)).any())
        expected = rule(np.float32(start), **settings)
        if rows:
            expected.step(values, rows)
        after[table] = expected.w
    for kernels in paths():
        layer, optimizer = lookup.layer(), make()
        variables = [variable.value for variable in layer.table_variables]
        optimizer.build(layer.trainable_variables)

        def step(inputs, layer=layer, optimizer=optimizer, variables=variables):
            with tf.GradientTape() as tape:
                pooled = layer(inputs, training=True).values()
                loss = tf.reduce_sum(pooled * tf.cast(upstream, pooled.dtype))
            gradients = tape.gradient(loss, variables)
            optimizer.apply(gradients, layer.trainable_variables)
            return [tf.convert_to_tensor(gradient) for gradient in gradients]

        gradients = run(lookup, kernels, step, lookup.inputs())
        for table in sums:
            variable, stack = layer.stack_of(table)
            number = [each is variable for each in layer.table_variables].index(True)
            first, count = stack.rows_of(table)
            found = gradients[number][first : first + count]
            CASE.assertAllClose(found, sums[table], rtol=1e-4, atol=1e-5)
            CASE.assertAllClose(layer.read_table(table), after[table], rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("kernels")
def test_native_kernels_are_tried():
    """Where a compiler is, the properties above compare both paths."""
    assert paths() == [True, False]
