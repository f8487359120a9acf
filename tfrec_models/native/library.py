"""The compiled kernels in this process: loaded once, at the first use."""

import logging
import threading

import tensorflow as tf

from tfrec_models.native.build import SECONDS, CacheError, Deadline, build, build_unkept
from tfrec_models.native.switch import is_native_enabled

_log = logging.getLogger("tfrec_models")


class OnceLogger:
    """Logs each message once.

    Args:
        logger: `logging.Logger`.
    """

    def __init__(self, logger: logging.Logger):
        self._logger = logger
        self._lock = threading.Lock()
        self._told: set[str] = set()

    def info(self, message: str) -> None:
        """Logs a message at INFO unless it was logged before."""
        with self._lock:
            is_new = message not in self._told
            self._told.add(message)
        if is_new:
            self._logger.info("%s", message)


class Loader:
    """Loads the kernels once for a process, whatever number of threads ask for them.

    The kernels are never needed: whatever fails here, training continues with TensorFlow's stock
    operations.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._is_done = False
        self._module = None
        self._reason = ""

    def module(self):
        """Returns the module with the operations, or None; the first call may compile them.

        No exception leaves it. The outermost boundary is as wide as can be (all of `Exception`) on
        purpose: what fails below is compilers, files, other processes and the loader of the
        operating system, in ways that cannot be listed (BuildError, CacheError, OSError and
        `tf.errors.OpError` are those expected), and none of them is worth a training run. The
        exception's text is in the warning, its traceback in the log at DEBUG.
        """
        if not self._is_done:
            with self._lock:
                # Another thread may have loaded them meanwhile. Interrupted, nothing is done.
                if not self._is_done:
                    try:
                        self._module = self._load()
                    except Exception as error:
                        self._reason = _one_line(error)
                        self._warn()
                        _log.debug("No native kernels:", exc_info=True)
                    self._is_done = True
        return self._module

    def reason(self) -> str:
        """Returns why there are no kernels, in one line; "" where there are."""
        self.module()
        return self._reason

    def _load(self):
        deadline = Deadline(SECONDS)
        try:
            library = build(deadline)
            module, where = tf.load_op_library(str(library.path)), str(library.path)
        except CacheError as error:
            with build_unkept(deadline) as library:
                module = tf.load_op_library(str(library.path))
            where = "a temporary file"
            _log.warning(
                "The native kernels are compiled again at every start, because %s.",
                _one_line(error),
            )
        _log.info(
            "Lookups and optimizers use the native kernels in %s on CPU (flags: %s).",
            where,
            library.flags,
        )
        return module

    def _warn(self):
        _log.warning(
            "Lookups and optimizers use TensorFlow's stock operations, which are slower, because "
            "%s. `python -m tfrec_models.native` tries again and shows each attempt; "
            "TFREC_MODELS_NATIVE=0 in the environment does without them and this warning.",
            self._reason,
        )


_loader = Loader()
_once = OnceLogger(_log)


def is_native_available() -> bool:
    """Returns whether the native kernels are switched on and can be used here.

    Compiles them if this was not done before, which takes about half a minute once.

    Example:

    >>> from tfrec_models import native
    >>> with native.native_disabled():
    ...     native.is_native_available()
    False
    """
    if not is_native_enabled():
        tell_once("they are switched off")
        return False
    return _loader.module() is not None


def kernels():
    """Returns the module with the operations; ask `is_native_available` first."""
    return _loader.module()


def why_unavailable() -> str:
    """Returns why the kernels cannot be used here, in one line; "" where they can."""
    return _loader.reason()


def tell_once(reason: str) -> None:
    """Logs why the native kernels are not used, the first time for each reason."""
    _once.info(
        f"Lookups and optimizers use TensorFlow's operations, not the native kernels: {reason}."
    )


def _one_line(error):
    first = (str(error).splitlines() or [""])[0].rstrip(".")
    return first or type(error).__name__
