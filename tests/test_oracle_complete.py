"""Every recorded case of TorchRec's numbers is the subject of a test, or named as a quirk."""

import ast
import importlib
import pathlib

from tests import oracle_cases as oracle

TESTS = pathlib.Path(__file__).parent

# FBGEMM's backward of weighted MEAN forgets the 1/L on CPU: a bug that is not worth copying.
QUIRKS = {"fused_rowwise_adagrad_weighted_mean"}


def cases_of(path):
    """The cases a test module names, in its text or in the parameters of its tests."""
    text = path.read_text()
    named = {
        node.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    if "oracle.select" in text:
        name = ".".join(path.relative_to(TESTS.parent).with_suffix("").parts)
        for test in vars(importlib.import_module(name)).values():
            for mark in getattr(test, "pytestmark", []):
                if mark.name == "parametrize":
                    named |= {value for value in mark.args[1] if isinstance(value, str)}
    return named & set(oracle.index())


def covered_by():
    """A dict from case to the test modules that compare with it."""
    modules = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        if path != pathlib.Path(__file__):
            for case in cases_of(path):
                modules.setdefault(case, []).append(str(path.relative_to(TESTS)))
    return modules


def test_there_are_128_cases():
    """None was lost."""
    assert len(oracle.index()) == 128


def test_every_case_is_compared_with():
    """A case no test names is a number of TorchRec's that nobody checks."""
    assert set(oracle.index()) - set(covered_by()) <= QUIRKS


def test_quirks_are_those_the_recording_names():
    """No case is left out on our word alone."""
    assert {name for name, case in oracle.index().items() if case.get("quirk")} == QUIRKS
