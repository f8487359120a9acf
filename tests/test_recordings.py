"""The recordings of TorchRec's numbers are whole; `conftest.py` sees that each is compared with."""

import os
import pathlib
import subprocess
import sys

import pytest

from tests.support import oracle


def test_there_are_128_cases():
    """None was lost."""
    assert len(oracle.index()) == 128


def test_quirks_are_those_the_recording_names():
    """No case is left out on our word alone."""
    assert {name for name, case in oracle.index().items() if case.get("quirk")} == oracle.QUIRKS


def test_a_case_counts_when_it_was_compared(monkeypatch):
    """Reading a case or its arrays is not comparing them."""
    monkeypatch.setattr(oracle, "COMPARED", set())
    recorded = oracle.arrays("keyed_tensor_ops")
    assert "keyed_tensor_ops" in oracle.not_compared(oracle.COMPARED)
    recorded.compare("out/group0", recorded["out/group0"])
    assert {"keyed_tensor_ops"} == oracle.COMPARED
    with pytest.raises(AssertionError, match="keyed_tensor_ops: out/group0"):
        recorded.compare("out/group0", recorded["out/group0"] + 1)


SUITE = {
    "conftest.py": """
import pathlib
from tests.support.recordings_plugin import RecordingsPlugin
compared = set()

def pytest_configure(config):
    root = pathlib.Path(__file__).parent
    config.pluginmanager.register(
        RecordingsPlugin(root, compared, lambda found: sorted({"a", "b"} - found))
    )
""",
    "test_a.py": """
from conftest import compared

def test_a():
    compared.add("a")
""",
    "test_b.py": """
from conftest import compared

def test_b():
    compared.update(CASES)
""",
}


def run_suite(tmp_path, cases, *arguments):
    """Runs a suite of two tests, the second of which compares `cases`."""
    for name, text in SUITE.items():
        (tmp_path / name).write_text(text.replace("CASES", repr(cases)))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_whole_run_must_compare_every_case(workers, tmp_path):
    """It fails with the names of those left out, with workers and without."""
    whole = run_suite(tmp_path, ["b"], "-n", workers)
    assert whole.returncode == 0, whole.stdout
    lacking = run_suite(tmp_path, [], "-n", workers)
    assert lacking.returncode == 1
    assert "1 recorded cases: b" in lacking.stdout and "2 passed" in lacking.stdout


@pytest.mark.parametrize("part", [["test_a.py"], ["-k", "test_a"], ["-n", "2", "-k", "test_a"]])
def test_a_part_of_the_tests_need_not(part, tmp_path):
    """A file, or tests that are selected by name."""
    ran = run_suite(tmp_path, [], *part)
    assert ran.returncode == 0, ran.stdout
