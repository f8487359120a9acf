"""How many examples the properties are tried on, from which seed, and how a failure is repeated."""

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Names the command that repeats a failure."""
    report = yield
    if report.when == "call" and report.failed:
        option = item.config.option
        command = (
            f"pytest {item.nodeid} --examples {option.examples} "
            f"--hypothesis-seed {option.hypothesis_seed}"
        )
        report.sections.append(("the same examples again", command))
    return report
