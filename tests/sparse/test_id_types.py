"""The types of ids, lengths and weights: any integer, and lists of nothing."""

import numpy as np
import pytest
import tensorflow as tf

from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig, JaggedTensor, KeyedJaggedTensor

SIGNED = {
    "int8": tf.int32,
    "int16": tf.int32,
    "int32": tf.int32,
    "int64": tf.int64,
    "uint8": tf.int32,
    "uint16": tf.int32,
    "uint32": tf.int64,
    "uint64": tf.int64,
}
NOTHING = {
    "list": [],
    "float64": np.array([]),
    "float32": np.zeros(0, "float32"),
    "object": np.array([], object),
    "tensor": tf.constant([]),
}


@pytest.mark.parametrize("dtype", SIGNED)
def test_any_integer_type(dtype):
    """Ids and lengths of any integer type become int32, or int64 where that is needed."""
    largest = np.iinfo(dtype).max if dtype != "uint64" else 2**63 - 1
    ids, lengths = np.array([3, largest], dtype), np.array([1, 1], dtype)
    for kjt in (
        KeyedJaggedTensor(["a"], ids, lengths=lengths),
        KeyedJaggedTensor(["a"], ids, offsets=np.array([0, 1, 2], dtype)),
        KeyedJaggedTensor.from_dict({"a": ids}),
        KeyedJaggedTensor.from_dict({"a": tf.RaggedTensor.from_row_lengths(ids, [1, 1])}),
        KeyedJaggedTensor.from_jt_dict({"a": JaggedTensor(ids, lengths=lengths)}),
    ):
        assert kjt.dtype == SIGNED[dtype]
        assert kjt.values().numpy().tolist() == [3, largest]
        assert kjt.lengths().numpy().tolist() == [1, 1]


def test_ids_above_int64():
    """Unsigned ids that int64 cannot hold are refused, at once or when the graph runs."""
    message = r"values must be below 2\*\*63 to fit into int64"
    with pytest.raises(ValueError, match=message):
        KeyedJaggedTensor(["a"], np.array([2**63], "uint64"), lengths=[1])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.uint64)])
    def ids(values):
        return KeyedJaggedTensor(["a"], values, lengths=[1]).values()

    assert ids(np.array([2**62], "uint64")).numpy().tolist() == [2**62]
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        ids(np.array([2**63], "uint64"))


@pytest.mark.parametrize("nothing", NOTHING)
def test_no_ids_at_all(nothing):
    """Values known to be none are ids, whatever type Python, NumPy or pandas give an empty list."""
    values, collection = NOTHING[nothing], make_collection()
    for kjt in (
        KeyedJaggedTensor.from_lengths_sync(["f"], values, [0, 0]),
        KeyedJaggedTensor.from_offsets_sync(["f"], values, [0, 0, 0]),
        KeyedJaggedTensor.from_lengths_sync(["f"], values, [0, 0], weights=values),
    ):
        assert kjt.dtype == tf.int64
        np.testing.assert_array_equal(collection(kjt).values(), np.zeros((2, 4)))


def test_lists_of_nothing():
    """Empty lists in lists are bags, and take the type of the ids beside them."""
    assert KeyedJaggedTensor(["a", "b"], [], lengths=[[], []]).stride() == 0
    assert KeyedJaggedTensor(["a", "b"], [], lengths=[[0, 0, 0], [0, 0, 0]]).stride() == 3
    weighted = KeyedJaggedTensor.from_dict({"a": [[], []]}, {"a": [[], []]})
    assert (weighted.dtype, weighted.weights().dtype) == (tf.int64, tf.float32)
    mixed = KeyedJaggedTensor.from_dict(
        {"a": tf.ragged.constant([[], []]), "b": tf.ragged.constant([[1], [2]])}
    )
    assert mixed.dtype == tf.int32
    assert mixed.lengths().numpy().tolist() == [0, 0, 1, 1]
    of_jagged = KeyedJaggedTensor.from_jt_dict(
        {"a": JaggedTensor(np.array([]), lengths=np.array([])), "b": JaggedTensor([], lengths=[])}
    )
    assert of_jagged.dtype == tf.int64
    assert JaggedTensor.from_dense([[], [1, 2]]).values().dtype == tf.int32
    assert JaggedTensor.from_dense([[], []]).values().dtype == tf.int64


def test_floats_stay_floats_in_a_jagged_tensor():
    """A tensor says what it holds: the embeddings of no id are floats."""
    jagged = JaggedTensor(tf.zeros([0, 4]), lengths=[0, 0])
    assert jagged.values().dtype == tf.float32
    assert jagged.to_padded_dense(3).shape == (2, 3, 4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ids_that_are_floats(dtype):
    """A layer refuses them by name; cast, they are ids."""
    kjt = KeyedJaggedTensor(["f"], np.array([1.0, 2.0], dtype), lengths=[1, 1])
    with pytest.raises(TypeError, match=f"KeyedJaggedTensor values must be ids .*{dtype}"):
        make_collection()(kjt)
    assert tf.cast(kjt, tf.int64).values().numpy().tolist() == [1, 2]


def test_sparse_tensors():
    """A SparseTensor is refused with how to convert it."""
    sparse = tf.sparse.from_dense([[1]])
    with pytest.raises(TypeError, match="received a SparseTensor.*tf.RaggedTensor.from_sparse"):
        KeyedJaggedTensor.from_dict({"a": sparse})
    with pytest.raises(TypeError, match="values must be .* received a SparseTensor"):
        JaggedTensor(sparse, lengths=[1])


def make_collection():
    """One table of ten rows for feature "f"."""
    return EmbeddingBagCollection([EmbeddingBagConfig(10, 4, "t", feature_names=["f"])])
