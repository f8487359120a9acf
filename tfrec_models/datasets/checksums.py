"""Which files a log was, by their checksums."""

import hashlib
import os
from typing import Any

import pyarrow.parquet as pq

from tfrec_models.datasets._listing import list_files

_CHUNK = 1 << 20


def checksums(source: Any) -> list[dict[str, Any]]:
    """What files there are, so that a result can be traced to its data.

    Args:
        source: a path, glob, folder or URI, or a list of them.

    Returns:
        A dict for each file, of `path` (the file's name), `bytes`, `rows` (of Parquet files, else
        None) and `sha256`.

    Raises:
        FileNotFoundError: on a path that names nothing.

    Example:

    >>> import pathlib, tempfile
    >>> from tfrec_models.datasets.checksums import checksums
    >>> path = pathlib.Path(tempfile.mkdtemp(), "log.csv")
    >>> _ = path.write_text("clicked")
    >>> checksums(path)[0]["sha256"][:8]
    'd66440b2'
    """
    return [_record(file) for file in list_files(source)]


def sizes(source: Any) -> dict[str, int]:
    """The bytes of each file, by its name.

    Args:
        source: as of `checksums`.

    Raises:
        FileNotFoundError: on a path that names nothing.

    Example:

    >>> import pathlib, tempfile
    >>> from tfrec_models.datasets.checksums import sizes
    >>> path = pathlib.Path(tempfile.mkdtemp(), "log.csv")
    >>> _ = path.write_text("clicked")
    >>> sizes(path)
    {'log.csv': 7}
    """
    return {os.path.basename(file.path): file.size for file in list_files(source)}


def _record(file):
    rows = None
    if file.path.endswith((".parquet", ".pq")):
        rows = pq.read_metadata(file.path, filesystem=file.filesystem).num_rows
    digest = hashlib.sha256()
    with file.filesystem.open_input_stream(file.path) as stream:
        while data := stream.read(_CHUNK):
            digest.update(data)
    return {
        "path": os.path.basename(file.path),
        "bytes": file.size,
        "rows": rows,
        "sha256": digest.hexdigest(),
    }
