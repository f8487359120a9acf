"""KeyedJaggedTensor: TorchRec's methods with the numbers TorchRec 1.8 gives."""

import numpy as np
import pytest
import tensorflow as tf

from tests.sparse.assertions import assert_jagged_tensors_close, assert_keyed_jagged_tensors_close
from tfrec_models import JaggedTensor, KeyedJaggedTensor

WEIGHTS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
LENGTHS = [2, 0, 1, 1, 1, 3]


def make(weights=None):
    """Two keys, three examples: "a" has 2, 0, 1 ids; "b" has 1, 1, 3."""
    return KeyedJaggedTensor.from_lengths_sync(
        ["a", "b"], [1, 2, 3, 4, 5, 6, 7, 8], LENGTHS, weights=weights
    )


def parts(kjt):
    """Keys, ids, lengths and stride."""
    values, lengths = kjt.values().numpy().tolist(), kjt.lengths().numpy().tolist()
    return kjt.keys(), values, lengths, int(kjt.stride())


def test_per_key():
    """Lists with a number for each key."""
    kjt = make()
    assert kjt.length_per_key() == kjt.length_per_key_or_none() == [3, 5]
    assert kjt.offset_per_key() == kjt.offset_per_key_or_none() == [0, 3, 8]
    assert kjt.stride_per_key() == [3, 3]
    assert kjt.lengths_or_none().numpy().tolist() == LENGTHS
    assert kjt.offsets_or_none().numpy().tolist() == [0, 2, 2, 3, 4, 5, 8]
    assert KeyedJaggedTensor.empty().length_per_key() == []
    assert KeyedJaggedTensor.empty().offset_per_key() == [0]
    assert KeyedJaggedTensor(["a", "b"], [], lengths=[]).length_per_key() == [0, 0]


def test_per_key_in_a_graph():
    """A graph that does not know the offsets says what to take instead, which is right."""

    @tf.function(input_signature=[tf.type_spec_from_value(make())])
    def edges(kjt):
        assert kjt.length_per_key_or_none() is None
        assert kjt.offset_per_key_or_none() is None
        for method in ("length_per_key", "offset_per_key"):
            with pytest.raises(ValueError, match=f"{method} returns a Python list.*tf.gather"):
                getattr(kjt, method)()
        return tf.gather(kjt.offsets(), tf.range(len(kjt.keys()) + 1) * kjt.stride())

    assert edges(make()).numpy().tolist() == [0, 3, 8]


def test_one_stride_for_all_keys():
    """There is no variable stride and there are no inverse indices."""
    assert make().variable_stride_per_key() is False
    assert make().inverse_indices_or_none() is None
    with pytest.raises(ValueError, match="has no inverse indices"):
        make().inverse_indices()


def test_from_jt_dict():
    """The inverse of to_dict, weights included."""
    for kjt in (make(), make(WEIGHTS)):
        assert_keyed_jagged_tensors_close(KeyedJaggedTensor.from_jt_dict(kjt.to_dict()), kjt)
    b = JaggedTensor([4, 5, 6, 7, 8], lengths=[1, 1, 3], weights=WEIGHTS[3:])
    assert_jagged_tensors_close(make(WEIGHTS).to_dict()["b"], b)
    assert parts(KeyedJaggedTensor.from_jt_dict({})) == ([], [], [], 0)
    a = JaggedTensor([1], lengths=[1])
    with pytest.raises(ValueError, match=r"those at keys \['a'\] have no weights"):
        KeyedJaggedTensor.from_jt_dict({"a": a, "b": JaggedTensor([1], [0.5], lengths=[1])})
    with pytest.raises(ValueError, match="'b' and 'a' have: 3, 1"):
        KeyedJaggedTensor.from_jt_dict({"a": a, "b": b})
    wide = {"a": a, "b": JaggedTensor(tf.constant([2], tf.int64), lengths=[1])}
    assert KeyedJaggedTensor.from_jt_dict(wide).dtype == tf.int64


def test_empty():
    """Without keys and examples, or without keys alone."""
    empty = KeyedJaggedTensor.empty(is_weighted=True, values_dtype=tf.int32)
    assert parts(empty) == ([], [], [], 0)
    assert (empty.values().dtype, empty.weights().dtype) == (tf.int32, tf.float32)
    assert empty.to_dict() == {}
    like = KeyedJaggedTensor.empty_like(make(WEIGHTS))
    assert parts(like) == ([], [], [], 3)
    assert like.weights().shape == (0,)
    assert KeyedJaggedTensor.empty_like(make()).weights_or_none() is None


