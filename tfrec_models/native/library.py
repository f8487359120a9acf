"""The compiled kernels in this process: loaded once, at the first use."""

import functools
import logging

import tensorflow as tf

from tfrec_models.native.build import BuildError, build
from tfrec_models.native.switch import is_native_enabled

_log = logging.getLogger("tfrec_models")


def is_native_available():
    """Returns whether the native kernels are switched on and can be used here.

    Compiles them if this was not done before, which takes some twenty seconds once.
    """
    if not is_native_enabled():
        tell_once("they are switched off")
        return False
    return _load() is not None


def kernels():
    """Returns the module with the operations; ask `is_native_available` first."""
    return _load()


@functools.cache
def tell_once(reason):
    """Logs why the native kernels are not used, the first time for each reason."""
    _log.info("Lookups and optimizers use TensorFlow's operations, not the kernels: %s.", reason)


@functools.cache
def _load():
    try:
        path = build()
        module = tf.load_op_library(str(path))
    except (BuildError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0]
        _log.warning("Lookups and optimizers use TensorFlow's operations: %s.", reason)
        return None
    _log.info("Lookups and optimizers use the native kernels in %s on CPU.", path)
    return module
