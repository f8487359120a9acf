"""The switch for the native kernels."""

import contextlib
import os

_enabled = os.environ.get("TFREC_MODELS_NATIVE", "1") != "0"


def is_native_enabled():
    """Returns whether lookups and optimizers may use the native kernels."""
    return _enabled


def set_native_enabled(enabled):
    """Switches the native kernels on (the default) or off.

    Takes effect where a layer or an optimizer is called or traced after it; a `tf.function` that
    was traced before, such as the train function of a compiled model, keeps what it was traced
    with. `TFREC_MODELS_NATIVE=0` in the environment starts with them off.

    Args:
        enabled: bool.

    Example:

    >>> from tfrec_models import native
    >>> native.set_native_enabled(False)
    >>> native.set_native_enabled(True)
    """
    global _enabled
    _enabled = bool(enabled)


@contextlib.contextmanager
def native_disabled():
    """Within it, lookups and optimizers use TensorFlow's own operations."""
    before = is_native_enabled()
    set_native_enabled(False)
    try:
        yield
    finally:
        set_native_enabled(before)
