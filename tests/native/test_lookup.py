"""The native lookup equals TensorFlow's: forward, gradients, id policies."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec_models import (
    EmbeddingBagCollection,
    EmbeddingBagConfig,
    KeyedJaggedTensor,
    execution,
    native,
)
from tfrec_models.embeddings.id_policy import ID_POLICIES
from tfrec_models.native import library
from tfrec_models.native.bag_gradient import BagGradient, transpose_bags
from tfrec_models.native.library import OnceLogger
from tfrec_models.native.lookup import pool_rows, resolve_ids

pytestmark = pytest.mark.usefixtures("kernels")

ROWS = 9
LENGTHS = {
    "mixed": [2, 0, 1, 3, 0, 5],
    "all_empty": [0, 0, 0, 0, 0, 0],
    "one_long": [0, 0, 300, 0, 0, 1],
    "all_single": [1] * 6,
    "batch_of_one": [3, 2],
}


def collection(**config):
    """Two tables in one variable."""
    config = {"pooling": "SUM", "embedding_dim": 4, "id_policy": "error"} | config
    is_weighted = config.pop("is_weighted", False)
    tables = [EmbeddingBagConfig(ROWS, name=name, **config) for name in ("a", "b")]
    return EmbeddingBagCollection(tables, is_weighted=is_weighted)


def random_ids(lengths, id_dtype, low=0, high=ROWS, seed=0):
    ids = np.random.default_rng(seed).integers(low, high, sum(lengths))
    return tf.RaggedTensor.from_row_lengths(tf.constant(ids, id_dtype), lengths)


def packed(lengths, id_dtype, **where):
    """The bags of two features, example by example."""
    return tf.RaggedTensor.from_uniform_row_length(random_ids(lengths, id_dtype, **where), 2)


def by_feature(lengths, id_dtype, weights=None):
    """The bags of two features, feature by feature."""
    ids = random_ids(lengths, id_dtype)
    return KeyedJaggedTensor(["a", "b"], ids.values, weights, lengths=tf.constant(lengths))


def run(ebc, features, weights=None):
    """The output, and a dense copy of the gradients of its weighted squares."""
    table = ebc.variables[0].value
    sources = [table] if weights is None else [table, weights]
    with tf.GradientTape() as tape:
        if weights is not None:
            tape.watch(weights)
        outputs = tf.cast(ebc(features(weights), training=True).values(), tf.float32)
        shape = outputs.shape
        loss = tf.reduce_sum(
            tf.square(outputs) * tf.random.stateless_normal(tf.shape(outputs), (0, 1))
        )
    gradients = tape.gradient(loss, sources)
    assert shape[1:] == (2 * ebc.tables[0].embedding_dim,)
    return outputs, gradients


def compare(ebc, features, weights=None, atol=1e-6):
    outputs, gradients = run(ebc, features, weights)
    assert isinstance(gradients[0], BagGradient)
    rows = gradients[0].indices.numpy()
    assert (np.diff(rows) > 0).all()
    assert 0 not in rows
    with native.native_disabled():
        expected, expected_gradients = run(ebc, features, weights)
    scale = max(1.0, np.abs(expected).max(initial=0.0))
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=atol * scale)
    for ours, theirs in zip(gradients, expected_gradients, strict=True):
        ours, theirs = (tf.cast(tf.convert_to_tensor(g), tf.float32) for g in (ours, theirs))
        scale = max(1.0, np.abs(theirs).max(initial=0.0))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=4 * atol * scale)


@pytest.mark.parametrize("id_dtype", ["int32", "int64"])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("pooling", ["SUM", "MEAN", "weighted"])
def test_equals_stock(pooling, lengths, id_dtype):
    """Outputs and gradients of table and weights, for both orders of the bags."""
    lengths = LENGTHS[lengths]
    weights = None
    if pooling == "weighted":
        weights = tf.constant(np.random.default_rng(1).normal(size=sum(lengths)), tf.float32)
        ebc = collection(is_weighted=True)
    else:
        ebc = collection(pooling=pooling)
    ebc.build()
    compare(ebc, lambda weights: by_feature(lengths, id_dtype, weights), weights)
    ids = packed(lengths, id_dtype)
    compare(
        ebc,
        lambda weights: ids if weights is None else (ids, ids.with_flat_values(weights)),
        weights,
    )


@pytest.mark.parametrize("dim", [1, 3, 4, 16, 64, 100])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_row_widths_and_types(dim, dtype):
    """Any row width; bfloat16 within its rounding."""
    ebc = collection(embedding_dim=dim, data_type=dtype, pooling="MEAN")
    ebc.build()
    ids = packed(LENGTHS["mixed"], "int64")
    compare(ebc, lambda _: ids, atol=1e-6 if dtype == "float32" else 2.0**-7)


@pytest.mark.parametrize("pooling", ["SUM", "MEAN"])
@pytest.mark.parametrize("id_policy", [policy for policy in ID_POLICIES if policy != "error"])
def test_id_policies(id_policy, pooling):
    """Ids outside the table end where TensorFlow's path puts them."""
    ebc = collection(id_policy=id_policy, pooling=pooling)
    ebc.build()
    for id_dtype in ("int32", "int64"):
        ids = packed([4, 0, 7, 1, 2, 9], id_dtype, low=-30, high=30)
        compare(ebc, lambda _, ids=ids: ids)


