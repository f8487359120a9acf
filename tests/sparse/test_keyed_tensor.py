"""KeyedTensor: TorchRec's operations, and its ways through TensorFlow and Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

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
    recorded.compare("out/getitem_b", tensors[0]["b"], rtol=0, atol=0)
    for i, group in enumerate(KeyedTensor.regroup(tensors, case["groups"])):
        recorded.compare(f"out/group{i}", group, rtol=0, atol=0)


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
