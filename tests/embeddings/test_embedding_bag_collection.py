"""EmbeddingBagCollection: its inputs in every form, its variables, its errors."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig, KeyedJaggedTensor, PoolingType
from tfrec_models.execution import portable
from tfrec_models.native import native_disabled
from tfrec_models.optimizers import RowWiseAdagrad

ROWS = 9

BAGS = {"f1": [[1, 2], [], [3]], "f2": [[4], [5, 5, 0], []], "f3": [[], [6], [1]]}
WEIGHTS = {
    "f1": [[0.5, 2.0], [], [1.0]],
    "f2": [[3.0], [1.0, -1.0, 0.5], []],
    "f3": [[], [2.0], [4.0]],
}


def config(name, features, **arguments):
    """A table of 8 rows and 2 columns."""
    return EmbeddingBagConfig(
        **{
            "num_embeddings": 8,
            "embedding_dim": 2,
            "name": name,
            "feature_names": features,
            **arguments,
        }
    )


def make(is_weighted=False, pooling=PoolingType.SUM, **second):
    """f1 and f3 in one table, f2 in another; with `second` in a stack of its own."""
    return EmbeddingBagCollection(
        [
            config("t1", ["f1", "f3"], pooling=pooling),
            config("t2", ["f2"], pooling=pooling, **second),
        ],
        is_weighted=is_weighted,
    )


def expected(ebc, bags, weights=None, mean=False):
    """Pooled embeddings by NumPy: columns f1, f3, f2."""
    columns = []
    for table, features in (("t1", ["f1", "f3"]), ("t2", ["f2"])):
        rows = ebc.read_table(table).numpy()
        for feature in features:
            pooled = []
            for example, ids in enumerate(bags[feature]):
                scale = weights[feature][example] if weights else [1.0] * len(ids)
                total = sum((w * rows[i] for i, w in zip(ids, scale, strict=True)), 0 * rows[0])
                pooled.append(total / max(len(ids), 1) if mean else total)
            columns.append(pooled)
    return np.concatenate(columns, axis=1)


def ragged(bags, dtype=tf.int64):
    """A dict of ragged tensors."""
    return {name: tf.ragged.constant(rows, dtype=dtype) for name, rows in bags.items()}


def packed(bags, dtype=tf.int64):
    """The bags of f1, f3, f2 as one (B, F, None)."""
    rows = [list(example) for example in zip(bags["f1"], bags["f3"], bags["f2"], strict=True)]
    return tf.ragged.constant(rows, dtype=dtype)


def forms(is_weighted):
    """The same bags in each form they may come in."""
    dicts = ragged(BAGS), ragged(WEIGHTS, tf.float32)
    kjt = KeyedJaggedTensor.from_dict(*dicts)
    if not is_weighted:
        return {"dict": dicts[0], "packed": packed(BAGS), "kjt": kjt}
    return {
        "dict": {name: (dicts[0][name], dicts[1][name]) for name in BAGS},
        "packed": (packed(BAGS), packed(WEIGHTS, tf.float32)),
        "kjt": kjt,
    }


@pytest.mark.parametrize("form", ["dict", "packed", "kjt"])
@pytest.mark.parametrize("pooling", PoolingType)
@pytest.mark.parametrize("second", [{}, {"embedding_dim": 3}], ids=["one_stack", "two_stacks"])
def test_every_form_gives_the_same(form, pooling, second):
    """Dict, packed and KeyedJaggedTensor, from one variable or two, against NumPy."""
    ebc = make(pooling=pooling, **second)
    pooled = ebc(forms(False)[form])
    assert len(ebc.variables) == (2 if second else 1)
    assert pooled.keys() == ["f1", "f3", "f2"]
    mean = pooling is PoolingType.MEAN
    np.testing.assert_allclose(pooled.values(), expected(ebc, BAGS, mean=mean), atol=1e-6)


@pytest.mark.parametrize("form", ["dict", "packed", "kjt"])
@pytest.mark.parametrize("second", [{}, {"embedding_dim": 3}], ids=["one_stack", "two_stacks"])
def test_weighted(form, second):
    """Each id's row times its weight, against NumPy."""
    ebc = make(is_weighted=True, **second)
    pooled = ebc(forms(True)[form])
    np.testing.assert_allclose(pooled.values(), expected(ebc, BAGS, WEIGHTS), atol=1e-6)