@pytest.mark.parametrize("order", ["by_example", "by_feature"])
def test_error_policy_says_the_same(order):
    """The first id outside its table is named in the same words, eagerly and in a graph."""
    ebc = collection()
    ebc.build()
    values, lengths = tf.constant([1, 2, 3, ROWS, -1], tf.int64), [1, 1, 1, 0, 0, 2]
    if order == "by_example":
        ids = tf.RaggedTensor.from_row_lengths(values, lengths)
        features = tf.RaggedTensor.from_uniform_row_length(ids, 2)
    else:
        features = KeyedJaggedTensor(["a", "b"], values, lengths=tf.constant(lengths))

    def message(call):
        with tf.GradientTape(), pytest.raises(tf.errors.InvalidArgumentError) as caught:
            call()
        # Eager errors show the message as a Python string, with its quotes escaped or not.
        found = str(caught.value).replace("\\", "")
        return found[found.index("Feature") : found.index("Correct the data")]

    ours = message(lambda: ebc(features, training=True))
    assert f"id {ROWS} in example 2" in ours
    assert message(tf.function(lambda: ebc(features, training=True).values())) == ours
    with native.native_disabled():
        assert message(lambda: ebc(features, training=True)) == ours


def test_fuzz():
    """Random policies, splits and ids, with tables that differ: all equals TensorFlow's path."""
    rng = np.random.default_rng(7)
    for _ in range(25):
        policies = rng.choice(ID_POLICIES[1:], 3)
        pooling, dim = rng.choice(["SUM", "MEAN"]), int(rng.integers(1, 20))
        ebc = EmbeddingBagCollection(
            [
                EmbeddingBagConfig(
                    int(rng.integers(1, 30)), dim, f"t{i}", pooling=pooling, id_policy=policy
                )
                for i, policy in enumerate(policies)
            ]
        )
        ebc.build()
        lengths = rng.integers(0, 6, 3 * rng.integers(1, 9)) * rng.integers(0, 2)
        ids = tf.constant(rng.integers(-5, 35, lengths.sum()))
        bags = tf.RaggedTensor.from_uniform_row_length(
            tf.RaggedTensor.from_row_lengths(ids, lengths), 3
        )
        found = []
        for enabled in (True, False):
            native.set_native_enabled(enabled)
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.square(ebc(bags, training=True).values()))
            gradient = tape.gradient(loss, ebc.variables[0].value)
            assert isinstance(gradient, BagGradient) == enabled
            found.append(tf.convert_to_tensor(gradient))
        native.set_native_enabled(True)
        np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pooling", ["SUM", "MEAN"])
