"""A conversion of a log from its first part, or the first that is not finished, to its manifest."""

import concurrent.futures
import hashlib
import itertools
import json
import pathlib
import queue
import shutil
import threading

import numpy as np
import pyarrow as pa

from tfrec_models._files import atomic_path
from tfrec_models._version import __version__
from tfrec_models.datasets import _parts
from tfrec_models.datasets._convert_part import (
    PartConverter,
    TooManyRejected,
    checksum,
    record_path,
)
from tfrec_models.datasets._convert_worker import Worker
from tfrec_models.datasets._listing import MANIFEST, RECORDS
from tfrec_models.datasets._progress import Progress

_SCHEMA, _SOURCE_SCHEMA, _REJECTED = "schema.yaml", "source_schema.yaml", "rejected.jsonl"


class Conversion:
    """Runs a `Job` in several processes.

    Args:
        job: `Job`.
        num_processes: int, parts that are converted at a time.
        progress: bool, whether to show it.
    """

    def __init__(self, job, num_processes, progress):
        self._job = job
        self._num_processes = num_processes
        self._is_shown = progress
        self._out = pathlib.Path(job.out)
        self._records = self._out / RECORDS
        self._identity = self._identify()
        self._stopped = threading.Event()
        # Numbers of rows, (number, record) of finished parts, errors, and _DONE of each thread.
        self._messages = queue.SimpleQueue()

    def run(self):
        """Converts what is left; returns the manifest."""
        # Where the schema is not fitted, or not of this log, nothing is to be written.
        converter = PartConverter(self._job, self._count_rows)
        if (self._out / MANIFEST).exists():
            return self._complete()
        self._begin()
        finished = self._finished()
        self._convert(converter, finished)
        self._check_share(finished.values(), is_all=True)
        manifest = self._write_manifest([finished[part.number] for part in self._job.parts])
        shutil.rmtree(self._records)
        return manifest

    def _identify(self):
        """What a conversion that goes on must have in common with the one before, plain data."""
        job = self._job
        schema = json.dumps(job.schema.to_dict())
        return {
            "sources": [
                {"path": file.path, "bytes": file.size, "mtime_ns": file.mtime}
                for file in job.files
            ],
            "schema_sha256": hashlib.sha256(schema.encode()).hexdigest(),
            "format": job.format,
            "delimiter": job.delimiter,
            "parts": len(job.parts),
            "versions": {
                "tfrec_models": __version__,
                "pyarrow": pa.__version__,
                "numpy": np.__version__,
            },
        }

    def _complete(self):
        """The manifest of a conversion that is complete, after checking that it is this one."""
        manifest = json.loads((self._out / MANIFEST).read_text())
        self._check_same(manifest["conversion"])
        shutil.rmtree(self._records, ignore_errors=True)
        return manifest

    def _begin(self):
        self._out.mkdir(parents=True, exist_ok=True)
        identity = self._records / "conversion.json"
        if identity.exists():
            self._check_same(json.loads(identity.read_text()))
            self._remove_unfinished()
            return
        others = [path.name for path in self._out.iterdir() if path.name != RECORDS]
        if others:
            raise ValueError(
                f"{self._out} must be an empty or new folder, or one with this conversion begun; "
                f"received one with {sorted(others)[:3]}. Give another folder, or empty it."
            )
        self._records.mkdir(exist_ok=True)
        with atomic_path(identity) as path:
            path.write_text(json.dumps(self._identity))

    def _remove_unfinished(self):
        """Removes what a process was about to write when it was killed."""
        for path in self._out.glob(".*"):
            if path.is_dir() and path != self._records:
                shutil.rmtree(path)
            elif path.is_file():
                path.unlink()

    def _check_same(self, identity):
        differences = [
            f"{name}: {_shown(identity.get(name))} there, {_shown(value)} now"
            for name, value in self._identity.items()
            if identity.get(name) != value
        ]
        if differences:
            raise ValueError(
                f"{self._out} holds another conversion ({'; '.join(differences)}). Give another "
                "folder, or empty it."
            )

    def _finished(self):
        """The records of the parts that are finished, by their numbers."""
        finished = {}
        for part in self._job.parts:
            path, file = pathlib.Path(record_path(self._out, part)), self._out / part.name
            if path.exists() and file.exists():
                record = json.loads(path.read_text())
                if record["bytes"] == file.stat().st_size:
                    finished[part.number] = record
        return finished

    def _convert(self, converter, finished):
        parts = self._job.parts
        left = queue.SimpleQueue()
        for part in parts:
            if part.number not in finished:
                left.put(part.number)
        if left.empty():
            return
        done = sum(parts[number].size for number in finished)
        size = sum(part.size for part in parts)
        # A process takes seconds to start, as long as it takes for a part or two.
        worth = max((size - done) // (3 * _parts.PART_BYTES), 1)
        count = min(self._num_processes, left.qsize(), worth)
        progress = Progress("convert", size, self._is_shown, done)
        workers = [Worker(self._job, self._messages.put) for _ in range(count - 1)]
        pool = concurrent.futures.ThreadPoolExecutor(count)
        try:
            for converting in (*workers, converter):
                pool.submit(self._run_parts, converting, left)
            for message in self._told(count):
                if isinstance(message, int):
                    progress.add(message, 0)
                else:
                    number, finished[number] = message
                    progress.add(0, parts[number].size)
                    self._check_share(finished.values(), is_all=False)
        except TooManyRejected as error:
            raise self._too_many(error) from None
        finally:
            self._stopped.set()
            for worker in workers:
                worker.end()
            pool.shutdown()
            progress.end()

    def _run_parts(self, converting, left):
        """Converts parts until none is left, in a thread."""
        try:
            while not self._stopped.is_set():
                number = left.get_nowait()
                self._messages.put((number, converting.convert(number)))
        except queue.Empty:
            self._messages.put(_DONE)
        except BaseException as error:  # noqa: B036 It is raised again where messages are read.
            self._messages.put(error)

    def _told(self, count):
        """Yields the messages of so many threads; raises what one of them raised."""
        while count:
            message = self._messages.get()
            if isinstance(message, BaseException):
                raise message
            if message is _DONE:
                count -= 1
            else:
                yield message

    def _count_rows(self, rows):
        if self._stopped.is_set():
            raise _Stopped("The conversion was stopped.")
        self._messages.put(rows)

    def _check_share(self, records, is_all):
        """Raises once no rest of the rows could bring the share of rejected ones down again."""
        records = list(records)
        rejected = sum(record["rejected"] for record in records)
        rows = sum(record["rows"] for record in records) + rejected
        if not is_all:
            names = {record["name"] for record in records}
            ahead = [part.max_rows for part in self._job.parts if part.name not in names]
            if None in ahead:
                return
            rows += sum(ahead)
        if rejected > self._job.max_rejected * rows:
            share = f"{rejected:,} rows of {rows:,}" if is_all else f"{rejected:,} rows so far"
            raise TooManyRejected(f"{share} are rejected")

    def _too_many(self, error):
        finished = self._finished()
        # Lines are numbered through all parts of a file, so those after a gap have no number.
        first = itertools.takewhile(finished.__contains__, range(len(self._job.parts)))
        self._write_rejected([finished[number] for number in first])
        return ValueError(
            f"{error}. More rows are rejected than max_rejected={self._job.max_rejected} allows; "
            "repair the rows, or allow more. Those of the first parts, up to one that is not "
            f"finished, are in {self._out / _REJECTED}."
        )

    def _write_rejected(self, records):
        """Rejected rows of all parts, with the number of each line in its file."""
        lines_before = {}
        parts = {part.name: part for part in self._job.parts}
        with atomic_path(self._out / _REJECTED) as path, open(path, "w") as file:
            for record in records:
                number = parts[record["name"]].file
                before = lines_before.get(number, 0)
                lines_before[number] = before + record["lines"]
                for row in record["rejected_rows"]:
                    if "line" in row:
                        row = row | {"line": row["line"] + before}
                    row = {"file": self._job.files[number].path} | row
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def _write_manifest(self, records):
        job = self._job
        self._write_rejected(records)
        job.schema.prepared().save(self._out / _SCHEMA)
        job.schema.save(self._out / _SOURCE_SCHEMA)
        manifest = {
            "version": 1,
            "rows": sum(record["rows"] for record in records),
            "rejected": sum(record["rejected"] for record in records),
            "files": [
                {name: record[name] for name in ("name", "rows", "rejected", "bytes", "sha256")}
                for record in records
            ],
            "schemas": {name: checksum(self._out / name) for name in (_SCHEMA, _SOURCE_SCHEMA)},
            "conversion": self._identity,
        }
        with atomic_path(self._out / MANIFEST) as path:
            path.write_text(json.dumps(manifest, indent=1) + "\n")
        return manifest


class _Stopped(Exception):
    """Another part ended the conversion."""


_DONE = object()


def _shown(value):
    text = json.dumps(value)
    return text if len(text) < 200 else f"{text[:200]} .."