DENSE = {"f1": [1, 2, 3], "f2": [4, 5, 6], "f3": [7, 0, 1]}
ONE_EACH = {name: [[number] for number in ids] for name, ids in DENSE.items()}
TWO_EACH = {name: [[number, 7] for number in ids] for name, ids in DENSE.items()}


@pytest.mark.parametrize("second", [{}, {"embedding_dim": 3}], ids=["one_stack", "two_stacks"])
def test_dense_ids(second):
    """(B,), (B, 1), (B, L), packed (B, F) and (B, F, L), and dense next to ragged."""
    ebc = make(**second)
    order = ["f1", "f3", "f2"]
    ones = expected(ebc, ONE_EACH)
    matrix = tf.constant([DENSE[name] for name in order])
    for ids in (
        {name: tf.constant(numbers) for name, numbers in DENSE.items()},
        {name: np.array(numbers)[:, None] for name, numbers in DENSE.items()},
        {"f1": np.array(DENSE["f1"]), "f2": ragged(ONE_EACH)["f2"], "f3": np.int32(DENSE["f3"])},
        tf.transpose(matrix),
    ):
        np.testing.assert_allclose(ebc(ids).values(), ones, atol=1e-6)
    twos = expected(ebc, TWO_EACH)
    for ids in (
        {name: tf.constant(rows) for name, rows in TWO_EACH.items()},
        tf.transpose(tf.constant([TWO_EACH[name] for name in order]), [1, 0, 2]),
    ):
        np.testing.assert_allclose(ebc(ids).values(), twos, atol=1e-6)


def test_no_examples_in_a_traced_step(both_paths):
    """A size of 0 that the graph knows ended the process in Grappler: SIGFPE."""
    ebc = make(is_weighted=True)
    ebc.build()
    variables = [variable.value for variable in ebc.trainable_variables]

    @tf.function
    def step(features):
        with tf.GradientTape() as tape:
            pooled = ebc(features, training=True).values()
            loss = tf.reduce_sum(pooled * 2.0)
        return pooled, [tf.convert_to_tensor(each) for each in tape.gradient(loss, variables)]

    for shape in ([0], [0, 1], [0, 2]):
        pairs = {name: (tf.zeros(shape, tf.int64), tf.zeros(shape)) for name in DENSE}
        pooled, gradients = step(pairs)
        assert pooled.shape[0] == 0
        for gradient, variable in zip(gradients, variables, strict=True):
            np.testing.assert_array_equal(gradient, np.zeros(variable.shape))


def test_dense_ids_with_weights():
    """Single ids times their weights."""
    ebc = make(is_weighted=True)
    weights = {name: [[0.5], [-1.0], [2.0]] for name in DENSE}
    pairs = {name: (tf.constant(ids), tf.constant([0.5, -1.0, 2.0])) for name, ids in DENSE.items()}
    np.testing.assert_allclose(ebc(pairs).values(), expected(ebc, ONE_EACH, weights), atol=1e-6)


def test_stacked_in_one_lookup():
    """Tables of equal dim, pooling and dtype cost one lookup; others one more each."""

    def lookups(ebc):
        function = tf.function(lambda features: ebc(features, training=True).values())
        with native_disabled():
            graph = function.get_concrete_function(ragged(BAGS)).graph
        return sum(op.type == "ResourceGather" for op in graph.get_operations())

    assert lookups(make()) == 1
    assert lookups(make(pooling="MEAN")) == 1
    assert lookups(make(embedding_dim=3)) == 2
    assert lookups(make(data_type="bfloat16")) == 2


def test_empty_bags_touch_no_table():
    """An empty bag's gradient goes to no row of any table, not even with a value of zero."""
    ebc = make()
    ebc.build()
    empty = tf.ragged.constant([[], [2]], dtype=tf.int64)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(ebc({"f1": empty, "f2": empty, "f3": empty}).values())
    touched = set(tape.gradient(total, ebc.variables[0].value).indices.numpy().tolist())
    _, stack = ebc.stack_of("t1")
    # Row 0 belongs to none; native kernels touch no row at all.
    assert touched | {0} == {0, stack.first_rows["t1"] + 2, stack.first_rows["t2"] + 2}
    assert 0 not in stack.first_rows.values()


