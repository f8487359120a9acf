"""JaggedTensor: TorchRec's methods with the numbers TorchRec 1.8 gives, in graphs and on tapes."""

import numpy as np
import pytest
import tensorflow as tf

from tests.sparse.assertions import assert_jagged_tensors_close
from tfrec_models import JaggedTensor

VALUES = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
WEIGHTS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
OFFSETS = [0, 2, 2, 3, 4, 5, 8]


def make(dtype=tf.float32):
    """Six bags of 2, 0, 1, 1, 1 and 3 values."""
    return JaggedTensor(tf.cast(VALUES, dtype), weights=WEIGHTS, offsets=OFFSETS)


def as_lists(tensors):
    """Tensors as nested lists, rounded to what float32 weights were written as."""
    return [np.round(tensor.numpy().astype("float64"), 6).tolist() for tensor in tensors]


def test_to_dense():
    """A list with the values, and one with the weights, of each example."""
    assert as_lists(make().to_dense()) == [[1, 2], [], [3], [4], [5], [6, 7, 8]]
    assert as_lists(make().to_dense_weights()) == [[0.1, 0.2], [], [0.3], [0.4], [0.5], WEIGHTS[5:]]
    assert JaggedTensor([1], lengths=[1]).to_dense_weights() is None
    assert JaggedTensor([], lengths=[]).to_dense() == []
    assert as_lists(JaggedTensor([7], lengths=[1]).to_dense()) == [[7]]


def test_to_padded_dense():
    """Bags are padded at their ends, or cut."""
    assert as_lists(make().to_padded_dense()) == [
        [1, 2, 0],
        [0, 0, 0],
        [3, 0, 0],
        [4, 0, 0],
        [5, 0, 0],
        [6, 7, 8],
    ]
    cut = [[1, 2], [10, 10], [3, 10], [4, 10], [5, 10], [6, 7]]
    assert as_lists(make().to_padded_dense(2, 10.0)) == cut
    ids = make(tf.int64).to_padded_dense(2, 10)
    assert ids.dtype == tf.int64
    assert as_lists(ids) == cut
    assert make().to_padded_dense(4, -1.0)[5].numpy().tolist() == [6, 7, 8, -1]
    assert JaggedTensor([], lengths=[0, 0]).to_padded_dense(2).shape == (2, 2)
    with pytest.raises(ValueError, match="padding_value must be an integer.*received 0.5"):
        make(tf.int64).to_padded_dense(2, 0.5)


def test_to_padded_dense_of_embeddings():
    """Values of several columns keep them."""
    jagged = JaggedTensor(tf.reshape(tf.range(8.0), [4, 2]), offsets=[0, 1, 1, 4])
    assert jagged.to_padded_dense(2, 9.0).numpy().tolist() == [
        [[0, 1], [9, 9]],
        [[9, 9], [9, 9]],
        [[2, 3], [4, 5]],
    ]


def test_to_padded_dense_weights():
    """Weights are padded as values are."""
    padded = make().to_padded_dense_weights(2, 1.0)
    assert as_lists(padded) == [[0.1, 0.2], [1, 1], [0.3, 1], [0.4, 1], [0.5, 1], [0.6, 0.7]]
    assert as_lists(make().to_padded_dense_weights())[5] == [0.6, 0.7, 0.8]
    assert JaggedTensor([1], lengths=[1]).to_padded_dense_weights() is None


def test_from_dense():
    """A list of values becomes bags, an empty one an empty bag."""
    expected = JaggedTensor([1.0, 7.0, 8.0], lengths=[1, 0, 2], weights=[0.1, 0.7, 0.8])
    given = JaggedTensor.from_dense(
        [[1.0], [], np.array([7.0, 8.0], "float32")], [[0.1], [], [0.7, 0.8]]
    )
    assert_jagged_tensors_close(given, expected)
    back = JaggedTensor.from_dense(make().to_dense(), make().to_dense_weights())
    assert_jagged_tensors_close(back, make())
    assert JaggedTensor.from_dense([]).lengths().shape == (0,)


def test_from_dense_lengths():
    """The first columns of each row become a bag."""
    values = np.arange(1.0, 10.0, dtype="float32").reshape(3, 3)
    jagged = JaggedTensor.from_dense_lengths(values, [1, 0, 3], values / 10)
    expected = JaggedTensor([1.0, 7, 8, 9], lengths=[1, 0, 3], weights=[0.1, 0.7, 0.8, 0.9])
    assert_jagged_tensors_close(jagged, expected)


