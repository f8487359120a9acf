"""A pytest plugin that asks, at the end of a whole run, whether every recording was compared."""

import pathlib

import pytest


class RecordingsPlugin:
    """Fails a whole run that passed although no test compared anything with some recorded case.

    Cases are counted where they are compared, in the process that runs the test; with
    pytest-xdist the workers send theirs when they end. A run of a part of the tests asks nothing.

    Args:
        root: the folder that holds all tests.
        compared: the set of cases that comparisons of this process fill.
        not_compared: function from a set of compared cases to the sorted list of the others.
    """

    def __init__(self, root, compared, not_compared):
        self._root = pathlib.Path(root).resolve()
        self._compared = compared
        self._not_compared = not_compared
        self._deselected = False
        self._left_out = []

    def pytest_deselected(self, items):
        self._deselected = True

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node):
        found = getattr(node, "workeroutput", {}).get("recordings", {})
        self._compared |= set(found.get("compared", []))
        # A worker that broke down sends nothing.
        self._deselected |= found.get("deselected", True)

    def pytest_sessionfinish(self, session, exitstatus):
        config = session.config
        if hasattr(config, "workeroutput"):
            config.workeroutput["recordings"] = {
                "compared": sorted(self._compared),
                "deselected": self._deselected,
            }
        elif exitstatus == pytest.ExitCode.OK and self._is_whole(config):
            self._left_out = self._not_compared(self._compared)
            if self._left_out:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        if self._left_out:
            names = ", ".join(self._left_out)
            terminalreporter.section("recordings that no test compared", red=True)
            terminalreporter.line(f"{len(self._left_out)} recorded cases: {names}")

    def _is_whole(self, config):
        """Whether all tests were asked for."""
        asked = [pathlib.Path(config.invocation_params.dir, each).resolve() for each in config.args]
        named = any(each == self._root or each in self._root.parents for each in asked)
        partly = config.getoption("lf", False) or config.getoption("ignore") or self._deselected
        return named and not partly and not config.getoption("collectonly")
