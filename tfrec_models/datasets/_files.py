"""Files of text opened whatever compresses them."""

import bz2
import gzip
import zlib

import tensorflow as tf

_READERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open}
# What is told apart from text by its first bytes, so that it is not blamed on a line.
_REFUSED = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x1f\x9d": "compress (.Z)",
    b"7z\xbc\xaf": "7-Zip",
    b"PAR1": "Parquet",
}
_CHUNK = 1 << 18


def is_compressed(path):
    """Whether a file of text is gzip or bzip2, by its content; another format is refused."""
    with tf.io.gfile.GFile(path, "rb") as file:
        start = file.read(6)
    for magic, name in _REFUSED.items():
        if start.startswith(magic):
            raise ValueError(
                f"{path} must be text, plain or compressed by gzip or bzip2, received {name}; "
                "unpack it first."
            )
    return start.startswith(tuple(_READERS))


def blocks_of_lines(path, size):
    """Yields a file's lines, `size` at a time, as lists of bytes without their line ends.

    Raises:
        ValueError: where a compressed file is cut off or damaged; names it.
    """
    lines, rest = [], b""
    for chunk in _chunks(path):
        *whole, rest = (rest + chunk).split(b"\n")
        lines += whole
        complete = len(lines) - len(lines) % size
        for first in range(0, complete, size):
            yield [line.removesuffix(b"\r") for line in lines[first : first + size]]
        lines = lines[complete:]
    if rest:
        lines.append(rest)
    if lines:
        yield [line.removesuffix(b"\r") for line in lines]


def damage(path):
    """What is wrong with a compressed file as a whole, "" where nothing is.

    Its checksum is at the end: what comes before may have been read as other lines than were
    written. No line is to blame before this is known.
    """
    try:
        for _ in _chunks(path) if is_compressed(path) else ():
            pass
    except ValueError as error:
        return str(error)
    return ""


def _chunks(path):
    with tf.io.gfile.GFile(path, "rb") as raw:
        start = raw.read(3)
        raw.seek(0)
        readers = [reader for magic, reader in _READERS.items() if start.startswith(magic)]
        try:
            # gzip and bz2 check the length and the checksum at a file's end, which
            # TensorFlow's reader does not.
            file = readers[0](raw, "rb") if readers else raw
            while chunk := file.read(_CHUNK):
                yield chunk
        except EOFError as error:
            raise ValueError(
                f"{path} is cut off: its compressed data ends too early ({error}). Fetch the file "
                "again."
            ) from error
        except (OSError, zlib.error) as error:
            raise ValueError(
                f"{path} is damaged: its compressed data cannot be read ({error}). Fetch the file "
                "again."
            ) from error
