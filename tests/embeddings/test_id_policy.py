"""Ids outside a table mean the same on every path."""

import numpy as np
import pytest
import tensorflow as tf

from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig

ROWS = 10
TABLE = np.arange(1.0, ROWS + 2, dtype=np.float32)[:, np.newaxis]
"""Row i holds i + 1, and the row after the last, the one of "oov", ROWS + 1."""

OUTSIDE = {
    "negative": -1,
    "very_negative": -7,
    "equal_to_the_size": ROWS,
    "int64_maximum": 2**63 - 1,
}

EXPECTED = {
    "clip": lambda number: 1.0 if number < 0 else float(ROWS),
    "hash": lambda number: number % ROWS + 1.0,
    "oov": lambda number: ROWS + 1.0,
    "drop": lambda number: 0.0,
}


def collection(id_policy, pooling="SUM"):
    """One table with known rows."""
    ebc = EmbeddingBagCollection(
        [EmbeddingBagConfig(ROWS, 1, "t", pooling=pooling, id_policy=id_policy)]
    )
    ebc.write_table("t", TABLE[: ebc.tables[0].num_rows])
    return ebc


def lookup(ebc, way, form, tmp_path):
    """A function from a vector of ids to one number per id, along one way."""

    def run(ids):
        if form == "ragged":
            ids = tf.RaggedTensor.from_uniform_row_length(ids, 1)
        return ebc({"t": ids}).values()[:, 0]

    if way == "eager":
        return run
    graph = tf.function(run)
    if way == "graph":
        return graph
    if way == "xla":
        return tf.function(run, jit_compile=True)
    module = tf.Module()
    module.kept = [variable.value for variable in ebc.variables]
    module.run = tf.function(run, input_signature=[tf.TensorSpec([None], tf.int64)])
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    return lambda ids: loaded.run(ids)


WAYS = [
    (way, form)
    for form in ("single", "ragged")
    for way in ("eager", "graph", "exported", "xla")
    if (way, form) != ("xla", "ragged")
]


@pytest.mark.parametrize("way, form", WAYS)
@pytest.mark.parametrize("id_policy", EXPECTED)
def test_outside_ids(id_policy, way, form, tmp_path):
    """Every id outside the table gives what its policy says, next to ids inside."""
    run = lookup(collection(id_policy), way, form, tmp_path)
    numbers = [3, *OUTSIDE.values(), 0]
    expected = [4.0, *(EXPECTED[id_policy](number) for number in OUTSIDE.values()), 1.0]
    np.testing.assert_array_equal(run(tf.constant(numbers, tf.int64)), expected)
    if way in ("eager", "graph"):
        small = [number for number in numbers if abs(number) < 2**31]
        wanted = [expected[numbers.index(number)] for number in small]
        np.testing.assert_array_equal(run(tf.constant(small, tf.int32)), wanted)


@pytest.mark.parametrize("way, form", [pair for pair in WAYS if pair[0] != "xla"])
@pytest.mark.parametrize("kind", OUTSIDE)
def test_error_names_the_id(kind, way, form, tmp_path):
    """The "error" policy names feature, id, table size and the first offending example."""
    run = lookup(collection("error"), way, form, tmp_path)
    quoted = r'\\?"t\\?"'  # a graph's error message escapes quotes
    message = f"Feature {quoted}: id {OUTSIDE[kind]} in example 2 is outside table {quoted}.* to 9."
    ids = tf.constant([0, 9, OUTSIDE[kind], OUTSIDE[kind]], tf.int64)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        run(ids)
    np.testing.assert_array_equal(run(tf.constant([0, 9], tf.int64)), [1.0, 10.0])


def test_error_under_xla_is_refused_not_ignored():
    """XLA drops assertions in silence; the "error" policy does not compile rather than clamp."""
    run = lookup(collection("error"), "xla", "single", None)
    with pytest.raises(tf.errors.InvalidArgumentError, match="unsupported operations"):
        run(tf.constant([10], tf.int64))


def test_tables_of_one_stack_keep_their_own_policies():
    """Four policies in one variable, in one lookup, by example and by feature."""
    policies = ["error", "clip", "hash", "oov", "drop"]
    ebc = EmbeddingBagCollection(
        [EmbeddingBagConfig(ROWS, 1, policy, id_policy=policy) for policy in policies]
    )
    for table in ebc.tables:
        ebc.write_table(table.name, TABLE[: table.num_rows])
    assert len(ebc.variables) == 1
    ids = [[5, 13, 13, 13, 13], [9, -2, -2, -2, -2]]
    expected = [[6.0, 10.0, 4.0, 11.0, 0.0], [10.0, 1.0, 9.0, 11.0, 0.0]]
    packed = tf.RaggedTensor.from_tensor(tf.constant(ids)[:, :, np.newaxis], ragged_rank=2)
    by_name = {
        policy: tf.RaggedTensor.from_tensor(tf.constant(ids)[:, i : i + 1])
        for i, policy in enumerate(policies)
    }
    for form in (tf.constant(ids), packed, by_name):
        np.testing.assert_array_equal(ebc(form).values(), expected)
    ids[1][0] = 10
    with pytest.raises(tf.errors.InvalidArgumentError, match='"error": id 10 in example 1'):
        ebc(tf.constant(ids))


@pytest.mark.parametrize("pooling, expected", [("SUM", [5.0, 0.0, 3.0]), ("MEAN", [2.5, 0.0, 3.0])])
def test_drop_leaves_the_id_out_of_its_bag(pooling, expected):
    """A dropped id counts neither in the sum nor in the number of ids."""
    bags = tf.ragged.constant([[2, 99, 1], [-5, 10], [2]])
    values = collection("drop", pooling)({"t": bags}).values()[:, 0]
    np.testing.assert_array_equal(values, expected)


def test_dropped_ids_get_no_gradient():
    """Neither through bags nor through single ids."""
    ebc = collection("drop")
    for ids in (tf.constant([1, 99]), tf.ragged.constant([[1], [99]])):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(ebc({"t": ids}).values())
        gradient = tf.convert_to_tensor(tape.gradient(total, ebc.variables[0].value))
        assert gradient.numpy()[:, 0].tolist() == [0, 0, 1] + [0] * 8