@pytest.mark.parametrize("segments", [[0, 2], [1, 0, 1], [2, 0], [0, 1, 0, 1, 0]])
def test_concat_joins_what_split_parts(segments):
    """A part without keys keeps the number of examples, so the parts can be joined."""
    kjt = make(WEIGHTS)
    split = kjt.split(segments)
    assert [part.stride() for part in split] == [3] * len(segments)
    assert [len(part.keys()) for part in split] == segments
    assert parts(split[segments.index(0)]) == ([], [], [], 3)
    assert_keyed_jagged_tensors_close(KeyedJaggedTensor.concat(split), kjt)

    @tf.function(input_signature=[spec_of_any_size(kjt)])
    def join(kjt):
        return KeyedJaggedTensor.concat(kjt.split(segments)), kjt.split(segments)[0].stride()

    joined, stride = join(kjt)
    assert_keyed_jagged_tensors_close(joined, kjt)
    assert stride == 3


def test_without_keys():
    """Every operation keeps the number of examples, in batches too."""
    none = make().permute([])
    assert parts(none) == ([], [], [], 3)
    assert tuple(none.shape) == (3, 0, None)
    assert none.offsets().numpy().tolist() == [0]
    assert tf.shape(none).numpy().tolist() == [3, 0, 0]
    assert none.to_packed().to_list() == [[], [], []]
    assert parts(KeyedJaggedTensor.concat([none, none])) == ([], [], [], 3)
    assert parts(KeyedJaggedTensor([], [], lengths=[], stride=4)) == ([], [], [], 4)
    rows = tf.data.Dataset.from_tensors(none).unbatch()
    assert [int(batch.stride()) for batch in rows.batch(2)] == [2, 1]
    with pytest.raises(ValueError, match="stride must be 0 or above, received -1"):
        KeyedJaggedTensor([], [], lengths=[], stride=-1)


def test_without_examples():
    """Every operation takes a batch of none."""
    none = KeyedJaggedTensor(["a", "b"], [], lengths=[])
    for kjt in (none, none.permute([0, 1]), KeyedJaggedTensor.concat(none.split([1, 1]))):
        assert parts(kjt) == (["a", "b"], [], [], 0)
        assert kjt.offset_per_key() == [0, 0, 0]
        assert kjt.to_packed().to_list() == []
    assert none["b"].lengths().shape == (0,)


def test_permute_with_duplicates():
    """A key may be taken again, with its weights."""
    kjt = KeyedJaggedTensor.from_lengths_sync(
        ["a", "b", "c"], [1, 2, 3, 4, 5, 6, 7, 8], [0, 2, 0, 1, 1, 1, 0, 3, 0], weights=WEIGHTS
    )
    once = kjt.permute([1, 0, 2])
    assert parts(once) == (
        ["b", "a", "c"],
        [3, 4, 5, 1, 2, 6, 7, 8],
        [1, 1, 1, 0, 2, 0, 0, 3, 0],
        3,
    )
    twice = kjt.permute([1, 0, 2, 1, 1])
    assert twice.keys() == ["b", "a", "c", "b", "b"]
    assert twice.values().numpy().tolist() == [3, 4, 5, 1, 2, 6, 7, 8, 3, 4, 5, 3, 4, 5]
    assert twice.lengths().numpy().tolist() == [1, 1, 1, 0, 2, 0, 0, 3, 0, 1, 1, 1, 1, 1, 1]
    expected = [0.3, 0.4, 0.5, 0.1, 0.2, 0.6, 0.7, 0.8, 0.3, 0.4, 0.5, 0.3, 0.4, 0.5]
    np.testing.assert_allclose(twice.weights(), expected, rtol=1e-6)


