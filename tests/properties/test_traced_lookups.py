"""Many batches through a few traced lookups: native = stock = NumPy, forward and one step.

A trace takes a hundred times as long as a batch: it is made once for each of a few sets of tables,
and given batches that hypothesis draws. `pytest tests/properties --examples 100000` makes most of
its examples of these.
"""

import functools
import random

import numpy as np
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import asked, share
from tests.support.random_lookups import FORMS, POLICIES, Lookup
from tests.support.row_updates import OPTIMIZERS
from tfrec_models import EmbeddingBagConfig, KeyedJaggedTensor, execution, native

NAMES = ["f0", "f1", "f2"]
OUTSIDE = [-1, -(2**31), 2**31 - 1, -7, 6, 1000]
MANY = ("ragged", "mixed", "packed_ragged", "kjt")


def random_tables(number):
    """The tables of the lookup of that number, and whether its bags are weighted."""
    choose = random.Random(number)
    is_weighted, dim = choose.random() < 0.4, choose.randint(1, 5)
    return is_weighted, [
        EmbeddingBagConfig(
            choose.randint(1, 6),
            choose.choice([dim, 4]),
            f"t{i}",
            feature_names=choose.sample(NAMES, choose.randint(1, 3)),
            pooling="SUM" if is_weighted else choose.choice(["SUM", "MEAN"]),
            id_policy=choose.choice(POLICIES),
        )
        for i in range(choose.randint(1, 3))
    ]


class Traced:
    """One lookup and an optimizer, traced with the kernels and without.

    Every form of input and every optimizer comes in turn.
    """

    def __init__(self, number):
        self.is_weighted, self.tables = random_tables(number)
        self.form = FORMS[number % len(FORMS)]
        self.id_dtype = tf.int32 if number % 4 == 1 else tf.int64
        self.make, self.rule, self.settings = OPTIMIZERS[sorted(OPTIMIZERS)[number % 9]]
        self.features = list(
            dict.fromkeys(name for table in self.tables for name in table.feature_names)
        )
        self.layer = self.batch([[]] * len(self.features), 0).layer()
        with execution.portable():
            self.infer = self._traced(lambda inputs, upstream: self.layer(inputs, training=False))
        kernels = [True, False] if native.is_native_available() else [False]
        self.steps = []
        for uses_kernels in kernels:
            with execution.changed(kernels=uses_kernels):
                self.steps.append(self._traced(self._step()))

    def batch(self, bags, seed):
        """A `Lookup` of these tables; `bags` are those of each feature."""
        bags = dict(zip(self.features, bags, strict=True))
        return Lookup(self.tables, bags, self.is_weighted, self.form, "int64", seed)

    def ids_of(self, feature):
        """Ids that each table of a feature takes; the first lie in all of them."""
        tables = [table for table in self.tables if feature in table.feature_names]
        strict = [table.num_embeddings for table in tables if table.id_policy == "error"]
        inside = list(range(min(strict) if strict else 6))
        return inside if strict else inside + OUTSIDE

    def stacked(self, rows):
        """The values of the variables for a dict of the rows of each table."""
        values = []
        for stack, variable in zip(
            self.layer.table_stacks, self.layer.table_variables, strict=True
        ):
            values.append(np.zeros(variable.shape, "float32"))
            for name in stack.first_rows:
                first, count = stack.rows_of(name)
                values[-1][first : first + count] = rows[name]
        return values

    def _traced(self, function):
        """A function of flat arrays that starts from given tables and returns what is left."""
        variables = [variable.value for variable in self.layer.table_variables]
        signature = [tf.TensorSpec([None, len(self.features)], tf.int64)]
        signature += [tf.TensorSpec([None], tf.int64), tf.TensorSpec([None])]
        signature += [tf.TensorSpec([None, None])]
        signature += [[tf.TensorSpec(variable.shape) for variable in variables]]

        @functools.partial(tf.function, input_signature=signature, autograph=False)
        def run(lengths, ids, weights, upstream, start):
            for variable, value in zip(variables, start, strict=True):
                variable.assign(value)
            pooled = function(self._formed(lengths, ids, weights), upstream)
            return pooled.values(), [tf.identity(variable) for variable in variables]

        return run.get_concrete_function()

    def _step(self):
        optimizer, variables = self.make(), [v.value for v in self.layer.table_variables]
        optimizer.build(self.layer.trainable_variables)
        fresh = [tf.constant(variable.numpy()) for variable in optimizer.variables]

        def step(inputs, upstream):
            for variable, value in zip(optimizer.variables, fresh, strict=True):
                variable.assign(value)
            with tf.GradientTape() as tape:
                pooled = self.layer(inputs, training=True)
                loss = tf.reduce_sum(pooled.values() * upstream)
            optimizer.apply(tape.gradient(loss, variables), self.layer.trainable_variables)
            return pooled

        return step

    def _formed(self, lengths, ids, weights):
        """The input in its form, of arrays that hold one feature after the other."""
        sizes = tf.reduce_sum(lengths, axis=0)
        parts = [tf.cast(ids, self.id_dtype)] + [weights] * self.is_weighted
        by_feature = [
            [
                tf.RaggedTensor.from_row_lengths(values, lengths[:, i])
                for i, values in enumerate(tf.split(part, sizes, num=len(self.features)))
            ]
            for part in parts
        ]
        if self.form == "kjt":
            return KeyedJaggedTensor.from_dict(
                *(dict(zip(self.features, each, strict=True)) for each in by_feature)
            )
        if self.form.startswith("packed"):
            formed = [tf.stack(each, axis=1) for each in by_feature]
            if self.form == "packed_ids":
                formed = [self._dense(each.flat_values, each.nrows(), True) for each in formed]
            return tuple(formed) if self.is_weighted else formed[0]
        is_dense = [
            self.form == "dense" or (self.form == "mixed" and i % 2 == 0)
            for i in range(len(self.features))
        ]
        formed = [
            [self._dense(each.values, each.nrows()) if dense else each for each, dense in pairs]
            for pairs in (zip(part, is_dense, strict=True) for part in by_feature)
        ]
        columns = zip(*formed, strict=True) if self.is_weighted else formed[0]
        return dict(zip(self.features, columns, strict=True))

    def _dense(self, values, count, is_packed=False):
        """A matrix of bags of one length."""
        features = [len(self.features)] if is_packed else []
        bags = tf.maximum(count, 1) * (len(self.features) if is_packed else 1)
        length = tf.size(values, tf.int64) // bags
        matrix = tf.reshape(values, tf.stack([count, *features, length]))
        return tf.ensure_shape(matrix, [None, *features, None])


