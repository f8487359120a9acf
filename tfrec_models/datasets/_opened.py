"""Files of text opened whatever compresses them."""

_CODECS = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}
_REFUSED = {
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x1f\x9d": "compress (.Z)",
    b"7z\xbc\xaf": "7-Zip",
    b"PAR1": "Parquet",
    b"ARROW1": "Arrow IPC (Feather)",
    b"Obj\x01": "Avro",
    b"ORC": "ORC",
}
_ENDINGS = (".gz", ".bz2", ".zst")


def opened(file):
    """A stream of a file's bytes, unpacked whatever compresses it."""
    with file.filesystem.open_input_file(file.path) as raw:
        start = raw.read(6)
    for magic, name in _REFUSED.items():
        if start.startswith(magic):
            raise ValueError(
                f"{file.path} must be text, plain or compressed by gzip, bzip2 or Zstandard, "
                f"received {name}; unpack it, or name its format."
            )
    codec = _codec(start)
    return file.filesystem.open_input_stream(file.path, compression=codec)


def check_not_packed(file, format, allowed, codecs=()):
    """Raises ValueError where a file of another format than text is compressed as a whole.

    Args:
        file: `DataFile`.
        format: str, what the file is to be.
        allowed: str, the end of "must be Parquet, ".
        codecs: names of what may compress it.
    """
    with file.filesystem.open_input_file(file.path) as raw:
        start = raw.read(6)
    for magic, name in (*_CODECS.items(), *_REFUSED.items()):
        if start.startswith(magic) and name not in (format, *codecs):
            raise ValueError(
                f"{file.path} must be {format}, {allowed}, received {name}; unpack it, or name its "
                "format."
            )


def check_not_empty(file):
    """Raises ValueError on a compressed file without a byte: even that of nothing has some."""
    if not file.size and file.path.lower().endswith(_ENDINGS):
        raise ValueError(
            f"{file.path} is cut off: it has no byte, which no compressed file lacks. Fetch the "
            "file again."
        )


def codec_of(file):
    """What compresses a file, by its first bytes; None where nothing does."""
    with file.filesystem.open_input_file(file.path) as raw:
        return _codec(raw.read(4))


def _codec(start):
    return next((codec for magic, codec in _CODECS.items() if start.startswith(magic)), None)
