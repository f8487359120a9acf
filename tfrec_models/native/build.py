"""Compiles and tests the kernels, and keeps the result for the next process."""

import contextlib
import hashlib
import logging
import os
import pathlib
import platform
import sys
import tempfile
from collections.abc import Iterator

import tensorflow as tf

from tfrec_models.native import _limited, _self_test
from tfrec_models.native._cache import Cache, Library
from tfrec_models.native._compiler import SOURCES, UNITS, Compiler, find_compilers
from tfrec_models.native._errors import BuildError, CacheError, UnloadableError
from tfrec_models.native._flags import COMMON, ladder, processor
from tfrec_models.native._limited import Deadline

__all__ = [
    "SECONDS",
    "BuildError",
    "CacheError",
    "Deadline",
    "Library",
    "build",
    "build_unkept",
    "find_compilers",
]

# The longest that a process may wait for its kernels. With the first flags that is about half a
# minute on a quiet machine, and several minutes on one that does much else.
SECONDS = 600.0

_log = logging.getLogger("tfrec_models")


def build(deadline: Deadline) -> Library:
    """Compiles the kernels unless the cache has them.

    Flags are tried from the fastest code down, with each compiler there is: the first library that
    is compiled and passes a test in a process of its own is taken. One process at a time compiles,
    where files can be locked.

    Args:
        deadline: `Deadline`.

    Returns:
        `Library`, in the cache.

    Raises:
        BuildError: if no compiler makes a library that works, or not in time.
        CacheError: if the cache cannot be used; `build_unkept` does without.
    """
    cache = Cache()
    compilers = []
    for compiler in _compilers(deadline):
        if library := cache.find(_key(compiler)):
            return library
        compilers.append(compiler)
    with cache.locked(_key(compilers[0]), deadline):
        # Another process may have been at it meanwhile.
        for compiler in compilers:
            if library := cache.find(_key(compiler)):
                return library
        with cache.workplace() as directory:
            library, compiler = _first_that_works(compilers, directory, deadline)
            return cache.keep(_key(compiler), library)


@contextlib.contextmanager
def build_unkept(deadline: Deadline) -> Iterator[Library]:
    """Compiles the kernels into a private directory that is removed at the end of the context.

    Args:
        deadline: `Deadline`.

    Yields:
        `Library`; once it is loaded its file is not needed.

    Raises:
        BuildError: as `build`.
    """
    compilers = list(_compilers(deadline))
    try:
        directory = tempfile.TemporaryDirectory(prefix="tfrec_models-", ignore_cleanup_errors=True)
    except OSError as error:
        raise BuildError(f"there is no directory for temporary files ({error})") from error
    with directory as name:
        yield _first_that_works(compilers, pathlib.Path(name), deadline)[0]


def _compilers(deadline):
    """The compilers that answer, at least one."""
    commands = find_compilers()
    if not commands:
        raise BuildError(
            "there is no C++ compiler ($CXX, g++, clang++ and c++ were looked for); install one"
        )
    errors = []
    for command in commands:
        try:
            compiler = Compiler.look_at(command, deadline)
        except BuildError as error:
            errors.append(str(error))
        else:
            yield compiler
    if len(errors) == len(commands):
        raise BuildError("; ".join(errors))


def _first_that_works(compilers, directory, deadline):
    """The library of the first flags that work, and the compiler that made it."""
    _log.warning(
        "Compiling the native kernels with %s before the first step. This takes about half a "
        "minute, once for a machine; after %.0f seconds training continues without them.",
        " or ".join(compiler.name for compiler in compilers),
        deadline.left(),
    )
    errors: list[str] = []
    for compiler in compilers:
        try:
            found = _try(compiler, directory, deadline, errors)
        except BuildError as error:
            if deadline.is_over:
                raise
            errors.append(str(error))
        else:
            if found:
                return found
    raise BuildError(errors[-1])


def _try(compiler, directory, deadline, errors):
    """The library that one compiler makes and the compiler, or None and why in `errors`."""
    for _ in range(2):
        library = _climb(compiler, directory, deadline, errors)
        now = Compiler.look_at(compiler.command, deadline)
        if now == compiler:
            return (library, compiler) if library else None
        # It was replaced while it compiled: half of the library may be the old one's.
        errors.append(f"{compiler.name} was replaced while it compiled")
        compiler = now
    return None


def _climb(compiler, directory, deadline, errors):
    """The library of the first flags that work with one compiler, or None and why in `errors`."""
    for flags in ladder():
        path = directory / f"{flags.name}.so"
        try:
            compiler.compile(flags, path, deadline)
            _test(path, deadline)
        except BuildError as error:
            if deadline.is_over:
                raise
            errors.append(f"{error} (flags: {flags.name})")
            _log.info("No native kernels with the flags %s: %s.", flags.name, error)
            if isinstance(error, UnloadableError):
                break
        else:
            return Library(path, flags.name)
    return None


def _test(path, deadline):
    """Loads and tries a library in another process, which may crash."""
    # A Python that is part of another program must not be started: that would be the program.
    if not sys.executable or getattr(sys, "frozen", False):
        raise UnloadableError("there is no Python interpreter to test the kernels with")
    code = "import runpy, sys; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(os.path.abspath(entry) for entry in sys.path),
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TFREC_MODELS_NATIVE": "0",
    }
    command = [sys.executable, "-c", code, _self_test.__file__, str(path)]
    try:
        status, output = _limited.run(command, deadline.left(), env=environment, cwd=path.parent)
    except OSError as error:
        raise UnloadableError(f"{sys.executable} cannot be run as a test: {error}") from error
    if status is None:
        raise BuildError("the test of the compiled kernels did not end in time")
    if status < 0:
        raise BuildError(f"the compiled kernels ended their test with signal {-status}")
    last = (output.strip().splitlines() or [""])[-1][:300]
    if status == _self_test.UNLOADABLE:
        raise UnloadableError(f"the compiled kernels cannot be loaded: {last}")
    if status:
        raise BuildError(f"the compiled kernels failed their test: {last}")


def _key(compiler):
    """A digest of everything the compiled file depends on."""
    options = [option for flags in ladder() for option in flags.options]
    parts = [
        *(*compiler.command, compiler.version, tf.__version__, tf.version.GIT_VERSION),
        *(*COMMON, *UNITS.values(), *options, processor(), *platform.libc_ver()),
        *tf.sysconfig.get_compile_flags(),
        *tf.sysconfig.get_link_flags(),
    ]
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape"))
    for source in (*sorted(SOURCES.iterdir()), pathlib.Path(_self_test.__file__)):
        if source.suffix in (".cc", ".h", ".py"):
            digest.update(f"\0{source.name}\0".encode() + source.read_bytes())
    return digest.hexdigest()[:32]
