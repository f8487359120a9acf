"""Where compiled kernels are kept for the next process."""

import contextlib
import errno
import hashlib
import logging
import os
import pathlib
import stat
import tempfile
import time
from typing import NamedTuple

from tfrec_models.native._errors import CacheError
from tfrec_models.native._limited import Deadline

try:
    import fcntl
except ImportError:
    # Windows. Two processes may then compile the same thing, and either result is right.
    fcntl = None  # type: ignore[assignment]

_log = logging.getLogger("tfrec_models")

# More than the library and what linkers write beside it.
_PROBE = bytes(8 << 20)


class Library(NamedTuple):
    """Compiled and tested kernels.

    Args:
        path: `pathlib.Path` of the shared library.
        flags: str, the name of the flags it was compiled with.
    """

    path: pathlib.Path
    flags: str


class Cache:
    """A directory of this user's own, with libraries that can be trusted.

    It is `tfrec_models/native` in `$XDG_CACHE_HOME` or `~/.cache`. A file in it is named
    `KEY.FLAGS.SHA256.so`, after what it was made from, how, and what is in it: a file whose content
    is not what its name says was cut off or changed, and is never loaded, which would end the
    process. Each method raises CacheError where the cache cannot be used.
    """

    def __init__(self):
        home = os.environ.get("XDG_CACHE_HOME")
        try:
            root = pathlib.Path(home) if home else pathlib.Path.home() / ".cache"
        except RuntimeError as error:
            raise CacheError(
                "there is no home directory; set XDG_CACHE_HOME to a directory of your own"
            ) from error
        self.directory = root / "tfrec_models" / "native"
        with _explained(self.directory):
            root.mkdir(parents=True, exist_ok=True)
            for part in (self.directory.parent, self.directory):
                with contextlib.suppress(FileExistsError):
                    part.mkdir(mode=0o700)
                _check_private(part)

    def find(self, key: str) -> Library | None:
        """Returns the library with a key, or None; files that are damaged are removed."""
        with _explained(self.directory):
            for path in sorted(self.directory.glob(f"{key}.*.so")):
                # Flags' names have dots in them.
                _, *flags, digest, _ = path.name.split(".")
                _check_private(path)
                if _digest(path) == digest:
                    return Library(path, ".".join(flags))
                _log.warning("%s is damaged and is compiled again.", path)
                # Where it cannot be removed, it is found again and skipped again.
                with contextlib.suppress(OSError):
                    path.unlink()
        return None

    @contextlib.contextmanager
    def locked(self, key: str, deadline: Deadline):
        """Within it, no other process compiles what has this key, where files can be locked."""
        with contextlib.ExitStack() as stack:
            with _explained(self.directory):
                file = stack.enter_context(open(self.directory / f"{key}.lock", "a"))
            if not _try_lock(file):
                _log.warning(
                    "Waiting for another process that compiles the native kernels, at most %.0f "
                    "seconds.",
                    deadline.left(),
                )
            # A process that hangs keeps its lock; the deadline is this one's own.
            while not _try_lock(file):
                time.sleep(min(0.1, deadline.left()))
            yield

    @contextlib.contextmanager
    def workplace(self):
        """Within it there is an empty directory in the cache, on a disk with enough space."""
        with contextlib.ExitStack() as stack:
            with _explained(self.directory):
                name = stack.enter_context(
                    tempfile.TemporaryDirectory(
                        prefix="pending-", dir=self.directory, ignore_cleanup_errors=True
                    )
                )
                # A compiler would only find out after half a minute, and say so in its own words.
                probe = pathlib.Path(name, "probe")
                probe.write_bytes(_PROBE)
                probe.unlink()
            yield pathlib.Path(name)

    def keep(self, key: str, library: Library) -> Library:
        """Moves a library from a `workplace` to where `find` finds it."""
        with _explained(self.directory):
            path = self.directory / f"{key}.{library.flags}.{_digest(library.path)}.so"
            os.chmod(library.path, 0o700)
            os.replace(library.path, path)
        return Library(path, library.flags)


def _digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check_private(path):
    """What lies in the cache is executed, so no other user may write there."""
    if not hasattr(os, "geteuid"):
        # Windows: a profile's directories are its user's own.
        return
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise CacheError(f"{path} is a symbolic link; remove it")
    if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise CacheError(
            f"{path} belongs to another user or is writable by others; remove it, or set "
            "XDG_CACHE_HOME to a directory of your own"
        )


def _try_lock(file):
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Whatever else is wrong, it is a file system without locks: both compile, and whoever is
        # last replaces the other's file in one step.
        return error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
    return True


@contextlib.contextmanager
def _explained(directory):
    """Turns errors of files into CacheErrors."""
    try:
        yield
    except OSError as error:
        raise CacheError(
            f"{directory} cannot be used ({error.strerror or error}); set XDG_CACHE_HOME to a "
            "directory of your own with space on its disk"
        ) from error