def test_initial_ranges_are_torchrecs():
    """Uniform in ±sqrt(1/rows), or as told, or by an initializer of one's own."""
    ebc = EmbeddingBagCollection(
        [
            EmbeddingBagConfig(4000, 2, "default"),
            EmbeddingBagConfig(4000, 2, "told", weight_init_min=1.0, weight_init_max=3.0),
            EmbeddingBagConfig(3, 2, "own", init_fn=keras.initializers.Constant(7.0)),
            EmbeddingBagConfig(3, 2, "named", init_fn="ones"),
        ]
    )
    default, told = ebc.read_table("default").numpy(), ebc.read_table("told").numpy()
    bound = 4000**-0.5
    assert -bound <= default.min() < -0.99 * bound and 0.99 * bound < default.max() <= bound
    assert abs(default.mean()) < 0.05 * bound
    assert 1.0 <= told.min() < 1.01 and 2.99 < told.max() <= 3.0
    assert (ebc.read_table("own").numpy() == 7).all()
    assert (ebc.read_table("named").numpy() == 1).all()


def test_an_initializer_of_another_shape():
    """It says which table's, what was received and expected."""
    flat = EmbeddingBagConfig(3, 2, "t", init_fn=lambda shape, dtype: tf.ones(6, dtype))
    with pytest.raises(ValueError, match=r"'t' has shape \(3, 2\), its init_fn gave .* \(6,\)"):
        EmbeddingBagCollection([flat]).build()


def test_a_seed_repeats_the_tables():
    """keras.utils.set_random_seed decides the initial tables, and no two are alike."""
    tables = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        ebc = make()
        tables.append((ebc.read_table("t1").numpy(), ebc.read_table("t2").numpy()))
    np.testing.assert_array_equal(tables[0], tables[1])
    assert (tables[0][0] != tables[0][1]).all()
    assert (make().read_table("t1").numpy() != tables[0][0]).all()


def test_tables_are_read_and_written_alone():
    """Writing one table leaves the other as it was."""
    ebc = make()
    before = ebc.read_table("t2").numpy()
    ebc.write_table("t1", np.full((8, 2), 5.0))
    assert (ebc.read_table("t1").numpy() == 5).all()
    np.testing.assert_array_equal(ebc.read_table("t2"), before)
    with pytest.raises(ValueError, match=r"'t1' has shape \(8, 2\), received values .* \(2, 8\)"):
        ebc.write_table("t1", np.ones((2, 8)))
    for dtype in (complex, str, bool):
        with pytest.raises(TypeError, match="Table 't1' holds real numbers, received values of dt"):
            ebc.write_table("t1", np.ones((8, 2), dtype))
    assert (ebc.read_table("t1").numpy() == 5).all()
    with pytest.raises(ValueError, match=r"No table 'x'; there are \['t1', 't2'\]"):
        ebc.read_table("x")


def test_low_precision_tables():
    """A bfloat16 table is kept in bfloat16 and pooled into the layer's compute dtype."""
    ebc = make(data_type="bfloat16")
    pooled = ebc(forms(False)["kjt"])
    assert [variable.dtype for variable in ebc.variables] == ["float32", "bfloat16"]
    assert pooled.values().dtype == tf.float32


BAD_CONFIGS = {
    "num_embeddings of table 't' must be a positive integer, received 0": {"num_embeddings": 0},
    "embedding_dim of table 't' must be a positive integer, received 2.5": {"embedding_dim": 2.5},
    "needs a name": {"name": ""},
    "feature_names of table 't' must be a list of str, received 'f1'": {"feature_names": "f1"},
    r"feature_names of table 't' must be distinct, received \['f', 'f'\]": {
        "feature_names": ["f", "f"]
    },
    "pooling of table 't' must be PoolingType.SUM or .* received 'MAX'": {"pooling": "MAX"},
    "id_policy of table 't' must be one of .* received 'zero'": {"id_policy": "zero"},
    "data_type of table 't' must be None, .* received 'int8'": {"data_type": "int8"},
    "weight_init_min of table 't' must not exceed .* received 2.0 and 1.0": {
        "weight_init_min": 2,
        "weight_init_max": 1,
    },
}


@pytest.mark.parametrize("message", BAD_CONFIGS)
def test_bad_configs(message):
    """Each wrong field names the table, the value and what is expected."""
    arguments = {"num_embeddings": 4, "embedding_dim": 2, "name": "t", **BAD_CONFIGS[message]}
    with pytest.raises(ValueError, match=message):
        EmbeddingBagConfig(**arguments)


