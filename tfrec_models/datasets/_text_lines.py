"""Whole lines of a part of a text file, read a few megabytes at a time."""

import numpy as np

from tfrec_models.datasets._opened import opened

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LINE_END = b"\n"

_CHUNK = 1 << 22
# A file without line ends would be read into memory as one line.
_LONGEST_LINE = 1 << 26


def lines_of(file, start, stop):
    """Yields the lines of a file whose first byte is from `start` to before `stop`.

    The parts of a file that follow each other have each of its lines once.

    Args:
        file: `DataFile`.
        start: int, a byte.
        stop: int or None, for a file that is compressed or read to its end.

    Yields:
        bytes, whole lines.

    Raises:
        ValueError: on a line that is too long to be one.
        OSError: where the file cannot be read or unpacked.
    """
    if stop is None:
        with opened(file) as stream:
            yield from _whole_lines(file, stream, 0, None)
        return
    with file.filesystem.open_input_file(file.path) as stream:
        first = _line_begin(file, stream, start)
        if first < stop:
            stream.seek(first)
            yield from _whole_lines(file, stream, first, stop)


def rows_of(file, start, stop, has_header):
    """Yields pairs of the number of lines before some, from `start` on, and these lines.

    As `lines_of`, without a byte order mark and a header at the beginning of the file.
    """
    first = 0
    for lines in lines_of(file, start, stop):
        if start == first == 0:
            lines = lines.removeprefix(BYTE_ORDER_MARK)
            if has_header:
                lines, first = lines.partition(LINE_END)[2], 1
        yield first, lines
        first += number_of_lines(lines)


def number_of_lines(lines):
    """The lines among some bytes, of which the last may lack its end."""
    # Three times as fast as bytes.count.
    ends = int(np.count_nonzero(np.frombuffer(lines, np.uint8) == ord(LINE_END)))
    return ends + (not lines.endswith(LINE_END) and bool(lines))


def split_lines(lines):
    """Lines with their line feeds; a carriage return alone ends none."""
    return [line + LINE_END for line in lines.removesuffix(LINE_END).split(LINE_END)]


def is_empty(line):
    """Whether there is nothing in a line, so that it is no row."""
    return not line.strip(b"\r\n")


def is_row_a_line(num_rows, lines):
    """Whether so many rows are as many as there are lines that are not empty.

    A quote without its other one makes Arrow take the following lines for parts of a field.
    """
    if b'"' not in lines or num_rows == number_of_lines(lines):
        return True
    return num_rows == sum(not is_empty(line) for line in split_lines(lines))


def count_lines(file, stop):
    """The lines that begin before a byte of a file that is not compressed."""
    return sum(number_of_lines(lines) for lines in lines_of(file, 0, stop))


def _line_begin(file, stream, start):
    """Where the first line begins, from byte `start` on."""
    if start == 0:
        return 0
    position = start - 1
    stream.seek(position)
    while data := stream.read(_CHUNK):
        if (found := data.find(LINE_END)) >= 0:
            return position + found + 1
        position += len(data)
        _check_length(file, position - start)
    return position


def _whole_lines(file, stream, position, stop):
    rest = b""
    while data := stream.read(_CHUNK):
        data = rest + data
        if stop is not None and position + len(data) >= stop:
            # The line that holds the last byte before `stop` belongs to this part.
            last = data.find(LINE_END, max(stop - 1 - position, 0))
            if last >= 0:
                yield data[: last + 1]
                return
        end = data.rfind(LINE_END) + 1
        if end:
            yield data[:end]
        rest = data[end:]
        position += end
        _check_length(file, len(rest))
    if rest:
        yield rest


def _check_length(file, length):
    if length > _LONGEST_LINE:
        raise ValueError(
            f"{file.path}: a line is longer than {_LONGEST_LINE >> 20} MiB. Lines must end in a "
            "line feed; convert the line ends, or name the file's format."
        )