@pytest.mark.parametrize("form", ["packed", "dict"])
def test_answers_in_this_process_have_the_stock_bits(pooling, form):
    """Bags of 0 to 40 ids, some of them dropped: in steps of `predict` the kernels pool them."""
    tables = [
        EmbeddingBagConfig(50, 16, name, pooling=pooling, id_policy=policy)
        for name, policy in (("a", "drop"), ("b", "drop"), ("c", "hash"))
    ]
    ebc = EmbeddingBagCollection(tables)
    ebc.build()
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 41, 120)
    ids = tf.constant(rng.integers(-10, 60, lengths.sum()))
    ids = tf.RaggedTensor.from_uniform_row_length(tf.RaggedTensor.from_row_lengths(ids, lengths), 3)
    if form == "dict":
        ids = {name: ids[:, i] for i, name in enumerate("abc")}
    found = []
    for in_process in (True, False):
        with execution.using(execution.Execution(portable=True, in_process=in_process)):
            lookup = tf.function(lambda: ebc(ids, training=False).values())
            ops = {op.type for op in lookup.get_concrete_function().graph.get_operations()}
        assert ("TfrecPooledLookup" in ops) == in_process
        found.append(lookup().numpy())
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("id_policy", ["drop", "clip"])
def test_bags_of_one_are_copied_to_the_bit(id_policy):
    """Single ids `(B, F)` in steps of `fit`, `evaluate` and `predict`: the rows themselves.

    `predict` reads them by TensorFlow's operations, so that its first call needs no compiler.
    """
    ebc = collection(id_policy=id_policy, embedding_dim=5)
    ebc.build()
    values = np.random.default_rng(0).normal(size=ebc.variables[0].shape).astype("float32")
    values[:, 0], values[:, 1], values[:, 2] = -0.0, 1e-40, np.nan
    ebc.variables[0].assign(values)
    ids = tf.constant([[3, 8], [-1, 0], [9, 5], [3, 3]])
    rows = np.clip(ids, 0, ROWS - 1) + np.array([1, 1 + ROWS])
    kept = ((ids >= 0) & (ids < ROWS)).numpy() | (id_policy == "clip")
    expected = np.where(kept[..., np.newaxis], values[rows], np.float32(0)).reshape(4, -1)

    def ops(function):
        graph = function.get_concrete_function().graph
        return {op.type for op in graph.get_operations()}

    training = tf.function(lambda: ebc(ids, training=True).values())
    assert "TfrecPooledLookup" in ops(training)
    functions = [training]
    for same_bits in (True, False):
        chosen = execution.Execution(portable=same_bits, in_process=True, same_bits=same_bits)
        with execution.using(chosen):
            answer = tf.function(lambda: ebc(ids, training=False).values())
            assert ("TfrecPooledLookup" in ops(answer)) != same_bits
        functions.append(answer)
    for function in functions:
        found = function()
        assert found.shape == (4, 10)
        np.testing.assert_array_equal(found.numpy().view("int32"), expected.view("int32"))


@pytest.mark.parametrize("id_policy", ["drop", "error"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_bags_of_one_train_as_stock(id_policy, dtype):
    """Gradients of the rows and of weights; those of dropped ids are no numbers and not read."""
    ebc = collection(id_policy=id_policy, data_type=dtype, is_weighted=True)
    ebc.build()
    ids = np.array([[3, 8], [0, 2], [7, 5], [3, 3]])
    weights = np.random.default_rng(1).normal(size=ids.shape)
    if id_policy == "drop":
        ids[1, 0], weights[1, 0] = -1, np.nan
    found = []
    for scope in (contextlib.nullcontext, native.native_disabled):
        given = tf.constant(weights, tf.float32)
        with scope():
            outputs, gradients = run(ebc, lambda weights: (tf.constant(ids), weights), given)
        assert not isinstance(gradients[0], BagGradient)
        found.append([tf.cast(tf.convert_to_tensor(t), tf.float32) for t in (outputs, *gradients)])
    atol = 1e-6 if dtype == "float32" else 2.0**-7
    for ours, stock in zip(*found, strict=True):
        np.testing.assert_allclose(ours, stock, rtol=atol, atol=4 * atol)


def test_gradients_of_gradients():
    """A penalty on the gradients of a table and of weights, of single ids, as stock has it."""
    ebc = collection(is_weighted=True)
    ebc.build()
    table, ids = ebc.variables[0].value, tf.constant([[3, 8], [0, 2], [3, 3]])
    weights = tf.constant(np.random.default_rng(0).normal(size=(3, 2)), tf.float32)
    found = []
    for scope in (contextlib.nullcontext, native.native_disabled):
        with scope(), tf.GradientTape() as outer:
            outer.watch(weights)
            with tf.GradientTape() as inner:
                inner.watch(weights)
                loss = tf.reduce_sum(ebc((ids, weights), training=True).values() ** 3)
            gradients = inner.gradient(loss, [table, weights])
            penalty = sum(tf.reduce_sum(tf.convert_to_tensor(g) ** 2) for g in gradients)
        found.append([tf.convert_to_tensor(g) for g in outer.gradient(penalty, [table, weights])])
    for ours, stock in zip(*found, strict=True):
        np.testing.assert_allclose(ours, stock, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "rmsprop"])
def test_optimizers_of_keras_do_as_without(optimizer):
    """They take gradients of an id that occurs twice one by one, with the kernels and without."""
    found = []
    for scope in (contextlib.nullcontext, native.native_disabled):
        ebc, chosen = collection(), keras.optimizers.get(optimizer)
        ebc.build()
        ebc.variables[0].assign(tf.ones_like(ebc.variables[0].value))
        for _ in range(3):
            with scope(), tf.GradientTape() as tape:
                output = ebc(tf.constant([[1, 2], [1, 2], [3, 2]]), training=True).values()
                loss = tf.reduce_sum(output**2)
            chosen.apply([tape.gradient(loss, ebc.variables[0].value)], ebc.variables)
        found.append(ebc.variables[0].numpy())
    np.testing.assert_allclose(*found, rtol=1e-6)


def test_a_lookup_in_one_branch():
    """The gradient of a branch without a lookup, zeros, is of the same types as a lookup's."""
    ebc = collection(id_policy="clip")
    ebc.build()
    table = ebc.variables[0].value

    @tf.function
    def gradient(chosen):
        ids = tf.constant([[1, 2], [1, 3]])
        with tf.GradientTape() as tape:
            loss = tf.cond(
                chosen, lambda: tf.reduce_sum(ebc(ids, training=True).values()), lambda: 0.0
            )
        return tf.convert_to_tensor(tape.gradient(loss, table))

    expected = np.zeros(table.shape)
    np.add.at(expected, [2, 2, 3 + ROWS, 4 + ROWS], 1)
    np.testing.assert_array_equal(gradient(tf.constant(True)), expected)
    np.testing.assert_array_equal(gradient(tf.constant(False)), 0)


def test_only_training_uses_it():
    """Without a tape, and so in anything that is saved, there are TensorFlow's own operations."""
    ebc = collection()
    ebc.build()
    ids = packed(LENGTHS["mixed"], "int64")

    def ops(function):
        graph = tf.function(function).get_concrete_function().graph
        return {op.type for op in graph.get_operations() if op.type.startswith("Tfrec")}

    def training():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(ebc(ids, training=True).values())
        return tape.gradient(loss, ebc.variables[0].value).indices

    assert ops(lambda: ebc(ids).values()) == set()
    assert "TfrecPooledLookup" in ops(training)
    with native.native_disabled():
        assert ops(training) == set()


def test_one_trace_for_all_batches():
    """Another number of ids and of examples runs the same trace."""
    ebc = collection(pooling="MEAN")
    ebc.build()

    @tf.function(input_signature=[tf.RaggedTensorSpec([None, 2, None], tf.int64, 2)])
    def gradient(ids):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(ebc(ids, training=True).values()))
        return tf.convert_to_tensor(tape.gradient(loss, ebc.variables[0].value))

    for lengths in LENGTHS.values():
        ids = tf.RaggedTensor.from_uniform_row_length(random_ids(lengths, "int64"), 2)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(ebc(ids, training=True).values()))
        eager = tf.convert_to_tensor(tape.gradient(loss, ebc.variables[0].value))
        np.testing.assert_allclose(gradient(ids), eager, rtol=0, atol=1e-6)
    assert gradient.experimental_get_tracing_count() == 1


