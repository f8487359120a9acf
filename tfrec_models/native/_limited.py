"""Other programs, run within a limited time."""

import contextlib
import os
import signal
import subprocess
import threading
import time

from tfrec_models.native._errors import BuildError

# More than that of a program's output nobody reads; whoever prints for ever is cut off.
_MOST_OUTPUT = 1 << 20


class Deadline:
    """The time by which something must be done, whatever it takes.

    Args:
        seconds: float, from now on.
    """

    def __init__(self, seconds: float):
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Returns the seconds that are left.

        Raises:
            BuildError: if there are none.
        """
        if self.is_over:
            raise BuildError(f"it took longer than the {self.seconds:.0f} seconds it is given")
        return self._end - time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._end


def run(command: list[str], seconds: float, **options) -> tuple[int | None, str]:
    """Runs a program that may hang, crash, print anything and start others.

    Args:
        command: list of str.
        seconds: float, after which it and all it has started are killed.
        **options: as for `subprocess.Popen`.

    Returns:
        Its exit code, or None where it was killed because the time was up; and the beginning of
        what it printed, errors among it.

    Raises:
        OSError: if it cannot be started.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A group of its own: a compiler is several processes, and all are killed together.
        start_new_session=True,
        **options,
    )
    output: list[bytes] = []
    # A thread, since whatever the program has started may hold the pipe open for ever.
    reader = threading.Thread(target=_read, args=(process.stdout, output), daemon=True)
    reader.start()
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        code = None
    finally:
        # Not after a normal end: what it had started may have been meant to stay.
        if process.poll() is None:
            _kill(process)
    reader.join(1)
    return code, b"".join(output).decode("utf-8", "replace")


def _read(pipe, output):
    with pipe:
        output.append(pipe.read(_MOST_OUTPUT))


def _kill(process):
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    # A process that waits for a dead disk cannot even be killed; nobody waits for it.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)
