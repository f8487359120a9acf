"""The switch for the native kernels."""

import contextlib

from tfrec_models.execution import Execution, changed, current, set_default


def is_native_enabled() -> bool:
    """Returns whether lookups and optimizers called now may use the native kernels.

    Example:

    >>> from tfrec_models import native
    >>> with native.native_disabled():
    ...     native.is_native_enabled()
    False
    """
    return current().uses_kernels


def set_native_enabled(enabled: bool) -> None:
    """Switches the native kernels on (the default) or off, for traces to come.

    A `tf.function` that was traced before, such as the train function of a compiled model, keeps
    what it was traced with. `TFREC_MODELS_NATIVE=0` in the environment starts with them off.

    Args:
        enabled: bool.

    Example:

    >>> from tfrec_models import native
    >>> native.set_native_enabled(False)
    >>> native.set_native_enabled(True)
    """
    set_default(kernels=enabled)


def native_disabled() -> contextlib.AbstractContextManager[Execution]:
    """Within it, lookups and optimizers of this thread use TensorFlow's own operations.

    Example:

    >>> from tfrec_models import native
    >>> with native.native_disabled():
    ...     native.is_native_enabled()
    False
    """
    return changed(kernels=False)