def test_two_lookups_and_a_persistent_tape():
    """The tape joins two gradients; asked twice, it gives the same."""
    ebc = collection()
    ebc.build()
    table = ebc.variables[0].value
    first, second = (packed(LENGTHS["mixed"], "int64", seed=seed) for seed in (0, 1))

    def gradients():
        with tf.GradientTape(persistent=True) as tape:
            loss = tf.reduce_sum(
                tf.square(ebc(first, training=True).values() + ebc(second, training=True).values())
            )
        return [tf.convert_to_tensor(tape.gradient(loss, table)) for _ in range(2)]

    once, again = gradients()
    np.testing.assert_array_equal(once, again)
    with native.native_disabled():
        np.testing.assert_allclose(once, gradients()[0], rtol=0, atol=1e-5)


def test_functional_model_trains():
    """A functional Keras model trains to the same weights on both paths."""

    def weights():
        keras.utils.set_random_seed(0)
        inputs = keras.Input((None,), ragged=True, dtype="int64", name="a")
        tables = [EmbeddingBagConfig(ROWS, 4, "a")]
        pooled = EmbeddingBagCollection(tables)({"a": inputs})
        outputs = keras.layers.Dense(1)(pooled.values())
        model = keras.Model({"a": inputs}, outputs)
        model.compile(optimizer="sgd", loss="mse")
        ids = random_ids(LENGTHS["mixed"], "int64")
        data = tf.data.Dataset.from_tensor_slices(({"a": ids}, tf.ones((6, 1)))).batch(3)
        model.fit(data, epochs=2, verbose=0)
        return model.get_weights()

    ours = weights()
    with native.native_disabled():
        theirs = weights()
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_types_take_the_stock_path(dtype, caplog, monkeypatch):
    """A table of a type without kernels trains all the same, and one line of the log says how."""
    ebc = collection(data_type=dtype)
    ebc.build()
    monkeypatch.setattr(library, "_once", OnceLogger(library._log))
    with caplog.at_level("INFO", logger="tfrec_models"):
        for _ in range(2):
            _, (gradient,) = run(ebc, lambda _: packed(LENGTHS["mixed"], "int64"))
    assert not isinstance(gradient, BagGradient)
    assert caplog.messages == [
        "Lookups and optimizers use TensorFlow's operations, not the native kernels: "
        f"they have no {dtype} tables."
    ]


