"""Whole lines of a part of a text file, read a few megabytes at a time."""

from tfrec_models.datasets._csv import opened

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


def count_lines(file, stop):
    """The lines that begin before a byte of a file that is not compressed."""
    return sum(lines.count(b"\n") for lines in lines_of(file, 0, stop))


def _line_begin(file, stream, start):
    """Where the first line begins, from byte `start` on."""
    if start == 0:
        return 0
    position = start - 1
    stream.seek(position)
    while data := stream.read(_CHUNK):
        if (found := data.find(b"\n")) >= 0:
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
            last = data.find(b"\n", max(stop - 1 - position, 0))
            if last >= 0:
                yield data[: last + 1]
                return
        end = data.rfind(b"\n") + 1
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
