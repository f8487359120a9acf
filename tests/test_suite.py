"""What holds for the tests themselves."""

import ast
import pathlib

TESTS = pathlib.Path(__file__).parent
FILES = sorted(TESTS.rglob("*.py"))
TEST_FILES = [path for path in FILES if path.name.startswith("test_")]


def imported_modules(path):
    """Every module that a file imports, or may import a name of, at any depth."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_nothing_is_imported_from_a_test_module():
    """What several modules use is in `tests/support`, so that a test file can be renamed alone."""
    modules = {
        ".".join(path.relative_to(TESTS.parent).with_suffix("").parts) for path in TEST_FILES
    }
    found = [
        f"{path.relative_to(TESTS)} imports {name}"
        for path in FILES
        for name in imported_modules(path)
        if name in modules
    ]
    assert found == []


def test_every_test_says_its_claim():
    """In one line, which is what a reader of a failure sees first."""
    silent = [
        f"{path.relative_to(TESTS)}: {node.name}"
        for path in TEST_FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        if not ast.get_docstring(node)
    ]
    assert silent == []


def test_one_strategy_has_collective_operations():
    """The fixture `two_devices`: a second one ends every collective operation of the process.

    Strategies of one device, and those that copy instead, have none.
    """
    made = [
        f"{path.relative_to(TESTS)}: line {node.lineno}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".MirroredStrategy")
        if not (node.args and isinstance(node.args[0], ast.List) and len(node.args[0].elts) == 1)
        if "cross_device_ops" not in {keyword.arg for keyword in node.keywords}
    ]
    assert [place.partition(":")[0] for place in made] == ["conftest.py"], made