def test_sizes_out_of_numpy():
    """Sizes are often NumPy's integers: they are taken, and the config is still plain JSON."""
    ids, dim = np.array([70, 4])
    config = EmbeddingBagConfig(ids, dim, "t").get_config()
    assert json.loads(json.dumps(config))["num_embeddings"] == 70


def test_bad_collections():
    """No tables, equal names, weights with MEAN, and something that is no config."""
    with pytest.raises(ValueError, match="needs at least one table, received none"):
        EmbeddingBagCollection([])
    with pytest.raises(ValueError, match=r"distinct names, received \['t'\] more than once"):
        EmbeddingBagCollection([config("t", ["a"]), config("t", ["b"])])
    with pytest.raises(ValueError, match=r"SUM pooling only, received MEAN for tables \['t'\]"):
        EmbeddingBagCollection([config("t", ["a"], pooling="MEAN")], is_weighted=True)
    with pytest.raises(TypeError, match="list of EmbeddingBagConfig, received an item of type"):
        EmbeddingBagCollection([{"name": "t"}])


def without(name):
    """The bags but one feature."""
    return {key: value for key, value in ragged(BAGS).items() if key != name}


BAD_INPUTS = {
    r"sparse_features must have \['f2'\], received \['f1', 'f3'\]": lambda: without("f2"),
    r"sparse_features must have \['f3'\], received": lambda: KeyedJaggedTensor.from_dict(
        without("f3")
    ),
    r"Unknown sparse features \['typo'\]": lambda: {**ragged(BAGS), "typo": tf.constant([1, 2, 3])},
    r"same number of examples": lambda: {**ragged(BAGS), "f1": tf.constant([1, 2])},
    r"must have 3 features in axis 1, .* received 2": lambda: tf.constant([[1, 2]]),
    "must have 3 bags in every example": lambda: tf.ragged.constant([[[1], [2]], [[1], [], []]]),
    r"must have shape \(batch, features\)": lambda: tf.constant([1, 2, 3]),
    "ragged in axis 2": lambda: tf.RaggedTensor.from_tensor(tf.ones((1, 3, 2), tf.int64)),
    r"'f1' must have shape \(batch,\)": lambda: {
        **ragged(BAGS),
        "f1": tf.ones((3, 1, 1), tf.int64),
    },
}


@pytest.mark.parametrize("message", BAD_INPUTS)
def test_bad_inputs(message):
    """Features that are missing, unknown, of the wrong shape or number are named."""
    with pytest.raises(ValueError, match=message):
        make()(BAD_INPUTS[message]())


@pytest.mark.parametrize("form", ["packed", "kjt", "ragged"])
@pytest.mark.parametrize("lengths", [[1, 1, 1, 1], [2, 0, 1, 1], [1, 1, 1, 0], []])
def test_portable_equals_training(lengths, form):
    """Where no gradient is wanted, bags of one id are gathered and others pooled: the same rows."""
    ebc = EmbeddingBagCollection([EmbeddingBagConfig(ROWS, 4, name) for name in ("a", "b")])
    ids = tf.constant(np.random.default_rng(0).integers(0, ROWS, sum(lengths)))
    bags = tf.RaggedTensor.from_row_lengths(ids, tf.constant(lengths, tf.int64))
    features = {
        "packed": lambda: tf.RaggedTensor.from_uniform_row_length(bags, 2),
        "kjt": lambda: KeyedJaggedTensor(["a", "b"], ids, lengths=tf.constant(lengths, tf.int32)),
        "ragged": lambda: {"a": bags, "b": bags},
    }[form]()
    expected = ebc(features).values()
    with portable():
        # Sizes known while tracing, and not.
        np.testing.assert_array_equal(tf.function(lambda: ebc(features).values())(), expected)
        run = tf.function(lambda features: ebc(features).values(), reduce_retracing=True)
        np.testing.assert_array_equal(run(features), expected)