traced = functools.cache(Traced)


@st.composite
def batches(draw, count):
    """Draws a traced lookup and a batch for it. Of bytes, for a draw takes longer than a step."""
    lookup = traced(draw(st.integers(0, count - 1)))
    size, features = draw(st.integers(0, 6)), lookup.features
    lengths = np.frombuffer(draw(st.binary(min_size=18, max_size=18)), "uint8")
    lengths = lengths[: 6 * len(features)].reshape(6, -1)[:size] % 5
    if lookup.form == "packed_ids":
        lengths = np.broadcast_to(1 + lengths[:1, :1] % 3, lengths.shape)
    for column in range(len(features)):
        if lookup.form == "dense" or (lookup.form == "mixed" and column % 2 == 0):
            lengths[:, column] = 1 + lengths[:1, column] % 3
    count = int(lengths.sum())
    drawn = iter(draw(st.binary(min_size=count, max_size=count)))
    bags = []
    for column, name in enumerate(features):
        known = lookup.ids_of(name)
        bags.append(
            [[known[next(drawn) % len(known)] for _ in range(n)] for n in lengths[:, column]]
        )
    return lookup, np.int64(lengths), lookup.batch(bags, draw(st.integers(0, 2**31 - 1)))


@share(0.97)
@given(drawn=batches(1 + asked() // 2500))
def test_batches(drawn):
    """Pooled embeddings, and the tables after one step, of every batch."""
    lookup, lengths, batch = drawn
    start = {name: np.float32(rows) for name, rows in batch.start().items()}
    pooled = batch.pooled(start)
    upstream = batch.numbers("upstream", *pooled.shape)
    weights = [np.concatenate([*bags, ()]) for bags in batch.weights().values()]
    ids = [number for bags in batch.bags.values() for bag in bags for number in bag]
    arrays = [
        tf.constant(lengths),
        tf.constant(ids, tf.int64, [len(ids)]),
        tf.constant(np.concatenate(weights), tf.float32),
        tf.constant(upstream, tf.float32),
        [tf.constant(values) for values in lookup.stacked(start)],
    ]
    after, comparable = tables_after(lookup, batch, start, upstream)
    for step in lookup.steps:
        found, tables = step(*arrays)
        np.testing.assert_allclose(found, pooled, rtol=1e-4, atol=1e-4)
        for table, rows, compared in zip(tables, after, comparable, strict=True):
            np.testing.assert_allclose(
                table.numpy()[compared], rows[compared], rtol=1e-4, atol=1e-4
            )
    found, tables = lookup.infer(*arrays)
    np.testing.assert_allclose(found, pooled, rtol=1e-4, atol=1e-4)


def tables_after(lookup, batch, start, upstream):
    """The variables after one step of the optimizer's rule in NumPy, and where they are compared.

    Where gradients cancel out, what an optimizer makes of the rest is a matter of rounding.
    """
    after, comparable = {}, {}
    for table, (values, rows) in batch.row_gradients(upstream).items():
        sums = np.zeros_like(start[table], dtype=float)
        np.add.at(sums, np.array(rows, int), np.reshape(values, (-1, sums.shape[1])))
        largest = max((np.abs(value).max() for value in values), default=0)
        cancelled = (np.abs(sums) < 1e-4 * largest) & (sums != 0)
        # One rate for a row: its other columns are as they should be.
        comparable[table] = ~cancelled
        expected = lookup.rule(start[table], **lookup.settings)
        if rows:
            expected.step(values, rows)
        after[table] = expected.w
    masks = [values.astype(bool) for values in lookup.stacked(comparable)]
    return lookup.stacked(after), masks
