"""A conversion of a log from its first part, or the first that is not finished, to its manifest."""

import contextlib
import hashlib
import itertools
import json
import pathlib
import shutil

import numpy as np
import pyarrow as pa

from tfrec_models._files import atomic_path
from tfrec_models._version import __version__
from tfrec_models.datasets._convert_part import TooManyRejected, checksum, record_path
from tfrec_models.datasets._listing import MANIFEST, RECORDS, parsed

_SCHEMA, _SOURCE_SCHEMA, _REJECTED = "schema.yaml", "source_schema.yaml", "rejected.jsonl"


class Conversion:
    """Runs a `Job`.

    Args:
        job: `Job`.
        runner: `Processes` or `Beam`, what converts its parts.
    """

    def __init__(self, job, runner):
        self._job = job
        self._runner = runner
        self._out = pathlib.Path(job.out)
        self._records = self._out / RECORDS
        self._identity = self._identify()

    def run(self):
        """Converts what is left; returns the manifest."""
        if (self._out / MANIFEST).exists():
            return self._complete()
        self._begin()
        finished = self._finished()
        left = [part.number for part in self._job.parts if part.number not in finished]
        try:
            with contextlib.closing(self._runner.records(left)) as records:
                for number, record in records if left else ():
                    finished[number] = record
                    self._check_share(finished.values(), is_all=False)
            self._check_share(finished.values(), is_all=True)
        except TooManyRejected as error:
            raise self._too_many(error) from None
        manifest = self._write_manifest([finished[part.number] for part in self._job.parts])
        shutil.rmtree(self._records)
        return manifest

    def _identify(self):
        """What a conversion that continues must have in common with the one before, plain data."""
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
        manifest = _read(self._out / MANIFEST)
        self._check_same(manifest["conversion"])
        shutil.rmtree(self._records, ignore_errors=True)
        return manifest

    def _begin(self):
        self._out.mkdir(parents=True, exist_ok=True)
        identity = self._records / "conversion.json"
        if identity.exists():
            self._check_same(_read(identity))
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
                record = _read(path)
                if record["bytes"] == file.stat().st_size:
                    finished[part.number] = record
        return finished

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


def _read(path):
    return parsed(path, path.read_text())


def _shown(value):
    text = json.dumps(value)
    return text if len(text) < 200 else f"{text[:200]} .."