def test_empty():
    """Without examples, of the types asked for or those of another."""
    empty = JaggedTensor.empty(is_weighted=True, values_dtype=tf.int32)
    assert (empty.values().dtype, empty.weights().dtype) == (tf.int32, tf.float32)
    assert empty.lengths().shape == (0,)
    assert JaggedTensor.empty().weights_or_none() is None
    assert_jagged_tensors_close(JaggedTensor.empty_like(make()), empty)
    assert JaggedTensor.empty_like(make()).values().dtype == tf.float32


def test_or_none():
    """Lengths and offsets are always there, weights may not be."""
    jagged = JaggedTensor([5], lengths=[1])
    assert jagged.weights_or_none() is None
    assert jagged.lengths_or_none().numpy().tolist() == [1]
    assert jagged.offsets_or_none().numpy().tolist() == [0, 1]


def test_in_a_graph():
    """A graph that knows the number of examples makes lists; one that does not says so."""

    @tf.function
    def longest(jagged):
        return tf.stack([tf.size(part) for part in jagged.to_dense()])

    assert longest(make()).numpy().tolist() == [2, 0, 1, 1, 1, 3]

    @tf.function(input_signature=[tf.TensorSpec([None]), tf.TensorSpec([None], tf.int64)])
    def padded(values, lengths):
        return JaggedTensor(values, lengths=lengths).to_padded_dense(2)

    assert padded([1.0, 2.0, 3.0], [0, 3]).numpy().tolist() == [[0, 0], [1, 2]]

    @tf.function(input_signature=[tf.TensorSpec([None]), tf.TensorSpec([None], tf.int64)])
    def listed(values, lengths):
        return JaggedTensor(values, lengths=lengths).to_dense()

    with pytest.raises(ValueError, match="to_dense returns a Python list.*Use to_ragged"):
        listed([1.0], [1])


def test_gradients():
    """Each value gets the gradient of where it went, and none where it was cut."""
    values, weights = tf.constant(VALUES), tf.constant(WEIGHTS)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([values, weights])
        jagged = JaggedTensor(values, weights=weights, offsets=OFFSETS)
        cut = tf.reduce_sum(jagged.to_padded_dense(2) * jagged.to_padded_dense_weights(2))
        listed = jagged.to_dense()[5][1] * jagged.to_dense_weights()[0][0]
        again = JaggedTensor.from_dense(jagged.to_dense()).to_ragged()
        masked = JaggedTensor.from_dense_lengths(tf.reshape(values, [2, 4]), [1, 2]).values()
        summed = tf.reduce_sum(again * again) + tf.reduce_sum(masked)

    def gradient(target, source):
        return tf.convert_to_tensor(tape.gradient(target, source))

    np.testing.assert_allclose(gradient(cut, values), [*WEIGHTS[:7], 0], rtol=1e-6)
    np.testing.assert_allclose(gradient(cut, weights), [*VALUES[:7], 0], rtol=1e-6)
    np.testing.assert_allclose(gradient(listed, values), [0] * 6 + [0.1, 0], rtol=1e-6)
    expected = 2 * np.array(VALUES) + [1, 0, 0, 0, 1, 1, 0, 0]
    np.testing.assert_allclose(gradient(summed, values), expected)


BAD = {
    "lengths must be between 0 and the number of columns of values, received: .*3 0.*, 2": (
        lambda: JaggedTensor.from_dense_lengths([[1, 2], [3, 4]], [3, 0])
    ),
    "Each example must have as many weights as values": (
        lambda: JaggedTensor.from_dense([[1]], [[0.1, 0.2]])
    ),
    "weights must have 1 examples as values have, received 0": (
        lambda: JaggedTensor.from_dense([[1]], [])
    ),
    "values must have shape .* received a scalar": lambda: JaggedTensor(1, lengths=[1]),
}


@pytest.mark.parametrize("message", BAD)
def test_refuses(message):
    """What does not fit together is an error that says what."""
    with pytest.raises(ValueError, match=message):
        BAD[message]()


def test_types_that_cannot_be_joined():
    """Ids and floats in one list are named."""
    with pytest.raises(TypeError, match=r"values must be of one type .*\['float32', 'int32'\]"):
        JaggedTensor.from_dense([[1], [1.5]])
