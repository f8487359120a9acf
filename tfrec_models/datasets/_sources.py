"""Files and tables of any kind, behind one interface.

A source has `types` (the Arrow types of its columns, where it knows them before reading),
`units()` (what is read in one go) and `blocks(unit)` (their rows).
"""

from tfrec_models.datasets._csv import CsvSource
from tfrec_models.datasets._listing import list_files
from tfrec_models.datasets._memory import TableSource, is_table
from tfrec_models.datasets._parquet import ParquetSource
from tfrec_models.datasets._tfrecord import TFRecordSource

FORMATS = ("parquet", "csv", "tfrecord")
_ENDINGS = {
    ".parquet": "parquet",
    ".parq": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".tfrecord": "tfrecord",
    ".tfrecords": "tfrecord",
}


def check_schema_type(schema):
    """Raises TypeError on what is no `Schema`, such as the path of one."""
    if not hasattr(schema, "sparse_feature_names"):
        raise TypeError(
            f"schema must be a Schema, received {type(schema).__name__}; read a file by "
            "Schema.load(path)."
        )


def open_source(source, schema, columns, format=None, delimiter=None, filesystem=None):
    """Opens files or a table.

    Args:
        source: as for `read`.
        schema: `Schema`.
        columns: list of str, those to read.
        format, delimiter, filesystem: as for `read`.
    """
    if is_table(source):
        for name, value in (("format", format), ("delimiter", delimiter)):
            if value is not None:
                raise ValueError(f"{name} is for files, received {value!r} with a table.")
        return TableSource(source, columns)
    files, format = list_source(source, format, filesystem)
    return open_files(files, format, schema, columns, delimiter)


def list_source(source, format=None, filesystem=None):
    """The files of a source, and their format.

    Raises:
        TypeError: on what are no paths.
        ValueError: on files of several formats, or an unknown one.
    """
    if not isinstance(source, str | list | tuple) and not hasattr(source, "__fspath__"):
        raise TypeError(
            "source must be paths of files, or a pandas, polars or Arrow table, received "
            f"{type(source).__name__}."
        )
    files = list_files(source, filesystem)
    if format is None:
        formats = {_format(file): file.path for file in files}
        if len(formats) > 1:
            raise ValueError(f"Files must be of one format, received {formats}.")
        [format] = formats
    if format not in FORMATS:
        raise ValueError(f"format must be one of {list(FORMATS)}, received {format!r}.")
    return files, format


def open_files(files, format, schema, columns, delimiter=None):
    """Opens listed files of a format."""
    if delimiter is not None and format != "csv":
        raise ValueError(f"delimiter goes with format 'csv', received format {format!r}.")
    if delimiter is not None and (
        not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '\r\n"'
    ):
        raise ValueError(
            f"delimiter must be one character that is no quote and no line end, received "
            f"{delimiter!r}."
        )
    if format == "parquet":
        return ParquetSource(files, columns)
    if format == "csv":
        return CsvSource(files, schema, columns, delimiter)
    return TFRecordSource(files, schema, columns)


def _format(file):
    """By the file's ending, whatever compresses it; else by its first bytes."""
    name = file.path.lower()
    for ending in (".gz", ".bz2", ".zst"):
        name = name.removesuffix(ending)
    for ending, format in _ENDINGS.items():
        if name.endswith(ending):
            return format
    with file.filesystem.open_input_file(file.path) as opened:
        return "parquet" if opened.read(4) == b"PAR1" else "csv"