def test_rows_are_made_distinct_once():
    """A stock step in a graph looks for repeats where rows are read, and not in the optimizer.

    It updates as the same step outside a graph, which does look for them there.
    """
    found = []
    for compile_step in (tf.function, lambda step: step):
        ebc, optimizer = make(), RowWiseAdagrad(0.1)
        ebc.build()
        ebc.write_table("t1", tf.reshape(tf.range(16.0), (8, 2)))
        ebc.write_table("t2", tf.reshape(tf.range(16.0), (8, 2)))
        table = ebc.table_variables[0].value
        optimizer.build([table])

        def step(ebc=ebc, table=table, optimizer=optimizer):
            with native_disabled(), tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.square(ebc(ragged(BAGS), training=True).values()))
            with native_disabled():
                optimizer.apply([tape.gradient(loss, table)], [table])

        run = compile_step(step)
        run()
        found.append(table.numpy())
    np.testing.assert_allclose(*found, rtol=1e-6)
    ops = [op.type for op in tf.function(step).get_concrete_function().graph.get_operations()]
    assert ops.count("Unique") == 1


def test_bad_batch_sizes_in_a_graph():
    """Batch sizes known only when the graph runs are compared there."""
    ebc = make()
    spec = {name: tf.RaggedTensorSpec([None, None], tf.int64) for name in BAGS}
    run = tf.function(lambda features: ebc(features).values(), input_signature=[spec])
    run(ragged(BAGS))
    with pytest.raises(tf.errors.InvalidArgumentError, match="same number of examples"):
        run({**ragged(BAGS), "f1": tf.ragged.constant([[1]], dtype=tf.int64)})


@pytest.mark.parametrize(
    "features",
    [
        {**ragged(BAGS), "f1": tf.constant([1.0, 2.0, 3.0])},
        tf.ones((2, 3)),
        KeyedJaggedTensor.from_dict({name: tf.ones(3) for name in BAGS}),
    ],
    ids=["dict", "packed", "kjt"],
)
def test_float_ids(features):
    """Float ids are refused with the cast that mends them."""
    with pytest.raises(TypeError, match="dtype int32 or int64, received float32. Cast them with"):
        make()(features)


def test_bad_weights():
    """Weights that are missing, not floats or of another number."""
    ebc = make(is_weighted=True)
    with pytest.raises(ValueError, match="KeyedJaggedTensor without weights"):
        ebc(KeyedJaggedTensor.from_dict(ragged(BAGS)))
    with pytest.raises(ValueError, match=r"Feature 'f1' must be a pair \(ids, weights\)"):
        ebc(ragged(BAGS))
    pairs = forms(True)["dict"]
    with pytest.raises(TypeError, match="Feature 'f1': weights must be floats, received int64"):
        ebc({**pairs, "f1": (pairs["f1"][0], pairs["f1"][0])})
    with pytest.raises(ValueError, match="'f1' must have as many weights as ids"):
        ebc({**pairs, "f1": pairs["f1"][:1] + pairs["f2"][1:]})


@pytest.mark.parametrize(
    ("pooling", "is_weighted", "policy"),
    [("sum", False, "error"), ("mean", False, "drop"), ("sum", True, "drop")],
)
def test_many_ids_are_pooled_in_blocks(pooling, is_weighted, policy):
    """Empty bags, and one longer than two blocks: NumPy's sums, the bits of the training path."""
    rng = np.random.default_rng(3)
    lengths = rng.integers(0, 4, 9000)
    lengths[[0, 500, 4000, 8999]] = 0, 40_000, 0, 0
    ids = rng.integers(0, 60 if policy == "drop" else 50, lengths.sum())
    weights = rng.normal(size=len(ids)).astype(np.float32)
    table = EmbeddingBagConfig(50, 4, "t", feature_names=["f"], pooling=pooling, id_policy=policy)
    layer = EmbeddingBagCollection([table], is_weighted=is_weighted)
    layer.build()
    bags = tf.RaggedTensor.from_row_lengths(ids, lengths)
    if is_weighted:
        bags = bags, tf.RaggedTensor.from_row_lengths(weights, lengths)
    else:
        weights = np.ones_like(weights)
    found = tf.function(lambda: layer({"f": bags}, training=False).values())()
    np.testing.assert_array_equal(found, layer({"f": bags}).values())
    rows, kept = layer.read_table("t").numpy().astype(np.float64), ids < 50
    bag = np.repeat(np.arange(len(lengths)), lengths)[kept]
    expected = np.zeros((len(lengths), 4))
    np.add.at(expected, bag, rows[ids[kept]] * weights[kept, None])
    if pooling == "mean":
        expected /= np.maximum(np.bincount(bag, minlength=len(lengths)), 1)[:, None]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
