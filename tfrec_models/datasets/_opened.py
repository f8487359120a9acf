"""Files of text opened whatever compresses them."""

_CODECS = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}
_REFUSED = {
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x1f\x9d": "compress (.Z)",
    b"7z\xbc\xaf": "7-Zip",
    b"PAR1": "Parquet",
}


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


def codec_of(file):
    """What compresses a file, by its first bytes; None where nothing does."""
    with file.filesystem.open_input_file(file.path) as raw:
        return _codec(raw.read(4))


def _codec(start):
    return next((codec for magic, codec in _CODECS.items() if start.startswith(magic)), None)
