"""TensorFlow's test case with assertions for the package's own types."""

from typing import Any

import tensorflow as tf

from tfrec_models.sparse import JaggedTensor, KeyedJaggedTensor, KeyedTensor

_OWN_TYPES = (JaggedTensor, KeyedJaggedTensor, KeyedTensor)


class TestCase(tf.test.TestCase):
    """`tf.test.TestCase` that compares `KeyedTensor`, `JaggedTensor` and `KeyedJaggedTensor` too.

    `assertAllClose` and `assertAllEqual` take them alone, and `assertAllClose` within dicts, lists
    and tuples: both must have the same type, the same keys in the same order, bags of the same
    lengths, and weights or none; then values and weights are compared as TensorFlow compares
    tensors. Works with `unittest` and with pytest.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models.sparse import KeyedTensor
    >>> from tfrec_models.testing import TestCase
    >>> pooled = KeyedTensor(["f1", "f2"], [1, 1], tf.constant([[1.0, 2.0]]))
    >>> TestCase().assertAllClose(pooled, KeyedTensor(["f1", "f2"], [1, 1], [[1.0, 2.0]]))
    >>> TestCase().assertAllClose(pooled, KeyedTensor(["f2", "f1"], [1, 1], [[1.0, 2.0]]))
    Traceback (most recent call last):
        ...
    AssertionError: ...
    """

    # TensorFlow's deprecated context manager of this name counts as a test that is skipped.
    test_session = None

    # The names are those of TensorFlow.
    def assertAllClose(
        self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6, msg: str | None = None
    ) -> None:
        self.assertEqual(_structure(a), _structure(b), msg)
        super().assertAllClose(_numbers(a), _numbers(b), rtol, atol, msg)

    def assertAllEqual(self, a: Any, b: Any, msg: str | None = None) -> None:
        if not isinstance(a, _OWN_TYPES) and not isinstance(b, _OWN_TYPES):
            super().assertAllEqual(a, b, msg)
            return
        self.assertEqual(_structure(a), _structure(b), msg)
        theirs = _numbers(b)
        for name, part in _numbers(a).items():
            super().assertAllEqual(part, theirs[name], f"{name} differ. {msg or ''}")


def _structure(value):
    """What must be equal before numbers are compared: types, keys and which parts there are."""
    if isinstance(value, KeyedTensor):
        return ("KeyedTensor", value.keys(), value.length_per_key())
    if isinstance(value, JaggedTensor | KeyedJaggedTensor):
        keys = value.keys() if isinstance(value, KeyedJaggedTensor) else None
        return (type(value).__name__, keys, sorted(_numbers(value)))
    if isinstance(value, dict):
        parts = {name: _structure(part) for name, part in value.items()}
        return parts if any(parts.values()) else None
    if isinstance(value, list | tuple):
        parts = [_structure(part) for part in value]
        return parts if any(parts) else None
    return None


def _numbers(value):
    """The tensors of the package's own types in dicts; all else as it is."""
    if isinstance(value, KeyedTensor):
        return {"values": value.values()}
    if isinstance(value, JaggedTensor | KeyedJaggedTensor):
        parts = {"lengths": value.lengths(), "values": value.values()}
        weights = value.weights_or_none()
        return parts if weights is None else {**parts, "weights": weights}
    if isinstance(value, dict):
        return {name: _numbers(part) for name, part in value.items()}
    if isinstance(value, list | tuple) and any(_structure(part) for part in value):
        return [_numbers(part) for part in value]
    return value
