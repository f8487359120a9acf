"""Writes a numbered version of a model so that a server never sees half of it."""

import contextlib
import os
import pathlib
import shutil
import uuid


@contextlib.contextmanager
def new_version(directory, version=None):
    """Gives a directory to write into, and makes it `directory/<version>` at the end.

    What is written lies in a directory beside, whose name is no number and which servers therefore
    ignore, until all of it is on the disk; then it is renamed, which either happens or does not.
    If anything fails nothing is left behind.

    Args:
        directory: path of the directory of all versions, made if it is not there.
        version: int, or None for one more than the highest there is.

    Yields:
        `Pending`, with the `path` to write into; after the block its `version_path` is where the
        version lies.

    Raises:
        ValueError: if the directory is no local path, or the version is no positive integer.
        FileExistsError: if the version is there already.
    """
    directory = _local(directory)
    _check_version(directory, version)
    directory.mkdir(parents=True, exist_ok=True)
    pending = Pending(directory / f"exporting-{uuid.uuid4().hex}")
    pending.path.mkdir()
    try:
        yield pending
        _sync(pending.path)
        pending.version_path = _publish(pending.path, directory, version)
    finally:
        shutil.rmtree(pending.path, ignore_errors=True)
    _sync_one(directory)


class Pending:
    """A version that is being written."""

    def __init__(self, path):
        self.path = path
        self.version_path = None


def _local(directory):
    if "://" in os.fspath(directory):
        raise ValueError(
            f"directory must be a local path, received {os.fspath(directory)!r}. Object stores "
            "cannot rename a directory in one step: export locally, then copy the version."
        )
    return pathlib.Path(directory)


def _check_version(directory, version):
    if version is None:
        return
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ValueError(f"version must be a positive integer or None, received {version!r}.")
    if (directory / str(version)).exists():
        raise FileExistsError(_exists_message(directory, version))


def _publish(path, directory, version):
    """Renames `path` to its version; another exporter may take a number first."""
    while True:
        target = directory / str(version or _next(directory))
        try:
            # A directory does not replace one that has files.
            os.rename(path, target)
        except OSError:
            if not target.exists():
                raise
            if version is not None:
                raise FileExistsError(_exists_message(directory, version)) from None
        else:
            return target


def _next(directory):
    numbers = [int(entry.name) for entry in directory.iterdir() if entry.name.isdecimal()]
    return max(numbers, default=0) + 1


def _exists_message(directory, version):
    return (
        f"{directory} has a version {version} already. Leave version out for the next free number."
    )


def _sync(path):
    for folder, _, files in os.walk(path):
        for name in files:
            _sync_one(os.path.join(folder, name))
        _sync_one(folder)


def _sync_one(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
