"""The files that paths, globs, directories and URIs name."""

import dataclasses
import fnmatch
import json
import os
import re
import urllib.parse

import pyarrow as pa
import pyarrow.fs

RECORDS = ".conversion"
"""The folder of what tells how far a conversion is, in the folder it writes to."""
MANIFEST = "manifest.json"
"""The list of a conversion's files; written once they are complete."""

# What lies beside data and is none.
_NO_DATA = (".yaml", ".yml", ".json", ".jsonl", ".md")
_PATHS = (str, os.PathLike)
_PART = re.compile(r"(.*)/part-\d{5,}\.parquet")
_GLOB = re.compile(r"[*?\[]")
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


@dataclasses.dataclass(frozen=True)
class DataFile:
    """A file of a log.

    Args:
        filesystem: `pyarrow.fs.FileSystem`.
        path: str, within the filesystem.
        size: int, bytes when it was listed.
        mtime: int, nanoseconds, or None where the filesystem keeps none.
        partition: tuple of (column, str or None), from directories named `column=value`.
    """

    filesystem: pyarrow.fs.FileSystem
    path: str
    size: int
    mtime: int | None
    partition: tuple = ()

    def check_unchanged(self):
        """Raises ValueError where the file is another than it was when it was listed."""
        info = self.filesystem.get_file_info(self.path)
        if (info.type, info.size, info.mtime_ns) != (
            pyarrow.fs.FileType.File,
            self.size,
            self.mtime,
        ):
            raise ValueError(
                f"{self.path} changed while it was read: {self.size} bytes when it was listed, "
                f"{info.size} now. Read files that are complete."
            )


def list_files(sources, filesystem=None):
    """The files of a str, path or list of them, each glob and directory in sorted order.

    Raises:
        FileNotFoundError: on a path or glob that names nothing.
        ValueError: on no paths.
    """
    if isinstance(sources, str | os.PathLike):
        sources = [sources]
    wrong = [type(source).__name__ for source in sources if not isinstance(source, _PATHS)]
    if wrong:
        raise TypeError(
            f"source must be paths of files, or one table alone, received a list with {wrong[0]}."
        )
    if filesystem is not None and not isinstance(filesystem, pyarrow.fs.FileSystem):
        raise TypeError(
            "filesystem must be a pyarrow.fs.FileSystem, received "
            f"{type(filesystem).__name__}; give a path such as 's3://bucket/log' without one."
        )
    sources = [os.fspath(source) for source in sources]
    if not sources:
        raise ValueError("There is no file to read; give at least one.")
    return [file for source in sources for file in _files_of(source, filesystem)]


def _files_of(source, filesystem):
    path = source
    if filesystem is None:
        if "://" in source:
            filesystem, path = pyarrow.fs.FileSystem.from_uri(source)
        else:
            filesystem, path = pyarrow.fs.LocalFileSystem(), os.path.abspath(source)
    info = filesystem.get_file_info(path)
    if info.type == pyarrow.fs.FileType.File:
        return [_file(filesystem, info, "")]
    if info.type == pyarrow.fs.FileType.Directory:
        found = _below(filesystem, path)
        _check_converted(filesystem, path, found)
    elif _GLOB.search(path):
        # The longest beginning without a wildcard is the folder to look through.
        parts = path.split("/")
        fixed = next(i for i, part in enumerate(parts) if _GLOB.search(part))
        pattern = re.compile(_regular(path))
        root = "/".join(parts[:fixed])
        found = [info for info in _below(filesystem, root) if pattern.fullmatch(info.path)]
        _check_finished(filesystem, found)
        path = root
    else:
        found = []
    if not found:
        raise FileNotFoundError(f"No such file, folder or glob: {source!r}. Check the path.")
    return [_file(filesystem, info, path) for info in sorted(found, key=lambda info: info.path)]


