"""Other programs, run within a limited time."""

import contextlib
import os
import signal
import subprocess
import threading
import time

from tfrec_models.native._errors import BuildError

# The most that is kept of a program's output; one that prints without end is cut off.
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
    (result,) = run_all([command], seconds, **options)
    return result


def run_all(commands: list[list[str]], seconds: float, **options) -> list[tuple[int | None, str]]:
    """Runs several programs at once, as `run` does one.

    Args:
        commands: list of list of str.
        seconds: float, for all of them.
        **options: as for `subprocess.Popen`.

    Returns:
        What `run` returns, of each program up to the first that does not end with 0. Those after
        it are killed.

    Raises:
        OSError: if one cannot be started.
    """
    end = time.monotonic() + seconds
    programs: list[_Program] = []
    results: list[tuple[int | None, str]] = []
    try:
        for command in commands:
            programs.append(_Program(command, options))
        for program in programs:
            results.append(program.result(end - time.monotonic()))
            if results[-1][0] != 0:
                break
    finally:
        for program in programs:
            program.kill()
    return results


class _Program:
    """A program that runs; what it prints is kept."""

    def __init__(self, command, options):
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A group of its own: a compiler is several processes, and all are killed together.
            start_new_session=True,
            **options,
        )
        self._output: list[bytes] = []
        # A thread, since whatever the program has started may hold the pipe open without end.
        self._reader = threading.Thread(
            target=_read, args=(self._process.stdout, self._output), daemon=True
        )
        self._reader.start()

    def result(self, seconds):
        """Its exit code, or None if it was killed after so many seconds, and what it printed."""
        try:
            code = self._process.wait(max(seconds, 0.0))
        except subprocess.TimeoutExpired:
            code = None
            self.kill()
        self._reader.join(1)
        return code, b"".join(self._output).decode("utf-8", "replace")

    def kill(self):
        """Kills it and what it has started, unless it ended."""
        # Not after a normal end: what it had started may have been meant to stay.
        if self._process.poll() is None:
            _kill(self._process)


def _read(pipe, output):
    with pipe:
        output.append(pipe.read(_MOST_OUTPUT))


def _kill(process):
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    # A process that waits for a dead disk cannot even be killed, and is left alone.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)
