"""How far a pass over a log is, on stderr."""

import sys
import time

_INTERVAL = 0.5


class Progress:
    """Shows rows, rows per second and, where the total is known, the time left.

    A terminal has one line written over and over, anything else one line at the end.

    Args:
        what: str, what is done.
        total: int or None, all rows.
        shown: bool.
    """

    def __init__(self, what, total=None, shown=True):
        self._what, self._total, self._shown = what, total, shown
        self._rows = 0
        self._start = self._last = time.monotonic()

    def add(self, rows):
        """Counts rows."""
        self._rows += rows
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
        rate = self._rows / max(now - self._start, 1e-9)
        text = f"{self._what}: {self._rows:,} rows, {rate:,.0f} rows/s"
        if self._total and rate:
            left = max(self._total - self._rows, 0) / rate
            text += f", {self._rows / self._total:.0%}, {left:,.0f} s left"
        return text
