"""Compiles the kernels, and keeps the result for the next process."""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import platform
import shutil
import stat
import subprocess
import tempfile

import tensorflow as tf

SOURCES = pathlib.Path(__file__).with_name("kernels")
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fPIC", "-shared")


class BuildError(Exception):
    """The kernels could not be compiled or kept; the message says why in one line."""


def build():
    """Compiles the kernels unless the cache has them.

    The cache is `tfrec_models/native` in `$XDG_CACHE_HOME` or `~/.cache`. A file in it is named
    after all that it depends on: sources, flags, compiler, TensorFlow and processor. It is
    compiled under another name and then renamed, by one process at a time where files can be
    locked; where they cannot, two processes compile the same thing and either result is right.

    Returns:
        `pathlib.Path` of the shared library.

    Raises:
        BuildError: if there is no compiler, it fails, or the cache is not this user's alone.
    """
    compiler = _compiler()
    try:
        directory = _private_directory()
        path = directory / f"{_key(compiler)}.so"
        with _one_at_a_time(path.with_suffix(".lock")):
            if not path.exists():
                _compile(compiler, path)
        _check_private(path)
    except OSError as error:
        raise BuildError(f"{type(error).__name__}: {error}") from error
    return path


def _compiler():
    for name in filter(None, (os.environ.get("CXX"), "g++", "clang++", "c++")):
        if found := shutil.which(name):
            return found
    raise BuildError("no C++ compiler found (g++, clang++ or $CXX)")


def _compile(compiler, path):
    handle, pending = tempfile.mkstemp(dir=path.parent, suffix=".so")
    os.close(handle)
    try:
        command = [
            *(compiler, *FLAGS, str(SOURCES / "all_kernels.cc"), "-o", pending),
            *tf.sysconfig.get_compile_flags(),
            *tf.sysconfig.get_link_flags(),
        ]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode:
            lines = done.stderr.splitlines()
            first = next((line for line in lines if "error" in line), *lines[:1] or [""])
            raise BuildError(f"{compiler} failed: {first.strip()}")
        os.chmod(pending, 0o700)
        os.rename(pending, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(pending)


def _key(compiler):
    """A digest of everything the compiled file depends on."""
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True)
    parts = [
        *(compiler, version.stdout, *FLAGS, tf.__version__, tf.version.GIT_VERSION),
        *tf.sysconfig.get_compile_flags(),
        *tf.sysconfig.get_link_flags(),
        _processor(),
    ]
    digest = hashlib.sha256("\0".join(parts).encode())
    for source in sorted(SOURCES.iterdir()):
        if source.suffix in (".cc", ".h"):
            digest.update(f"\0{source.name}\0".encode() + source.read_bytes())
    return digest.hexdigest()[:32]


def _processor():
    """What -march=native depends on: a home directory may be shared by unlike machines."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    wanted = ("vendor_id", "cpu family", "model", "flags", "Features")
    return str(sorted({line for line in lines if line.split("\t")[0].strip() in wanted}))


def _private_directory():
    """The cache directory, which nobody else can write to: what is in it gets executed."""
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    directory = pathlib.Path(cache) / "tfrec_models" / "native"
    directory.parent.parent.mkdir(parents=True, exist_ok=True)
    for part in (directory.parent, directory):
        with contextlib.suppress(FileExistsError):
            part.mkdir(mode=0o700)
        _check_private(part)
    return directory


def _check_private(path):
    found = path.lstat()
    if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise BuildError(
            f"{path} belongs to another user or is writable by others; remove it, or set "
            "XDG_CACHE_HOME to a directory of your own"
        )
    if stat.S_ISLNK(found.st_mode):
        raise BuildError(f"{path} is a symbolic link; remove it")


@contextlib.contextmanager
def _one_at_a_time(path):
    with open(path, "a") as file:
        # File systems without locks: both compile, and the renames are atomic.
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
