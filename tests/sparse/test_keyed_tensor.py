"""KeyedTensor: TorchRec's operations, and its ways through TensorFlow and Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.sparse.assertions import assert_keyed_tensors_close
from tests.support import oracle
from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig, KeyedTensor


def test_operations_equal_torchrec():
    """Slices and regrouped columns are TorchRec's recorded ones."""
    case, recorded = oracle.index()["keyed_tensor_ops"], oracle.arrays("keyed_tensor_ops")
    tensors = [
        KeyedTensor(keys, lengths, tf.constant(recorded[f"in/kt{i}"]))
        for i, (keys, lengths) in enumerate(zip(case["keys"], case["length_per_key"], strict=True))
    ]
    assert tensors[0].offset_per_key() == case["offset_per_key"]
    recorded.compare("out/getitem_b", tensors[0]["b"], atol=0, rtol=0)
    for i, group in enumerate(KeyedTensor.regroup(tensors, case["groups"])):
        recorded.compare(f"out/group{i}", group, atol=0, rtol=0)


def test_out_of_a_tf_function():
    """A tf.function returns it as it is."""
    pooled = tf.function(lambda x: KeyedTensor.from_tensor_list(["a", "b"], [x, 2 * x]))(
        tf.ones((2, 3))
    )
    assert pooled.keys() == ["a", "b"]
    assert pooled["b"].numpy().tolist() == [[2.0] * 3] * 2


def test_in_a_functional_model():
    """Blocks of a collection's output can be used one by one in a functional model."""
    ebc = EmbeddingBagCollection(
        [EmbeddingBagConfig(5, 2, "t", feature_names=["a", "b"])], name="ebc"
    )
    inputs = {n: keras.Input((None,), ragged=True, dtype="int64", name=n) for n in ("a", "b")}
    pooled = ebc(inputs)
    model = keras.Model(inputs, [pooled["b"], pooled["a"]])
    ids = {
        "a": tf.ragged.constant([[1, 2], []], tf.int64),
        "b": tf.ragged.constant([[3], [4]], tf.int64),
    }
    table = ebc.read_table("t").numpy()
    second, first = model(ids)
    np.testing.assert_allclose(second, table[[3, 4]], rtol=1e-6)
    np.testing.assert_allclose(first, [table[1] + table[2], [0, 0]], rtol=1e-6)


def test_errors():
    """Unknown keys and widths that do not fit say what there is."""
    with pytest.raises(KeyError, match="no key 'x'; it has"):
        KeyedTensor(["a"], [2], tf.ones((1, 2)))["x"]
    with pytest.raises(ValueError, match="one length per key, received 1 keys and 2 lengths"):
        KeyedTensor(["a"], [1, 1], tf.ones((1, 2)))
    with pytest.raises(ValueError, match="must sum to the number of columns .* received 3 columns"):
        KeyedTensor(["a"], [2], tf.ones((1, 3)))


def test_regroup_as_dict():
    """Groups under their names; a block may be skipped or taken twice, a group may be empty."""
    x, y = tf.reshape(tf.range(8.0), [2, 4]), tf.reshape(tf.range(10.0, 16.0), [2, 3])
    with tf.GradientTape() as tape:
        tape.watch([x, y])
        tensors = [KeyedTensor(["x", "y", "z"], [1, 2, 1], x), KeyedTensor(["p", "q"], [2, 1], y)]
        groups = KeyedTensor.regroup_as_dict(tensors, [["z", "p"], ["q", "x", "z"]], ["g", "h"])
        product = tf.reduce_sum(groups["g"], 1) * tf.reduce_sum(groups["h"], 1)
    assert list(groups) == ["g", "h"]
    assert groups["g"].numpy().tolist() == [[3, 10, 11], [7, 13, 14]]
    assert groups["h"].numpy().tolist() == [[12, 0, 3], [15, 4, 7]]
    # TorchRec 1.8's gradients.
    of_x, of_y = (tf.convert_to_tensor(part) for part in tape.gradient(product, [x, y]))
    assert of_x.numpy().tolist() == [[24, 0, 0, 39], [34, 0, 0, 60]]
    assert of_y.numpy().tolist() == [[15, 15, 24], [26, 26, 34]]
    assert KeyedTensor.regroup(tensors, [["z"], []])[1].shape == (2, 0)
    with pytest.raises(ValueError, match=r"a key for each group, received 2 groups and keys \['g"):
        KeyedTensor.regroup_as_dict(tensors, [["z"], ["p"]], ["g"])


def test_key_dim():
    """Blocks may lie along another axis, in and out of a tf.function."""
    blocks = [tf.constant([[1.0, 1.0]]), tf.constant([[2.0, 2.0], [3.0, 3.0]])]
    tensor = KeyedTensor.from_tensor_list(["d0", "d1"], blocks, key_dim=0, cat_dim=0)
    expected = KeyedTensor(["d0", "d1"], [1, 2], tf.concat(blocks, 0), key_dim=0)
    assert tensor.offset_per_key() == [0, 1, 3]
    for part in (tensor, tf.function(lambda: tensor)()):
        assert_keyed_tensors_close(part, expected)
        assert part.key_dim() == 0
        assert part["d1"].numpy().tolist() == [[2, 2], [3, 3]]
    group = KeyedTensor.regroup([tensor], [["d1", "d0"]])[0]
    assert group.numpy().tolist() == [[2, 2], [3, 3], [1, 1]]
    assert KeyedTensor(["a"], [1], tf.ones((2, 1))).key_dim() == 1
    with pytest.raises(ValueError, match="cat_dim must be key_dim, received cat_dim=1 and key_dim"):
        KeyedTensor.from_tensor_list(["d0", "d1"], blocks, key_dim=0)
    with pytest.raises(ValueError, match=r"one key_dim, received \[0, 1\]"):
        KeyedTensor.regroup([tensor, KeyedTensor(["a"], [1], tf.ones((2, 1)))], [["a"]])
    with pytest.raises(ValueError, match=r"key_dim must be an axis of values of shape \(2, 1\)"):
        KeyedTensor(["a"], [1], tf.ones((2, 1)), key_dim=2)
