"""Writes a directory so that a server never sees half of it: a numbered version, or one by name."""

import contextlib
import os
import pathlib
import shutil
import uuid

from tfrec_models._checks.arguments import check_integer

_LARGEST = 2**63 - 1
_SAVED_MODEL = {"assets", "assets.extra", "fingerprint.pb", "saved_model.pb", "variables"}


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
        `Pending`, with the `path` to write into; after the block its `final_path` is where the
        version lies.

    Raises:
        TypeError: if the directory is no path.
        ValueError: if the directory is no local path or a file, or the version is no positive
            int64.
        FileExistsError: if the version is there already.
    """
    directory = _local(directory, "directory", "all versions")
    _check_version(directory, version)
    with _written_beside(directory, lambda path: _publish(path, directory, version)) as pending:
        yield pending


@contextlib.contextmanager
def whole_directory(filepath):
    """Gives a directory to write into, and makes it `filepath` at the end.

    As `new_version`; a SavedModel that is there already is replaced. Between the renames of the old
    one and the new one there is none for a moment.

    Args:
        filepath: path of the directory; those above it are made if they are not there.

    Yields:
        `Pending`, as `new_version`.

    Raises:
        TypeError: if it is no path.
        ValueError: if it is no local path, a file, or a directory with anything but a SavedModel.
    """
    # Where a link leads, so that the link stays.
    target = pathlib.Path(os.path.realpath(_local(filepath, "filepath", "a SavedModel")))
    _check_replaceable(target)
    with _written_beside(target.parent, lambda path: _replace(path, target)) as pending:
        yield pending


@contextlib.contextmanager
def new_directory(path):
    """Gives a directory to write into, and makes it `path` at the end, where nothing may be.

    As `new_version`, whose numbers are given by the caller here.

    Args:
        path: path of the directory; those above it are made if they are not there.

    Yields:
        `Pending`, as `new_version`.

    Raises:
        TypeError, ValueError: if it is no local path.
        FileExistsError: if there is something.
    """
    target = _local(path, "out", "a new version")
    _check_absent(target)
    with _written_beside(target.parent, lambda path: _publish_at(path, target)) as pending:
        yield pending


@contextlib.contextmanager
def _written_beside(parent, publish):
    """Gives a directory in `parent` that `publish` renames, once all of it is on the disk."""
    parent.mkdir(parents=True, exist_ok=True)
    pending = Pending(parent / f"exporting-{uuid.uuid4().hex}")
    pending.path.mkdir()
    try:
        yield pending
        _sync(pending.path)
        pending.final_path = publish(pending.path)
    finally:
        shutil.rmtree(pending.path, ignore_errors=True)
    _sync_one(parent)


class Pending:
    """A directory that is being written.

    Args:
        path: `pathlib.Path`, where it is written.
    """

    # Where it lies once it is published.
    final_path: pathlib.Path

    def __init__(self, path):
        self.path = path


def _local(directory, argument, what):
    if not isinstance(directory, (str, os.PathLike)):
        raise TypeError(
            f"{argument} must be a path, a str or a pathlib.Path, received "
            f"{type(directory).__name__}."
        )
    if "://" in os.fspath(directory):
        raise ValueError(
            f"{argument} must be a local path, received {os.fspath(directory)!r}. Object stores "
            "cannot rename a directory in one step: export locally, then copy the directory."
        )
    if not os.fspath(directory):
        raise ValueError(
            f"{argument} must name the directory of {what}, received an empty path. For the "
            "current directory write '.'."
        )
    directory = pathlib.Path(directory)
    for path in (directory, *directory.parents):
        if path.exists() and not path.is_dir():
            raise ValueError(
                f"{argument} must be the directory of {what}, received {str(directory)!r}, "
                f"where {str(path)!r} is a file. Name another directory."
            )
    return directory


def _check_replaceable(target):
    other = sorted(set(os.listdir(target)) - _SAVED_MODEL) if target.exists() else []
    if other:
        raise ValueError(
            f"filepath must be a new directory or one with a SavedModel, which is replaced; "
            f"received {str(target)!r}, where {other[:3]} would be lost. Name another directory; "
            "for a directory of numbered versions call tfrec_models.serving.export."
        )


def _replace(path, target):
    try:
        # A directory does not replace one that has files.
        os.rename(path, target)
    except OSError:
        if not target.exists():
            raise
        old = target.with_name(f"replaced-{uuid.uuid4().hex}")
        os.rename(target, old)
        try:
            os.rename(path, target)
        except OSError:
            os.rename(old, target)
            raise
        shutil.rmtree(old)
    return target


def _check_absent(target):
    if target.exists():
        raise FileExistsError(f"{target} is there already. Name another directory.")


def _publish_at(path, target):
    try:
        # A directory does not replace one that has files.
        os.rename(path, target)
    except OSError:
        _check_absent(target)
        raise
    return target


def _check_version(directory, version):
    if version is None:
        return
    _check_size(check_integer("version", version, 1, "a positive integer or None"))
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
    version = max(numbers, default=0) + 1
    _check_size(version)
    return version


def _check_size(version):
    if version > _LARGEST:
        raise ValueError(
            f"version must be at most {_LARGEST}, an int64, received {version}: a server would "
            "never see it. Give a smaller version, or remove the directory with the largest."
        )


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
