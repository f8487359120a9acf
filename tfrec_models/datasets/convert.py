"""Logs made ready: Parquet files of numbers and ids, to be read as they are."""

import os
from collections.abc import Sequence
from typing import Any

from tfrec_models._checks.arguments import check_positive
from tfrec_models.datasets._conversion import Conversion
from tfrec_models.datasets._convert_beam import Beam
from tfrec_models.datasets._convert_part import Job
from tfrec_models.datasets._convert_processes import Processes
from tfrec_models.datasets._parts import parts_of
from tfrec_models.datasets._sources import check_schema_type, list_source, open_files
from tfrec_models.datasets.schema import Schema


def convert(
    source: Any,
    schema: Schema,
    out: str | os.PathLike,
    *,
    num_processes: int | None = None,
    max_rejected: float = 0.0,
    progress: bool = True,
    runner: str | None = None,
    runner_options: Sequence[str] = (),
    format: str | None = None,
    delimiter: str | None = None,
    filesystem: Any = None,
) -> dict:
    """Writes a log as Parquet files of ready ids and numbers.

    `read(out, Schema.load(out / "schema.yaml"), batch_size)` gives the batches that `read(source,
    schema, batch_size)` gives, without the work of turning values into ids. Each part of the
    source (64 MiB of a text file or of row groups; a compressed or TFRecord file as a whole)
    becomes one file, a few megabytes of it in memory at a time.

    A conversion that was stopped or killed continues where it was when it is called again, and its
    files are the same to the last byte. One that is complete is left as it is. In `out` are

        part-00000.parquet, ..  the rows, in the source's own order
        schema.yaml             `schema.prepared()`: for the model and for `read`
        source_schema.yaml      `schema`: for serving, whose requests hold values, not ids
        rejected.jsonl          a line for each rejected row: file, line, reason and text
        manifest.json           counts, checksums (SHA-256), sources and versions; written last

    A row is rejected that is not as the schema declares: another number of fields, a field that is
    no number, a null where none is allowed, an id outside its table. A row of text is a line:
    what is in quotes cannot continue in the next one. A file that is cut off or damaged ends the
    conversion. No two conversions may write to one folder at the same time.

    Args:
        source: files, as for `read`.
        schema: `Schema`, fitted where it has something to learn.
        out: path of a local folder; made where it does not exist.
        num_processes: int or None, parts that are converted at a time; None for as many as there
            are cores. One is converted in this process, each other one in a process of its own.
        max_rejected: float, the share of rows, 0 to 1, that may be rejected. 0 stops at the first.
        progress: bool, whether to show rows, rows per second and the time left on stderr.
        runner: str or None. The name of a runner of Apache Beam, such as "DirectRunner", converts
            the parts on its machines, which all must reach `source` and `out` by the same paths;
            `num_processes` and `progress` are then not used. Needs the extra "beam".
        runner_options: list of str, options of Beam's pipeline, such as
            "--direct_num_workers=2".
        format: str or None, as for `read`.
        delimiter: str or None, as for `read`.
        filesystem: as for `read`.

    Returns:
        dict, what `manifest.json` holds.

    Raises:
        FileNotFoundError: on a path that names nothing.
        ValueError: on arguments out of range, a schema not fitted, a missing column, a damaged
            file, a folder with another conversion in it, or where more rows are rejected than
            `max_rejected` allows; names the file and the row.
        ModuleNotFoundError: on a runner without Apache Beam.
        OSError: where a file cannot be written, such as on a full disk. What is finished stays.

    Example:

    >>> import pathlib, tempfile
    >>> from tfrec_models.datasets import Dense, Schema, Sparse, convert, read
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "log.csv").write_text("clicked,price,seen\\n1,3.5,a|b\\n0,2,\\n0,x,c\\n")
    >>> schema = Schema(
    ...     label="clicked",
    ...     dense=[Dense("price", transform="log1p")],
    ...     sparse=[Sparse("seen", ids="hash", num_ids=100, separator="|")],
    ... )
    >>> manifest = convert(
    ...     folder / "log.csv", schema, folder / "ready", max_rejected=0.5, progress=False
    ... )
    >>> manifest["rows"], manifest["rejected"]
    (2, 1)
    >>> print((folder / "ready" / "rejected.jsonl").read_text().partition("reason")[2])
    ": "column 'price': must hold a number, received 'x'", "text": "0,x,c"}
    <BLANKLINE>
    >>> ready = Schema.load(folder / "ready" / "schema.yaml")
    >>> for features, labels in read(folder / "ready", ready, batch_size=2):
    ...     print(labels.numpy(), features["sparse_features"].row_lengths(axis=2).to_list())
    [1. 0.] [[2], [0]]
    """
    check_schema_type(schema)
    _check_apart(source, out)
    if runner is None and runner_options:
        raise ValueError(f"runner_options go with runner, received {list(runner_options)} alone.")
    if num_processes is None:
        num_processes = _cores()
    check_positive("num_processes", num_processes)
    is_number = isinstance(max_rejected, int | float) and not isinstance(max_rejected, bool)
    if not is_number or not 0 <= max_rejected <= 1:
        raise ValueError(
            f"max_rejected must be a share of the rows, from 0 to 1, received {max_rejected!r}."
        )
    files, format = list_source(source, format, filesystem)
    opened = open_files(files, format, schema, schema.columns, delimiter)
    job = Job(
        files,
        format,
        delimiter,
        schema,
        os.path.abspath(out),
        parts_of(opened, files),
        max_rejected,
    )
    if runner is not None:
        return Conversion(job, Beam(job, runner, runner_options)).run()
    return Conversion(job, Processes(job, num_processes, progress)).run()


def _check_apart(source, out):
    """Raises ValueError on a folder to write to within one that is read, whole, as the source."""
    for folder in source if isinstance(source, list | tuple) else [source]:
        if isinstance(folder, str | os.PathLike) and os.path.isdir(folder):
            within = os.path.join(os.path.abspath(folder), "")
            if os.path.join(os.path.abspath(out), "").startswith(within):
                raise ValueError(
                    f"out must be a folder apart from the source, received {os.fspath(out)!r} in "
                    f"{os.fspath(folder)!r}: what is written would be read as a part of the log."
                )


def _cores():
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
