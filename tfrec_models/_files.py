"""Files that appear whole or not at all."""

import contextlib
import errno
import os
import pathlib
import secrets


@contextlib.contextmanager
def atomic_path(path):
    """Gives a temporary path to write a file to, which then becomes the file at `path`.

    The temporary name lies in the same directory and has the same suffix. When the block ends, the
    file is flushed to the disk and renamed, so that a reader, or a machine that stops, sees the old
    file or the new one; when the block raises, it is removed and the old file stays.

    Args:
        path: str or path of the file.

    Yields:
        `pathlib.Path` of a file that does not exist yet.

    Raises:
        FileNotFoundError: if the directory does not exist.
        IsADirectoryError: if `path` is a directory.

    Example:

    >>> import pathlib, tempfile
    >>> from tfrec_models._files import atomic_path
    >>> path = pathlib.Path(tempfile.mkdtemp(), "numbers.txt")
    >>> with atomic_path(path) as temporary:
    ...     _ = temporary.write_text("1 2 3")
    >>> path.read_text()
    '1 2 3'
    """
    path = pathlib.Path(path)
    folder = path.absolute().parent
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    # Not from tempfile, whose files are private to the user: this one gets the usual permissions.
    temporary = folder / f".{path.stem}-{secrets.token_hex(8)}{path.suffix}"
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":
        _flush(folder)


def _flush(path):
    """Waits until a file, or the names in a directory, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
