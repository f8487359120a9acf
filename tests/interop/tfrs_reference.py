"""Runs TensorFlow Recommenders' layers on given weights; a process of its own, with legacy Keras.

TensorFlow Recommenders refuses Keras 3, and one process has one Keras. Usage:

    TF_USE_LEGACY_KERAS=1 python tfrs_reference.py INPUTS.npz OUTPUTS.npz
"""

import sys

import numpy as np
import tensorflow_recommenders as tfrs


def cross(x0, layers, projection_dim):
    """A stack of `Cross` layers with the given lists of weights."""
    x = x0
    for weights in layers:
        layer = tfrs.layers.dcn.Cross(projection_dim=projection_dim)
        layer(x0, x)
        layer.set_weights(weights)
        x = layer(x0, x)
    return x.numpy()


def main(inputs, outputs):
    """Reads inputs and weights, writes what TensorFlow Recommenders makes of them."""
    given = np.load(inputs)
    full = [[given[f"kernel_{i}"], given[f"bias_{i}"]] for i in range(2)]
    low = [[given[f"v_{i}"], given[f"w_{i}"], given[f"low_bias_{i}"]] for i in range(2)]
    vectors = [given["vectors"][:, i] for i in range(given["vectors"].shape[1])]
    dots = tfrs.layers.feature_interaction.DotInteraction()(vectors)
    np.savez(
        outputs,
        full=cross(given["x"], full, None),
        low=cross(given["x"], low, given["v_0"].shape[1]),
        dots=dots.numpy(),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
