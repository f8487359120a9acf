"""Models of logs without dense features, such as Avazu's, MovieLens's and Frappe's."""

import keras
import numpy as np
import pytest

from tests.numerics.models import FAMILIES, make
from tfrec_models import xla_disabled
from tfrec_models.interop.torchrec import load_torchrec_state_dict, torchrec_state_dict
from tfrec_models.optimizers import Adagrad, CompositeOptimizer


@pytest.mark.parametrize("family", FAMILIES)
def test_learns_from_ids_alone(family):
    """Whether both ids are odd; in graphs as eagerly."""
    ids = np.random.default_rng(0).integers(0, 10, (256, 2))
    labels = (ids % 2).all(axis=1, keepdims=True).astype(np.float32)
    inputs = {"dense_features": np.zeros((256, 0), np.float32), "sparse_features": ids}
    model = make(family, dense=0)
    model.compile(
        CompositeOptimizer(Adagrad(0.2), keras.optimizers.Adam(0.03)),
        keras.losses.BinaryCrossentropy(from_logits=model.gives_logits),
    )
    with xla_disabled():
        losses = model.fit(inputs, labels, batch_size=64, epochs=40, verbose=0).history["loss"]
    assert losses[-1] < 0.1
    if hasattr(model, "dense_arch"):
        # A learned constant would outweigh the embeddings in the interaction.
        np.testing.assert_array_equal(model.dense_arch(inputs["dense_features"]), 0.0)
    expected = model.predict(inputs, batch_size=256, verbose=0)
    np.testing.assert_allclose(model(inputs), expected, rtol=1e-4, atol=1e-5)


def test_weights_move_to_torchrec_and_back():
    """The first kernel has no row."""
    model, twin = make("DLRM", dense=0), make("DLRM", dense=0)
    model.build()
    twin.build()
    arrays = torchrec_state_dict(model)
    assert arrays["dense_arch.model._mlp.0._linear.weight"].shape == (16, 0)
    load_torchrec_state_dict(twin, arrays)
    for weight, expected in zip(twin.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
