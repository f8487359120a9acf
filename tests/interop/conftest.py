"""The real torch and torchrec, of the `parity` extra; the tests that need them are marked."""

import pytest


def pytest_collection_modifyitems(items):
    """`-m torchrec` selects what runs only where torch and torchrec are."""
    for item in items:
        if {"torch", "torchrec"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("torchrec")


@pytest.fixture(scope="session")
def torch():
    """torch, or the test is skipped."""
    return pytest.importorskip("torch")


@pytest.fixture(scope="session")
def torchrec():
    """torchrec, or the test is skipped."""
    return pytest.importorskip("torchrec")
