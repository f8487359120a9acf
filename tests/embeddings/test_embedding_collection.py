"""Unpooled embeddings: every form of input, id policies, saving."""

import numpy as np
import pytest
import tensorflow as tf

from tfrec_models import KeyedJaggedTensor
from tfrec_models.layers import EmbeddingBagConfig, EmbeddingCollection, EmbeddingConfig

F1 = [[1, 2], [], [3, 1, 1]]
F2 = [[5], [6], []]


def make(id_policy="error"):
    """f1 in one table, f2 in two of different sizes."""
    return EmbeddingCollection(
        tables=[
            EmbeddingConfig(7, 4, "t1", feature_names=["f1", "f2"], id_policy=id_policy),
            EmbeddingConfig(9, 4, "t2", feature_names=["f2"]),
        ]
    )


FORMS = {
    "dict": {"f1": tf.ragged.constant(F1), "f2": tf.ragged.constant(F2)},
    "packed": tf.ragged.constant([[a, b] for a, b in zip(F1, F2, strict=True)]),
    "kjt": KeyedJaggedTensor.from_dict(
        {
            "f2": tf.ragged.constant(F2),
            "other": tf.constant([0, 0, 0]),
            "f1": tf.ragged.constant(F1),
        }
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("in_graph", [False, True])
def test_rows_of_every_id(form, in_graph):
    """Each id gives its table's row, and the bags keep their bounds."""
    layer = make()
    layer.build()
    embeddings = (tf.function(layer.__call__) if in_graph else layer)(FORMS[form])
    t1, t2 = layer.read_table("t1").numpy(), layer.read_table("t2").numpy()
    assert list(embeddings) == ["f1", "f2@t1", "f2@t2"]
    np.testing.assert_array_equal(embeddings["f1"].values(), t1[[1, 2, 3, 1, 1]])
    np.testing.assert_array_equal(embeddings["f2@t1"].values(), t1[[5, 6]])
    np.testing.assert_array_equal(embeddings["f2@t2"].values(), t2[[5, 6]])
    assert embeddings["f1"].lengths().numpy().tolist() == [2, 0, 3]
    assert embeddings["f2@t2"].lengths().numpy().tolist() == [1, 1, 0]


@pytest.mark.parametrize("size", [0, 1, 3])
def test_single_ids(size):
    """One id per bag, as a matrix; a batch of none too."""
    layer = make()
    ids = np.arange(2 * size).reshape(size, 2)
    embeddings = layer(ids)
    np.testing.assert_array_equal(
        embeddings["f2@t2"].values(), layer.read_table("t2").numpy()[ids[:, 1]]
    )
    assert embeddings["f1"].lengths().numpy().tolist() == [1] * size


def test_no_ids_at_all():
    """Bags that are all empty give no rows."""
    empty = tf.ragged.constant([[], []], dtype=tf.int64)
    embeddings = make()({"f1": empty, "f2": empty})
    assert {tuple(jagged.values().shape) for jagged in embeddings.values()} == {(0, 4)}


def test_dropped_ids_leave_their_bags():
    """The "drop" policy shortens a bag; "error" names feature, id and example."""
    layer = make("drop")
    features = {"f1": tf.ragged.constant([[99, 2], [], [3, -1]]), "f2": FORMS["dict"]["f2"]}
    embeddings = layer(features)
    np.testing.assert_array_equal(embeddings["f1"].values(), layer.read_table("t1").numpy()[[2, 3]])
    assert embeddings["f1"].lengths().numpy().tolist() == [1, 0, 1]
    assert embeddings["f2@t1"].lengths().numpy().tolist() == [1, 1, 0]
    with pytest.raises(tf.errors.InvalidArgumentError, match='"f1": id 99 in example 2'):
        make()({"f1": tf.ragged.constant([[1], [2], [3, 99]]), "f2": FORMS["dict"]["f2"]})


def test_gradient_of_each_row():
    """A row's gradient is the sum over its occurrences."""
    layer = make()
    layer.build()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(FORMS["dict"])["f1"].values())
    (gradient,) = tape.gradient(loss, [layer.table_variables[0].value])
    first, _ = layer.stack_of("t1")[1].rows_of("t1")
    rows = tf.convert_to_tensor(gradient).numpy()[first : first + 7, 0]
    assert rows.tolist() == [0, 3, 1, 1, 0, 0, 0]


def test_wrong_tables():
    """Unequal dims, no tables, and the wrong kind of config."""
    with pytest.raises(ValueError, match=r"same embedding_dim, received {'t1': 4, 't2': 3}"):
        EmbeddingCollection([EmbeddingConfig(7, 4, "t1"), EmbeddingConfig(7, 3, "t2")])
    with pytest.raises(ValueError, match="EmbeddingCollection needs at least one table"):
        EmbeddingCollection([])
    with pytest.raises(TypeError, match="EmbeddingConfig, .* EmbeddingBagConfig"):
        EmbeddingCollection([EmbeddingBagConfig(7, 4, "t1")])
