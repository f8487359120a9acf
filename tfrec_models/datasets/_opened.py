"""Files of text opened whatever compresses them."""

CODECS = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}
_REFUSED = {
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x1f\x9d": "compress (.Z)",
    b"7z\xbc\xaf": "7-Zip",
}


def opened(file):
    """A stream of a file's bytes, unpacked whatever compresses it."""
    with file.filesystem.open_input_file(file.path) as raw:
        start = raw.read(6)
    for magic, name in _REFUSED.items():
        if start.startswith(magic):
            raise ValueError(
                f"{file.path} must be plain or compressed by gzip, bzip2 or Zstandard, received "
                f"{name}; unpack it first."
            )
    codec = next((codec for magic, codec in CODECS.items() if start.startswith(magic)), None)
    return file.filesystem.open_input_stream(file.path, compression=codec)
