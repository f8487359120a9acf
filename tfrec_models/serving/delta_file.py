"""What changed from one version on disk to the next, as one file with checksums.

A zip archive: `manifest.json` has the SHA-256 of every file of both versions; `whole/<path>` is a
file of another size, `blocks/<path>` and `runs/<path>` are the changed blocks of one of the same
size and where they lie, as pairs of a first block and a number of blocks.
"""

import hashlib
import json
import pathlib
import zipfile
import zlib

import numpy as np

BLOCK_BYTES = 64
_CHUNK_BYTES = 2**22
_FORMAT = 1
VARIABLES = "variables/variables.data-00000-of-00001"


def write_delta(base, version, path):
    """Writes what makes `version` of `base`, both directories of a SavedModel, into one file.

    Args:
        base, version: paths of versions on disk.
        path: path of the file.

    Raises:
        ValueError: if their variables are of different sizes.
    """
    base, version = pathlib.Path(base), pathlib.Path(version)
    sizes = [(folder / VARIABLES).stat().st_size for folder in (base, version)]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"base must be an export of the same model with the same options, received {base}, "
            f"whose variables have {sizes[0]} bytes where the model's have {sizes[1]}. Export in "
            "full, and later deltas on that version."
        )
    digests = [digests_of(folder) for folder in (base, version)]
    with zipfile.ZipFile(path, "w") as archive:
        for name, digest in digests[1].items():
            if digests[0].get(name) == digest:
                continue
            ours, theirs = base / name, version / name
            if name in digests[0] and ours.stat().st_size == theirs.stat().st_size:
                _write_blocks(archive, name, ours, theirs)
            else:
                archive.write(theirs, f"whole/{name}", zipfile.ZIP_DEFLATED)
        manifest = {"format": _FORMAT, "base": digests[0], "result": digests[1]}
        archive.writestr("manifest.json", json.dumps(manifest, indent=2))


def digests_of(folder):
    """Returns a dict from the relative path of each file below a folder to its SHA-256."""
    folder = pathlib.Path(folder)
    return {
        file.relative_to(folder).as_posix(): digest_of(file)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def digest_of(path):
    """Returns the SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _write_blocks(archive, name, ours, theirs):
    """Writes the blocks of a file that differ from those of another of the same size."""
    changed = []
    with (
        open(ours, "rb") as old,
        open(theirs, "rb") as new,
        archive.open(f"blocks/{name}", "w", force_zip64=True) as blocks,
    ):
        first = 0
        while chunk := new.read(_CHUNK_BYTES):
            before, after = _blocks_of(old.read(_CHUNK_BYTES)), _blocks_of(chunk)
            numbers = np.flatnonzero((before != after).any(axis=1))
            blocks.write(after[numbers].tobytes())
            changed.append(first + numbers)
            first += len(after)
    archive.writestr(f"runs/{name}", _runs(np.concatenate(changed)).astype("<i8").tobytes())


def _blocks_of(data):
    """Bytes as rows of a block each, the last filled up with zeros."""
    whole = -(-len(data) // BLOCK_BYTES) * BLOCK_BYTES
    return np.frombuffer(data.ljust(whole, b"\0"), np.uint8).reshape(-1, BLOCK_BYTES)


def _runs(numbers):
    """Ascending numbers as pairs of a first one and how many follow each other."""
    starts = np.flatnonzero(np.diff(numbers, prepend=-2) != 1)
    return np.stack([numbers[starts], np.diff(starts, append=len(numbers))], axis=1)


class DeltaFile:
    """Reads what `write_delta` wrote.

    Args:
        path: path of the file.

    Raises:
        ValueError: if it is another file, or one that was cut off.
    """

    def __init__(self, path):
        self.path = path
        try:
            self._archive = zipfile.ZipFile(path)
            manifest = json.loads(self._archive.read("manifest.json"))
            if manifest["format"] != _FORMAT:
                raise ValueError(f"it is of format {manifest['format']}")
            self.base, self.result = manifest["base"], manifest["result"]
            outside = [name for name in self.result if not _is_below(name)]
            if outside:
                raise ValueError(f"it names files outside of a version, {outside}")
        except (zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} must be a delta that tfrec_models.serving.export_delta of this version "
                f"wrote, whole: {error}. Copy or write it again."
            ) from error
        self._names = set(self._archive.namelist())

    def write(self, name, target):
        """Makes a file of the result of the base's, which lies at `target` where there is one.

        Raises:
            ValueError: if the delta is damaged.
        """
        try:
            if f"whole/{name}" in self._names:
                with self._archive.open(f"whole/{name}") as source, open(target, "wb") as file:
                    while chunk := source.read(_CHUNK_BYTES):
                        file.write(chunk)
            elif f"runs/{name}" in self._names:
                self._write_runs(name, target)
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
            raise ValueError(f"{self.path} is damaged: {error}. Copy or write it again.") from error

    def has_whole(self, name):
        """Whether the delta holds all of a file, so that the base's need not be copied."""
        return f"whole/{name}" in self._names

    def _write_runs(self, name, target):
        size = target.stat().st_size
        runs = np.frombuffer(self._archive.read(f"runs/{name}"), "<i8").reshape(-1, 2)
        with self._archive.open(f"blocks/{name}") as source, open(target, "r+b") as file:
            for first, count in runs.tolist():
                start = first * BLOCK_BYTES
                file.seek(start)
                left = count * BLOCK_BYTES
                while left:
                    data = source.read(min(left, _CHUNK_BYTES))
                    if not data:
                        raise ValueError(f"{name} has fewer blocks than it names")
                    left -= len(data)
                    # The last block of a file is filled up.
                    file.write(data[: max(0, size - file.tell())])

    def close(self):
        """Closes the file."""
        self._archive.close()


def _is_below(name):
    path = pathlib.PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and name != ""
