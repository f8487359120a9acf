"""KeyedJaggedTensor: TorchRec's operations, its checks, and its ways through TensorFlow."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support import oracle
from tfrec_models import JaggedTensor, KeyedJaggedTensor

OFFSETS = [0, 2, 2, 3, 4, 5, 8]


def make(weights=None):
    """Two keys, three examples: f1 has 2, 0, 1 ids; f2 has 1, 1, 3."""
    return KeyedJaggedTensor.from_offsets_sync(
        ["f1", "f2"], tf.range(8), tf.constant(OFFSETS), weights=weights
    )


def assert_same(jagged, recorded, prefix):
    """Values, lengths, offsets and weights are the recorded ones."""
    for part in ("values", "lengths", "offsets", "weights"):
        recorded.compare(f"{prefix}/{part}", getattr(jagged, part)(), rtol=0, atol=0)


def test_operations_equal_torchrec():
    """permute, split, concat and to_dict give TorchRec's recorded parts."""
    case, recorded = oracle.index()["kjt_ops"], oracle.arrays("kjt_ops")
    kjt = oracle.kjt(case, recorded, recorded["in/weights"])
    assert kjt.stride() == case["stride"]
    assert kjt.length_per_key() == case["length_per_key"]
    assert kjt.offset_per_key() == case["offset_per_key"]
    np.testing.assert_array_equal(kjt.lengths(), recorded["in/lengths"])
    first, second = kjt.split([1, 1])
    added = KeyedJaggedTensor.from_lengths_sync(
        ["f3"], [9], [0, 1, 0], weights=recorded["out/concat/weights"][-1:]
    )
    results = {
        "permute_10": kjt.permute([1, 0]),
        "permute_110": kjt.permute([1, 1, 0]),
        "split_0": first,
        "split_1": second,
        "concat": KeyedJaggedTensor.concat([kjt, added]),
    }
    for name, result in results.items():
        assert result.keys() == case["out_keys"][name]
        assert_same(result, recorded, f"out/{name}")
    for key, jagged in kjt.to_dict().items():
        assert_same(jagged, recorded, f"out/to_dict/{key}")


def test_lengths_and_offsets_agree():
    """Both constructors give the same tensor."""
    by_lengths = KeyedJaggedTensor.from_lengths_sync(["f1", "f2"], tf.range(8), [2, 0, 1, 1, 1, 3])
    assert by_lengths.offsets().numpy().tolist() == OFFSETS
    assert by_lengths.weights_or_none() is None
    assert tuple(by_lengths.shape) == (3, 2, None)


def test_from_dict_and_packed():
    """A dict of ragged and dense features, and the packed form of it."""
    kjt = KeyedJaggedTensor.from_dict(
        {"a": tf.ragged.constant([[1, 2], [], [3]]), "b": [4, 5, 6], "c": [[7, 8], [9, 1], [2, 3]]}
    )
    assert kjt["b"].to_ragged().to_list() == [[4], [5], [6]]
    assert kjt.to_packed().to_list() == [
        [[1, 2], [4], [7, 8]],
        [[], [5], [9, 1]],
        [[3], [6], [2, 3]],
    ]


def test_inside_tf_function():
    """Goes in and out of a tf.function whose batch size is not known."""
    spec = tf.type_spec_from_value(make())
    seen = []

    @tf.function
    def flip(kjt):
        seen.append(kjt.shape)
        return kjt.permute([1, 0])

    dataset = tf.data.Dataset.from_tensors(make()).unbatch().batch(2)
    flipped = [flip(kjt).lengths().numpy().tolist() for kjt in dataset]
    assert flipped == [[1, 1, 2, 0], [3, 1]]
    assert flip(make()).keys() == ["f2", "f1"]
    assert spec.is_compatible_with(make())


@pytest.mark.parametrize("weighted", [False, True])
def test_batching_joins_examples(weighted):
    """unbatch gives examples, batch joins them, and rebatching loses nothing."""
    kjt = make(tf.range(8.0) if weighted else None)
    examples = tf.data.Dataset.from_tensors(kjt).unbatch()
    parts = [(part.values().numpy().tolist(), part.lengths().numpy().tolist()) for part in examples]
    assert parts == [([0, 1, 3], [2, 1]), ([4], [0, 1]), ([2, 5, 6, 7], [1, 3])]
    (whole,) = examples.batch(3)
    (doubled,) = tf.data.Dataset.from_tensors(kjt).repeat(2).batch(2)
    assert whole.values().numpy().tolist() == list(range(8))
    assert whole.offsets().numpy().tolist() == OFFSETS
    assert doubled.stride() == 6
    assert doubled["f1"].to_ragged().to_list() == [[0, 1], [], [2]] * 2
    if weighted:
        assert whole.weights().numpy().tolist() == list(range(8))


