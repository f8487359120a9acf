"""What is wrong with a file of text, and where."""

import re

import pyarrow as pa

from tfrec_models.datasets._opened import codec_of, opened
from tfrec_models.datasets._text_lines import is_empty, split_lines

UNREADABLE = (OSError, pa.ArrowException)
"""What Arrow raises where a file cannot be read or unpacked."""

_CHUNK = 1 << 22
_KINDS = {"double": "a number", "int64": "an integer", "string": "text in UTF-8"}
_LONGEST_SHOWN = 80
_LONE_RETURN = re.compile(rb"\r(?!\n|\Z)")


class LineError(ValueError):
    """A line that is not as its file is to be read.

    Args:
        line: int, its number among the lines that were given, from 0; or None where no one tells.
        what: str.
    """

    def __init__(self, line, what):
        super().__init__(what)
        self.line, self.what = line, what


def check_bytes(lines):
    """Raises `LineError` on bytes that no line of text has."""
    position = lines.find(b"\0")
    what = "has a NUL byte: the file is damaged, or text in UTF-16, which must be made UTF-8"
    if position < 0 and b"\r" in lines:
        found = _LONE_RETURN.search(lines)
        position = found.start() if found else -1
        what = (
            "has a carriage return without a line feed; end each line by a line feed, with or "
            "without one"
        )
    if position >= 0:
        raise LineError(lines.count(b"\n", 0, position), what)


def line_error(error, lines, names):
    """A `LineError` of what Arrow says about some lines.

    Args:
        error: `pa.ArrowInvalid`.
        lines: bytes.
        names: list of str, the columns of the file.
    """
    message = str(error)
    row = re.search(r"Row #(\d+): ", message)
    line = None if row is None else line_of_row(lines, int(row[1]) - 1)
    counts = re.search(r"Expected (\d+) columns, got (\d+)", message)
    if counts:
        return LineError(line, f"has {counts[2]} fields, expected {counts[1]}")
    value = re.search(
        r"In CSV column #(\d+): .*conversion error to (\w+): (?:invalid value )?(.*)", message, re.S
    )
    if value is None:
        return LineError(line, message)
    shown = value[3] if len(value[3]) <= _LONGEST_SHOWN else f"{value[3][:_LONGEST_SHOWN]}..."
    kind = _KINDS.get(value[2], value[2])
    return LineError(line, f"column {names[int(value[1])]!r}: must hold {kind}, received {shown}")


def line_of_row(lines, row):
    """The number of a row's line among some lines, from 0; those that are empty are no rows."""
    filled = [i for i, line in enumerate(split_lines(lines)) if not is_empty(line)]
    return filled[row]


def check_whole(file):
    """Raises ValueError where a file is to blame, rather than one of its lines.

    It changes while it is read, or cannot be unpacked: what is read of a damaged file before that
    shows is no more than noise.
    """
    file.check_unchanged()
    if codec_of(file) is None:
        return
    try:
        with opened(file) as stream:
            while stream.read(_CHUNK):
                pass
    except UNREADABLE as error:
        raise unreadable(file, error) from error


def unreadable(file, error):
    """A ValueError of what is raised where a file cannot be read or unpacked."""
    file.check_unchanged()
    message = str(error)
    what = "cannot be read"
    if "Truncated" in message:
        what = "is cut off: its compressed data ends too early"
    elif codec_of(file) is not None:
        what = "is damaged: its compressed data cannot be unpacked"
    return ValueError(f"{file.path} {what} ({message}). Fetch the file again.")
