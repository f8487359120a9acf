"""Switches of XLA for the interaction layers."""

import contextlib

from tfrec_models.execution.execution import Execution, changed, current, set_default


def is_xla_enabled() -> bool:
    """Returns whether layers called now compile their computation with XLA.

    Example:

    >>> from tfrec_models.layers import is_xla_enabled
    >>> is_xla_enabled()
    True
    """
    return current().uses_xla


def set_xla_enabled(enabled: bool) -> None:
    """Switches XLA for the interaction layers on (the default) or off, for traces to come.

    A `tf.function` that was traced before, such as the train function of a compiled model, keeps
    what it was traced with.

    Args:
        enabled: bool.

    Example:

    >>> import tfrec_models
    >>> tfrec_models.set_xla_enabled(False)
    >>> tfrec_models.set_xla_enabled(True)
    """
    set_default(xla=enabled)


def xla_disabled() -> contextlib.AbstractContextManager[Execution]:
    """Within it, layers called or traced by this thread run without XLA.

    Example:

    >>> import tfrec_models
    >>> with tfrec_models.xla_disabled():
    ...     tfrec_models.layers.is_xla_enabled()
    False
    """
    return changed(xla=False)
