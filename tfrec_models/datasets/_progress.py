"""How far a pass over a log is, on stderr."""

import sys
import time

_INTERVAL = 0.5


class Progress:
    """Shows rows, rows per second and, where the total is known, the time left.

    A terminal has one line written over and over, anything else one line at the end.

    Args:
        what: str, what is done.
        total: int or None, all work: rows, or what `add` counts, such as bytes.
        shown: bool.
        done: int, work that was done before.
    """

    def __init__(self, what, total=None, shown=True, done=0):
        self._what, self._total, self._shown = what, total, shown
        self._rows = 0
        self._before, self._work = done, 0
        self._start = self._last = time.monotonic()

    def add(self, rows, work=None):
        """Counts rows, and work where it is not counted in rows."""
        self._rows += rows
        self._work += rows if work is None else work
        now = time.monotonic()
        if self._shown and sys.stderr.isatty() and now - self._last >= _INTERVAL:
            self._last = now
            print(f"\r{self._line(now)}\x1b[K", end="", file=sys.stderr, flush=True)

    def end(self):
        """Writes the last line."""
        if self._shown:
            start = "\r" if sys.stderr.isatty() else ""
            print(f"{start}{self._line(time.monotonic())}", file=sys.stderr, flush=True)

    def _line(self, now):
        seconds = max(now - self._start, 1e-9)
        text = f"{self._what}: {self._rows:,} rows, {self._rows / seconds:,.0f} rows/s"
        if self._total and self._work:
            done = self._before + self._work
            left = max(self._total - done, 0) * seconds / self._work
            text += f", {done / self._total:.0%}, {left:,.0f} s left"
        return text