def test_rows_and_splits_are_checked():
    """Whatever the caller gets wrong is refused before memory is touched."""
    table = tf.Variable(tf.zeros((ROWS, 2)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="rows run from 0 to 8"):
        pool_rows(table, tf.constant([0, ROWS]), tf.constant([0, 2]))
    for splits in ([0, 1], [1, 2], [0, 2, 1, 2], [0, 3]):
        with pytest.raises(tf.errors.InvalidArgumentError, match="row_splits must rise"):
            pool_rows(table, tf.constant([0, 1]), tf.constant(splits))
    with pytest.raises(tf.errors.InvalidArgumentError, match="as many weights as rows"):
        pool_rows(table, tf.constant([0, 1]), tf.constant([0, 2]), tf.ones(3))
    with pytest.raises(tf.errors.InvalidArgumentError, match="row_splits must rise"):
        resolve_ids(
            tf.constant([0, 1]), tf.constant([0, 5], tf.int64), tf.int32, True, [9], [1], ["error"]
        )


def test_rows_beyond_32_bits():
    """Row numbers that do not fit in 32 bits stay apart and in order."""
    rows = tf.constant([2**40, 5, -1, 2**40 + 1, 2**62, 5, 2**40], tf.int64)
    found, starts, places, _ = transpose_bags(rows, [], [])
    assert found.numpy().tolist() == [5, 2**40, 2**40 + 1, 2**62]
    assert starts.numpy().tolist() == [0, 2, 4, 5, 6]
    assert places.numpy().tolist() == [1, 5, 0, 6, 3, 4]


@pytest.mark.parametrize("traced", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("order", ["by_example", "by_feature"])
def test_weights_of_no_ids(order, traced):
    """A batch without any id has weights all the same: its gradients are empty, not refused."""
    ebc = collection(is_weighted=True)
    ebc.build()
    table = ebc.variables[0].value
    # Tensors that TensorFlow makes empty have no memory at all.
    ids, weights, lengths = tf.zeros([0], tf.int64), tf.zeros([0]), tf.zeros([4], tf.int64)

    def features(weights):
        if order == "by_feature":
            return KeyedJaggedTensor(["a", "b"], ids, weights, lengths=lengths)
        rows = tf.RaggedTensor.from_row_lengths(ids, lengths)
        rows = tf.RaggedTensor.from_uniform_row_length(rows, 2)
        return rows, rows.with_flat_values(weights)

    def gradients(weights):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss = tf.reduce_sum(tf.square(ebc(features(weights), training=True).values()))
        of_table, of_weights = tape.gradient(loss, [table, weights])
        return of_table.indices, of_table.values, of_weights

    rows, values, of_weights = (tf.function(gradients) if traced else gradients)(weights)
    assert rows.shape == of_weights.shape == (0,)
    assert values.shape == (0, 4)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("num_bags", [0, 3])
def test_transpose_of_nothing(weighted, mean, num_bags):
    """Bags without ids, and no bags, have scales where weights or a mean ask for them."""
    rows, starts, places, scales = transpose_bags(
        tf.zeros([0], tf.int64),
        [tf.zeros([num_bags + 1], tf.int64)],
        [tf.zeros([0])] if weighted else [],
        mean=mean,
    )
    assert starts.numpy().tolist() == [0]
    assert rows.shape == places.shape == (0,)
    assert [scale.shape for scale in scales] == [(0,)] * (weighted or mean)


def test_policies_are_named():
    """The kernel knows the id policies by the names that tables have."""
    for policy in ID_POLICIES:
        rows, refused = resolve_ids(
            tf.constant([1, 12]), tf.constant([0, 2], tf.int64), tf.int32, True, [10], [5], [policy]
        )
        expected = {"error": -1, "clip": 14, "hash": 7, "oov": 15, "drop": -1}[policy]
        assert rows.numpy().tolist() == [6, expected]
        assert refused.numpy() == (1 if policy == "error" else -1)
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="wrap"):
        resolve_ids(
            tf.constant([1]), tf.constant([0, 1], tf.int64), tf.int32, True, [9], [1], ["wrap"]
        )
