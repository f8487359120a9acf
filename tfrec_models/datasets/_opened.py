"""Files of text opened whatever compresses them."""

CODECS = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}
_CHUNK = 1 << 22
_REFUSED = {
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x1f\x9d": "compress (.Z)",
    b"7z\xbc\xaf": "7-Zip",
}


def opened(file):
    """A stream of a file's bytes, unpacked whatever compresses it."""
    return file.filesystem.open_input_stream(file.path, compression=_codec(file))


def damage(file):
    """The error of a compressed file that cannot be unpacked to its end, else None.

    Its checksum is at the end: what comes before may have been read as other rows than were
    written. No row is to blame before this is known.
    """
    try:
        if _codec(file) is None:
            return None
        with opened(file) as stream:
            while stream.read(_CHUNK):
                pass
    except OSError as error:
        return unreadable(file, error)
    return None


def unreadable(file, error):
    """The error of a file that Arrow could not read or unpack."""
    what = "is cut off" if "Truncated" in str(error) else "cannot be read or unpacked"
    return ValueError(f"{file.path} {what}: {error}. Fetch the file again.")


def _codec(file):
    """The name of what compresses a file, None for plain text; another format is refused."""
    with file.filesystem.open_input_file(file.path) as raw:
        start = raw.read(6)
    for magic, name in _REFUSED.items():
        if start.startswith(magic):
            raise ValueError(
                f"{file.path} must be plain or compressed by gzip, bzip2 or Zstandard, received "
                f"{name}; unpack it first."
            )
    return next((codec for magic, codec in CODECS.items() if start.startswith(magic)), None)
