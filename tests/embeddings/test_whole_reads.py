"""No graph that runs reads a table whole, after Grappler has rewritten it.

After its first sparse update a variable is copied for every such read.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.optimized_graphs import recorded_graphs, whole_reads
from tfrec_models import (
    DLRM,
    EmbeddingBagCollection,
    EmbeddingBagConfig,
    KeyedJaggedTensor,
    optimizers,
)
from tfrec_models.embeddings import pool_stock
from tfrec_models.layers import EmbeddingCollection, EmbeddingConfig
from tfrec_models.serving import RequestWriter, export

ROWS, BATCH = 1200, 6
NAMES = ["f1", "f2"]
OPTIMIZERS = {
    "RowWiseAdagrad": lambda: optimizers.RowWiseAdagrad(0.1),
    "Adagrad": lambda: optimizers.Adagrad(0.1),
    "LazyAdam": lambda: optimizers.LazyAdam(0.1, use_ema=True),
    "SGD": lambda: optimizers.SGD(0.1, momentum=0.9, weight_decay=0.01),
    "Ftrl": lambda: optimizers.Ftrl(0.1, global_clipnorm=1.0),
}


@pytest.fixture(autouse=True)
def _loops_in_the_graph(monkeypatch):
    """A branch out of line is no part of the graphs that TensorFlow records."""
    monkeypatch.setattr(pool_stock, "out_of_line", lambda branch: branch)


def ids_of(form, bag=3):
    ids = np.random.default_rng(0).integers(0, ROWS, (BATCH, 2, bag))
    if form == "single":
        return tf.constant(ids[:, :, 0])
    packed = tf.RaggedTensor.from_tensor(tf.constant(ids), ragged_rank=2)
    if form == "packed":
        return packed
    if form == "dict":
        return {name: packed[:, number] for number, name in enumerate(NAMES)}
    lengths = tf.constant(np.full(2 * BATCH, bag))
    return KeyedJaggedTensor.from_lengths_sync(
        NAMES, tf.constant(ids.transpose(1, 0, 2).reshape(-1)), lengths
    )


def make_model(optimizer, pooling="SUM", id_policy="error", data_type=None):
    tables = [
        EmbeddingBagConfig(
            ROWS, 8, f"t_{name}", data_type, [name], pooling=pooling, id_policy=id_policy
        )
        for name in NAMES
    ]
    model = DLRM(EmbeddingBagCollection(tables), 3, [8], [4, 1])
    model.compile(
        optimizers.CompositeOptimizer(optimizer, keras.optimizers.SGD(0.1)),
        keras.losses.BinaryCrossentropy(from_logits=True),
    )
    return model


def dataset(form, bag=3):
    features = {"dense_features": tf.ones((BATCH, 3)), "sparse_features": ids_of(form, bag)}
    labels = tf.constant([[0.0], [1.0]] * (BATCH // 2))
    return tf.data.Dataset.from_tensors((features, labels))


class WholeReadsTest(tf.test.TestCase):
    """The search finds what it looks for."""

    def test_finds_what_grappler_makes_of_an_embedding_lookup(self):
        """TensorFlow's own lookup on a variable becomes a read of the whole of it."""
        rows = 100 * ROWS
        table = tf.Variable(tf.ones((rows, 8)))
        bags = tf.RaggedTensor.from_row_splits(tf.constant([1, 2, 2]), [0, 2, 3])

        @tf.function
        def lookup(ids, splits):
            ragged = tf.RaggedTensor.from_row_splits(ids, splits, validate=False)
            return tf.cond(
                tf.size(ids) == 0,
                lambda: tf.gather(table, ids),
                lambda: tf.nn.safe_embedding_lookup_sparse(table, ragged, combiner="sum"),
            )

        with recorded_graphs() as graphs:
            lookup(bags.values, bags.row_splits)
        # Another thread of the process may have run a graph meanwhile, which is recorded too.
        found = [name for name in whole_reads(graphs, rows) if "SimplifyEmbeddingLookup" in name]
        self.assertLen(found, 1)


@pytest.mark.parametrize("form", ["single", "packed", "dict", "kjt"])
def test_fit_evaluate_and_predict(both_paths, form):
    """Training and inference of every input form."""
    model = make_model(OPTIMIZERS["RowWiseAdagrad"]())
    with recorded_graphs() as graphs:
        model.fit(dataset(form), verbose=0)
        model.evaluate(dataset(form), verbose=0)
        model.predict(dataset(form), verbose=0)
    assert graphs
    assert whole_reads(graphs, ROWS) == []


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer(both_paths, name):
    """A step of every optimizer, with averages, decay and clipping."""
    model = make_model(OPTIMIZERS[name](), pooling="MEAN")
    model.fit(dataset("packed"), verbose=0)
    with recorded_graphs() as graphs:
        model.fit(dataset("packed", bag=2), verbose=0)
    # What `fit` does once at its end, such as writing averages, is not a step.
    assert whole_reads(graphs, ROWS) == []


@pytest.mark.parametrize("id_policy", ["clip", "hash", "oov", "drop"])
def test_every_id_policy(both_paths, id_policy):
    """Ids outside their table."""
    model = make_model(OPTIMIZERS["SGD"](), id_policy=id_policy, data_type="bfloat16")
    with recorded_graphs() as graphs:
        model.fit(dataset("packed"), verbose=0)
        model.predict(dataset("packed"), verbose=0)
    assert whole_reads(graphs, ROWS) == []


def test_weighted_and_unpooled_lookups():
    """Weighted bags, and an `EmbeddingCollection`."""
    weighted = EmbeddingBagCollection([EmbeddingBagConfig(ROWS, 8, "f1")], is_weighted=True)
    unpooled = EmbeddingCollection([EmbeddingConfig(ROWS, 8, "f1")])
    ids = tf.ragged.constant([[1, 2], [3]], dtype=tf.int64)
    weights = tf.ragged.constant([[0.5, 2.0], [1.0]])

    @tf.function
    def step(ids, weights):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(weighted({"f1": (ids, weights)}).values())
            total += tf.reduce_sum(unpooled({"f1": ids})["f1"].values())
        tables = [weighted.variables[0].value, unpooled.variables[0].value]
        for table, gradient in zip(tables, tape.gradient(total, tables), strict=True):
            table.scatter_sub(gradient)
        return total

    weighted.build()
    unpooled.build()
    with recorded_graphs() as graphs:
        step(ids, weights)
        step(ids, weights)
    assert graphs
    assert whole_reads(graphs, ROWS) == []


@pytest.mark.parametrize("table_dtype", [None, "int8"])
def test_exports(tmp_path, table_dtype):
    """Every signature."""
    model = make_model(OPTIMIZERS["SGD"]())
    model.fit(dataset("packed"), verbose=0)
    path = export(model, tmp_path, table_dtype=table_dtype)
    signatures = tf.saved_model.load(str(path)).signatures
    inputs = {"dense_features": np.ones((BATCH, 3), np.float32), "sparse_features": ids_of("dict")}
    writer = RequestWriter(path)
    # What writing and loading ran is no part of a signature.
    with recorded_graphs():
        pass
    with recorded_graphs() as graphs:
        for name, signature in signatures.items():
            request = writer.inputs(inputs, name)
            signature(**{key: tf.constant(value) for key, value in request.items()})
    assert len(graphs) >= len(signatures)
    assert whole_reads(graphs, ROWS) == []
