"""Cross layers and dot interaction against TensorFlow Recommenders on the same weights."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tfrec_models import dlrm, layers

EXTRA = ("tensorflow_recommenders", "tf_keras")
pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in EXTRA),
    reason="needs the tfrs extra: pip install tfrec_models[tfrs]",
)
SIZE, RANK, FEATURES, DIM = 6, 2, 4, 3


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Our layers with weights that are not zero, inputs, and TFRS's outputs for both."""
    rng = np.random.default_rng(1)
    full, low = layers.CrossNet(SIZE, 2), layers.LowRankCrossNet(SIZE, 2, low_rank=RANK)
    for net in (full, low):
        net.build()
        net.set_weights([rng.normal(0, 0.5, weight.shape) for weight in net.get_weights()])
    given = {
        "x": rng.normal(size=(3, SIZE)).astype("float32"),
        "vectors": rng.normal(size=(3, FEATURES, DIM)).astype("float32"),
    }
    for i in range(2):
        given[f"kernel_{i}"], given[f"bias_{i}"] = full.kernels[i].numpy(), full.biases[i].numpy()
        given[f"v_{i}"], given[f"w_{i}"] = low.v_kernels[i].numpy(), low.w_kernels[i].numpy()
        given[f"low_bias_{i}"] = low.biases[i].numpy()
    folder = tmp_path_factory.mktemp("tfrs")
    np.savez(folder / "inputs.npz", **given)
    script = pathlib.Path(__file__).with_name("tfrs_reference.py")
    subprocess.run(
        [sys.executable, str(script), str(folder / "inputs.npz"), str(folder / "outputs.npz")],
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1"},
        check=True,
    )
    with np.load(folder / "outputs.npz") as archive:
        return full, low, given, dict(archive)


def test_full_cross(reference):
    """CrossNet equals a stack of `tfrs.layers.dcn.Cross`."""
    full, _, given, expected = reference
    np.testing.assert_allclose(full(given["x"]), expected["full"], rtol=1e-5, atol=1e-5)


def test_projected_cross(reference):
    """LowRankCrossNet equals a stack of `Cross` with a projection_dim."""
    _, low, given, expected = reference
    np.testing.assert_allclose(low(given["x"]), expected["low"], rtol=1e-5, atol=1e-5)


def test_dot_interaction_up_to_pair_order(reference):
    """TFRS lists pairs from the lower triangle row by row, TorchRec and we from the upper."""
    _, _, given, expected = reference
    vectors = given["vectors"]
    ours = dlrm.InteractionArch(FEATURES - 1)(vectors[:, 0], vectors[:, 1:]).numpy()[:, DIM:]
    upper = {pair: i for i, pair in enumerate(zip(*np.triu_indices(FEATURES, 1), strict=True))}
    lower = zip(*np.tril_indices(FEATURES, -1), strict=True)
    order = [upper[column, row] for row, column in lower]
    np.testing.assert_allclose(ours[:, order], expected["dots"], rtol=1e-5, atol=1e-5)
