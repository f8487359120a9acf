"""Assertions about jagged and keyed tensors, part by part."""

import numpy as np


def assert_keyed_tensors_close(actual, expected, rtol=1e-6, atol=1e-6):
    """Both have the same keys, widths and axis of keys, and close values."""
    assert actual.keys() == expected.keys()
    assert actual.length_per_key() == expected.length_per_key()
    assert actual.key_dim() == expected.key_dim()
    np.testing.assert_allclose(actual.values(), expected.values(), rtol=rtol, atol=atol)


def assert_jagged_tensors_close(actual, expected, rtol=1e-6, atol=1e-6):
    """Both have the same bags, and close values and weights."""
    np.testing.assert_array_equal(actual.lengths(), expected.lengths())
    np.testing.assert_array_equal(actual.offsets(), expected.offsets())
    np.testing.assert_allclose(actual.values(), expected.values(), rtol=rtol, atol=atol)
    _assert_weights_close(actual, expected, rtol, atol)


def assert_keyed_jagged_tensors_close(actual, expected, rtol=1e-6, atol=1e-6):
    """Both have the same keys, examples, bags and ids, and close weights."""
    assert actual.keys() == expected.keys()
    assert int(actual.stride()) == int(expected.stride())
    assert_jagged_tensors_close(actual, expected, rtol, atol)


def _assert_weights_close(actual, expected, rtol, atol):
    has_weights = [jagged.weights_or_none() is not None for jagged in (actual, expected)]
    assert has_weights[0] == has_weights[1], f"only one has weights: {has_weights}"
    if all(has_weights):
        np.testing.assert_allclose(actual.weights(), expected.weights(), rtol=rtol, atol=atol)
