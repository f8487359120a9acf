"""The transformer interaction: what it attends over, and dropout."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.data import dense_and_sparse, model_inputs
from tests.support.models import feature_in_two_tables
from tfrec_models.experimental import DLRM_Transformer, InteractionTransformerArch


def interaction(attend_over="features"):
    """Two heads, one layer."""
    return InteractionTransformerArch(3, 4, 2, 1, attend_over)


def test_model(tmp_path):
    """The whole model comes back from `.keras`."""
    model = DLRM_Transformer(
        feature_in_two_tables(), 5, [4], [5, 1], nhead=2, ntransformer_layers=1
    )
    (inputs,) = model_inputs("ragged")(3)
    outputs = model(inputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(inputs), outputs)
    assert loaded.get_config() == model.get_config()


def test_examples_do_not_see_each_other_unless_asked_to():
    """Over features, an example's output is its own; over the batch, as in TorchRec, it is not."""
    dense, sparse = dense_and_sparse(3)
    for attend_over, alike in (("features", True), ("batch", False)):
        layer = interaction(attend_over)
        alone = layer(dense[:1], sparse[:1]).numpy()
        together = layer(dense, sparse)[:1].numpy()
        assert np.allclose(alone, together, atol=1e-5) == alike


def test_features_see_each_other():
    """Over features, the dense vector's block depends on the embeddings; over the batch not."""
    dense, sparse = dense_and_sparse(2)
    for attend_over, depends in (("features", True), ("batch", False)):
        layer = interaction(attend_over)
        block = layer(dense, sparse)[:, :4].numpy()
        changed = layer(dense, sparse + 1.0 * tf.range(4.0))[:, :4].numpy()
        assert np.allclose(block, changed, atol=1e-5) != depends


def test_dropout_acts_in_training_only():
    """`fit` and training=True drop out; predictions do not."""
    model = DLRM_Transformer(
        feature_in_two_tables(), 5, [4], [5, 1], nhead=2, ntransformer_layers=1
    )
    (inputs,) = model_inputs("ragged")(3)
    np.testing.assert_array_equal(model(inputs), model(inputs))
    assert np.any(model(inputs, training=True).numpy() != model(inputs, training=True).numpy())
    model.compile(keras.optimizers.SGD(0.0), keras.losses.BinaryCrossentropy(from_logits=True))
    labels = tf.constant([[0.0], [1.0], [1.0]])
    losses = [model.train_on_batch(inputs, labels) for _ in range(3)]
    assert len(set(np.float32(losses))) > 1
    assert model.test_on_batch(inputs, labels) == pytest.approx(
        float(model.loss(labels, model(inputs))), abs=1e-6
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 4), "num_sparse_features must be a positive integer, received 0"),
        ((3, 4, 3), "embedding_dim must be a multiple of nhead, .*=4 and nhead=3"),
        ((3, 4, 2, 0), "ntransformer_layers must be a positive integer, received 0"),
        ((3, 4, 2, 1, "rows"), r"attend_over must be one of \['features', 'batch'\], .* 'rows'"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    """Constructor errors."""
    with pytest.raises(ValueError, match=message):
        InteractionTransformerArch(*arguments)