def _below(filesystem, folder):
    """Files of data below a folder, without hidden ones and bookkeeping (`_SUCCESS`, `.crc`)."""
    selector = pyarrow.fs.FileSelector(folder, recursive=True, allow_not_found=True)
    infos = filesystem.get_file_info(selector)
    return [
        info
        for info in infos
        if info.type == pyarrow.fs.FileType.File
        and not info.path.endswith(_NO_DATA)
        and not any(
            part.startswith(("_", ".")) and "=" not in part
            for part in info.path.removeprefix(folder).split("/")
        )
    ]


def _check_converted(filesystem, folder, found):
    """Raises ValueError where `convert` has not finished a folder, or a file of it is missing."""
    folder = folder.rstrip("/")
    records, manifest = filesystem.get_file_info([f"{folder}/{RECORDS}", f"{folder}/{MANIFEST}"])
    if manifest.type != pyarrow.fs.FileType.File:
        _check_records(folder, records)
        return
    with filesystem.open_input_file(manifest.path) as file:
        listed = parsed(manifest.path, file.read())
    if not isinstance(listed, dict) or "conversion" not in listed:
        return
    sizes = {info.path: info.size for info in found}
    for file in listed["files"]:
        size = sizes.get(f"{folder}/{file['name']}")
        if size != file["bytes"]:
            there = "it is not there" if size is None else f"it has {size}"
            raise ValueError(
                f"{folder}/{file['name']} must have {file['bytes']} bytes, as {MANIFEST} says; "
                f"{there}. Convert the log again into another folder."
            )


def _check_finished(filesystem, found):
    """Raises ValueError where files belong to conversions that are not finished."""
    folders = {match[1] for info in found if (match := _PART.fullmatch(info.path))}
    for folder in sorted(folders):
        records, manifest = filesystem.get_file_info(
            [f"{folder}/{RECORDS}", f"{folder}/{MANIFEST}"]
        )
        if manifest.type != pyarrow.fs.FileType.File:
            _check_records(folder, records)


def _check_records(folder, records):
    if records.type == pyarrow.fs.FileType.Directory:
        raise ValueError(
            f"{folder} holds a conversion that is not finished; run convert again, which "
            "continues it."
        )


def parsed(path, text):
    """What a JSON file of a conversion holds."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(
            f"{path} is damaged: {error}. Convert the log again into another folder."
        ) from error


def _regular(glob):
    """A regular expression of a glob whose `*` stays within a folder and whose `**` does not."""
    parts = [
        r"(?:[^/]+/)*" if part == "**" else _within_folder(part) + "/" for part in glob.split("/")
    ]
    return "".join(parts).removesuffix("/")


def _within_folder(part):
    expression = fnmatch.translate(part).replace(".*", "[^/]*")
    return re.sub(r"\\[zZ]$", "", expression)


def _file(filesystem, info, root):
    folders = info.path.removeprefix(root).split("/")[:-1]
    partition = tuple(
        (name, None if value == _NULL_PARTITION else urllib.parse.unquote(value))
        for name, equals, value in (folder.partition("=") for folder in folders)
        if equals
    )
    return DataFile(filesystem, info.path, info.size, info.mtime_ns, partition)


def partition_types(files):
    """The columns that directories give: int64 where all values are integers, else strings."""
    values = {}
    for file in files:
        for name, value in file.partition:
            values.setdefault(name, []).append(value)
    return {
        name: pa.int64()
        if all(value is None or re.fullmatch(r"-?(0|[1-9]\d{0,17})", value) for value in of_name)
        else pa.string()
        for name, of_name in values.items()
    }


def with_partition(batch, file, types, columns):
    """A record batch with the columns of its file's directories added."""
    for name, value in file.partition:
        if name in columns and name not in batch.schema.names:
            value = int(value) if value is not None and types[name] == pa.int64() else value
            array = pa.repeat(pa.scalar(value, types[name]), batch.num_rows)
            batch = batch.append_column(name, array)
    return batch