def test_gradients_of_weights():
    """Weights get gradients through every operation, summed over repeated keys."""
    weights = tf.constant(WEIGHTS)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(weights)
        kjt = make(weights)
        permuted = kjt.permute([1, 1, 0]).weights()
        joined = KeyedJaggedTensor.concat(kjt.split([1, 1])).weights()
        of_dict = KeyedJaggedTensor.from_jt_dict(kjt.to_dict()).weights()
        packed = kjt.to_packed_weights().flat_values
    for result, expected in (
        (permuted, [1, 1, 1, 2, 2, 2, 2, 2]),
        (joined, [1] * 8),
        (of_dict, [1] * 8),
        (packed, [1] * 8),
    ):
        gradient = tf.convert_to_tensor(tape.gradient(result, weights))
        assert gradient.numpy().tolist() == expected


def test_packed_weights():
    """Weights are packed as ids are."""
    assert make().to_packed_weights() is None
    packed = make(tf.range(1.0, 9.0)).to_packed_weights()
    assert packed.to_list() == [[[1, 2], [4]], [[], [5]], [[3], [6, 7, 8]]]
    assert make().to_packed().to_list() == packed.to_list()


def test_weights_of_a_dict_have_the_bags_of_its_ids():
    """As many weights in other bags are refused, at once or when the graph runs."""
    message = "must have one for each id of each example, received"
    ids, weights = tf.ragged.constant([[1, 2], [3]]), tf.ragged.constant([[0.1], [0.2, 0.3]])
    with pytest.raises(ValueError, match=message + r".*\[1 2\].*\[2 1\]"):
        KeyedJaggedTensor.from_dict({"a": ids}, {"a": weights})

    @tf.function(
        input_signature=[
            tf.RaggedTensorSpec([None, None], tf.int32),
            tf.RaggedTensorSpec([None, None], tf.float32),
        ]
    )
    def total(ids, weights):
        kjt = KeyedJaggedTensor.from_dict({"a": ids}, {"a": weights})
        return tf.reduce_sum(kjt.weights())

    assert total(ids, tf.ragged.constant([[0.5, 1.0], [2.0]])) == 3.5
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        total(ids, weights)
    with pytest.raises(tf.errors.InvalidArgumentError, match="must have as many examples"):
        total(ids, tf.ragged.constant([[0.1, 0.2, 0.3]]))


def test_is_no_array():
    """NumPy and TensorFlow do not convert it, and the error says what Keras takes."""
    for convert in (np.asarray, tf.convert_to_tensor):
        with pytest.raises(TypeError, match="cannot be converted to an array.*tf.data.Dataset"):
            convert(make())


def spec_of_any_size(kjt):
    """The type of `kjt` with any number of examples."""
    dataset = tf.data.Dataset.from_tensors(kjt).unbatch().batch(2)
    return dataset.element_spec


@pytest.mark.parametrize("is_weighted", [False, True])
def test_bags_that_examples_share_are_repeated(is_weighted):
    """A variable stride with inverse indices, as TorchRec's pooled embeddings are put in order.

    Key "a" has two bags for three examples, "b" three of two ranks; the indices are in another
    order than the keys.
    """
    lengths, values = [2, 0, 1, 1, 3], np.arange(7)
    weights = np.float32(values) / 2 if is_weighted else None
    indices = (["b", "a"], [[2, 0, 1], [1, 0, 0]])
    strides = [[2, 0], [1, 2]]

    def make_it(strides, indices):
        return KeyedJaggedTensor(["a", "b"], values, weights, lengths, None, 3, strides, indices)

    for call in (make_it, tf.function(make_it, autograph=False)):
        kjt = call(strides, indices)
        assert kjt["a"].to_ragged().to_list() == [[], [0, 1], [0, 1]]
        assert kjt["b"].to_ragged().to_list() == [[4, 5, 6], [2], [3]]
        assert (kjt.stride(), kjt.stride_per_key()) == (3, [3, 3])
        if is_weighted:
            np.testing.assert_array_equal(kjt.weights() * 2, kjt.values())
    for wrong, message in (
        ((strides, (["b", "c"], indices[1])), "must have a row for each of the keys"),
        ((strides, (["b", "a"], [[2, 0, 1], [2, 0, 0]])), "to below the number of bags of their"),
        (([[2], [2]], indices), "must add up to the number of bags"),
        (([[2]], indices), "for each of the 2 keys, received shape"),
        ((strides, None), "stride_per_key_per_rank goes with inverse_indices"),
        ((strides, indices[1][0]), "must be a pair of a list of keys and a tensor"),
    ):
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=message):
            make_it(*wrong)
