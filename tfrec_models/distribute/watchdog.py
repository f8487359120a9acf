"""Makes a failed worker exit instead of hanging."""

import atexit
import faulthandler
import sys

GRACE_SECONDS = 10


def limit_exit(grace_seconds: float = GRACE_SECONDS) -> None:
    """Lets the process take no longer than this from the start of its exit to its end.

    A worker whose peer was lost may hang in its exit without end: the error keeps the iterators
    of its data, and where they run Python, as `from_generator` does, TensorFlow waits in their
    destructor for a thread that needs an interpreter which has already shut down. The watchdog
    needs no interpreter; it writes the stacks of all threads to the standard error and exits with
    status 1.

    Args:
        grace_seconds: float.
    """
    # Where there is no standard error, 2 is the file that would be it.
    file = 2 if sys.__stderr__ is None else sys.__stderr__
    atexit.register(faulthandler.dump_traceback_later, grace_seconds, exit=True, file=file)
