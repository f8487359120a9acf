"""Loading the kernels never ends a run."""

import contextlib
import pathlib
import threading

import pytest
import tensorflow as tf

from tfrec_models.native import library
from tfrec_models.native.build import BuildError, CacheError, Library


@pytest.fixture
def build(monkeypatch):
    """Replaces what compiles: it raises an exception, or gives a library that always loads."""

    def use(outcome=None):
        calls = []

        def build(deadline):
            calls.append(deadline)
            if outcome is not None:
                raise outcome
            return Library(pathlib.Path("kernels.so"), "native")

        monkeypatch.setattr(library, "build", build)
        monkeypatch.setattr(tf, "load_op_library", lambda path: f"module of {path}")
        return calls

    return use


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BuildError("g++ failed: no such thing\nmore"), "g++ failed: no such thing"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (RuntimeError("Could not determine home directory."), "Could not determine home directory"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "'utf-8' codec can't decode byte 0xff"),
        (tf.errors.NotFoundError(None, None, "undefined symbol"), "undefined symbol"),
        (MemoryError(), "MemoryError"),
        (RecursionError(), "RecursionError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_fails_is_one_warning(build, caplog, error, reason):
    """The kernels are then not there, and stay so; the warning says why and what to do."""
    calls = build(error)
    loader = library.Loader()
    assert loader.module() is None
    assert loader.module() is None
    assert len(calls) == 1
    assert loader.reason().startswith(reason)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert f"TensorFlow's stock operations, which are slower, because {reason}" in warning
    assert "TFREC_MODELS_NATIVE=0 in the environment" in warning


def test_an_interrupt_is_not_a_failure(build):
    """Ctrl-C gets through, and the next call tries again."""
    calls = build(KeyboardInterrupt())
    loader = library.Loader()
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            loader.module()
    assert len(calls) == 2


def test_threads_load_once(build):
    """Threads that ask at once get one module."""
    calls = build()
    loader, found = library.Loader(), []
    threads = [threading.Thread(target=lambda: found.append(loader.module())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["module of kernels.so"] * 8
    assert len(calls) == 1
    assert loader.reason() == ""


def test_without_a_cache_they_are_compiled_for_this_process(build, monkeypatch, caplog):
    """One warning says how to keep them."""
    build(CacheError("there is no home directory; set XDG_CACHE_HOME to a directory of your own"))

    @contextlib.contextmanager
    def build_unkept(deadline):
        yield Library(pathlib.Path("unkept.so"), "x86-64-v3")

    monkeypatch.setattr(library, "build_unkept", build_unkept)
    with caplog.at_level("INFO", logger="tfrec_models"):
        assert library.Loader().module() == "module of unkept.so"
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert caplog.messages[0] == (
        "The native kernels are compiled again at every start, because there is no home directory; "
        "set XDG_CACHE_HOME to a directory of your own."
    )
    assert caplog.messages[1].endswith("on CPU (flags: x86-64-v3).")


def test_each_message_is_logged_once(caplog):
    """A reason that comes back at every lookup is told at the first."""
    once = library.OnceLogger(library._log)
    with caplog.at_level("INFO", logger="tfrec_models"):
        for message in ("one", "other", "one"):
            once.info(message)
    assert caplog.messages == ["one", "other"]