class CountIds(keras.Model):
    """The number of ids of each key, times a weight."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(2, 1), initializer="ones")

    def call(self, kjt):
        lengths = tf.reshape(tf.cast(kjt.lengths(), tf.float32), [2, -1])
        return tf.matmul(lengths, self.kernel, transpose_a=True)


def test_as_input_of_fit_and_predict():
    """A dataset of KeyedJaggedTensors trains and predicts, the last batch smaller."""
    model = CountIds()
    model.compile("sgd", "mse")
    examples = tf.data.Dataset.from_tensors(make()).unbatch().batch(2)
    assert model.predict(examples, verbose=0).ravel().tolist() == [3.0, 1.0, 4.0]
    model.fit(examples.map(lambda kjt: (kjt, tf.zeros([kjt.stride(), 1]))), verbose=0)


BAD = {
    "offsets must start at 0, received a first entry of 1": {"offsets": [1, 2, 3, 4, 8]},
    "offsets must not decrease": {"offsets": [0, 5, 4, 6, 8]},
    "offsets must end at the number of values. .* 7, 8": {"offsets": [0, 1, 2, 3, 7]},
    "one more than a multiple of 2, received a length of 4": {"offsets": [0, 1, 2, 8]},
    "lengths must not be negative": {"lengths": [5, -1, 2, 2]},
    "lengths must sum to the number of values. .* 7, 8": {"lengths": [1, 2, 2, 2]},
    "a multiple of 2, received a length of 3": {"lengths": [1, 2, 5]},
    "either lengths or offsets, received both": {"lengths": [8, 0], "offsets": [0, 8, 8]},
    "either lengths or offsets, received neither": {},
    r"keys must be distinct, received \['a', 'a'\]": {"keys": ["a", "a"], "lengths": [8, 0]},
    "weights must be as long as values. .* 1, 8": {"lengths": [8, 0], "weights": [1.0]},
    "stride 2 with 2 keys needs 2 x 2 bags": {"lengths": [8, 0], "stride": 2},
}


@pytest.mark.parametrize("message", BAD)
def test_contents_are_checked(message):
    """What TorchRec takes in silence is an error that says what is wrong."""
    arguments = {"keys": ["a", "b"], "values": tf.range(8), **BAD[message]}
    with pytest.raises(ValueError, match=message):
        KeyedJaggedTensor(**arguments)


def test_contents_are_checked_in_a_graph():
    """Offsets only known when the graph runs are checked there."""
    specs = [tf.TensorSpec([None], tf.int64), tf.TensorSpec([None], tf.int64)]

    @tf.function(input_signature=specs)
    def total(values, offsets):
        return tf.reduce_sum(KeyedJaggedTensor(["a"], values, offsets=offsets).lengths())

    assert total([1, 2], [0, 2]) == 2
    with pytest.raises(tf.errors.InvalidArgumentError, match="offsets must end at the number"):
        total([1, 2], [0, 3])


def test_wrong_types():
    """Float offsets, integer weights and keys that are no list are type errors."""
    with pytest.raises(TypeError, match="offsets must be of integer type, received float32"):
        KeyedJaggedTensor(["a"], [1], offsets=[0.0, 1.0])
    with pytest.raises(TypeError, match="weights must be of floating type, received int32"):
        KeyedJaggedTensor(["a"], [1], lengths=[1], weights=[1])
    with pytest.raises(TypeError, match="keys must be a list of feature names .* received 'ab'"):
        KeyedJaggedTensor("ab", [1], lengths=[1])


def test_operations_refuse_what_does_not_fit():
    """Unknown keys, wrong indices, segments, strides and mixed weights."""
    kjt = make()
    with pytest.raises(KeyError, match="no key 'x'; it has"):
        kjt["x"]
    with pytest.raises(ValueError, match=r"indices of the 2 keys, received \[2\]"):
        kjt.permute([2])
    with pytest.raises(ValueError, match=r"segments must sum to the 2 keys, received \[1\]"):
        kjt.split([1])
    with pytest.raises(ValueError, match="received an empty list"):
        KeyedJaggedTensor.concat([])
    other = KeyedJaggedTensor(["f3"], tf.range(1), lengths=[1])
    with pytest.raises(ValueError, match="needs equal numbers of examples, received: 3, 1"):
        KeyedJaggedTensor.concat([kjt, other])
    with pytest.raises(ValueError, match=r"those at positions \[0\] have no weights"):
        KeyedJaggedTensor.concat([kjt, make(tf.range(8.0))])
    with pytest.raises(ValueError, match="has no weights"):
        kjt.weights()
    with pytest.raises(ValueError, match="'b' and 'a' have: 2, 1"):
        KeyedJaggedTensor.from_dict({"a": [1], "b": [1, 2]})


def test_jagged_tensor():
    """One feature: lengths and offsets agree, and its checks hold."""
    jagged = JaggedTensor(tf.constant([7, 8, 9]), lengths=[1, 0, 2], weights=[0.1, 0.2, 0.3])
    assert jagged.offsets().numpy().tolist() == [0, 1, 1, 3]
    assert jagged.lengths().numpy().tolist() == [1, 0, 2]
    np.testing.assert_array_equal(jagged.weights(), np.float32([0.1, 0.2, 0.3]))
    with pytest.raises(ValueError, match="has no weights"):
        JaggedTensor([1], lengths=[1]).weights()
    with pytest.raises(ValueError, match="either lengths or offsets"):
        JaggedTensor([1])
