"""The page on TorchRec's API says what is so."""

import importlib
import importlib.util
import inspect
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / "docs" / "torchrec_api.md"


def test_names_that_are_here():
    """Every name of which the page says so is a member of the class it names, or its argument."""
    room, checked = None, 0
    for line in PAGE.read_text().splitlines():
        if line.startswith("Here: "):
            room = importlib.import_module(line.split("`")[1])
        row = re.fullmatch(r"\| `(\w+)(?:\.(\w+)|\((\w+)=\))?` \| yes \|.*\|", line)
        if row is None:
            continue
        cls, member, argument = getattr(room, row[1]), row[2], row[3]
        arguments = inspect.signature(cls.__init__).parameters
        assert member is None or hasattr(cls, member) or member in arguments, line
        assert argument in (None, "dtype", *arguments), line
        checked += 1
    assert checked > 100


def test_the_page_is_the_one_of_today(torchrec):
    """It is what the script makes of the installed packages."""
    spec = importlib.util.spec_from_file_location(
        "torchrec_api_table", ROOT / "scripts" / "torchrec_api_table.py"
    )
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert PAGE.read_text() == script.markdown(), (
        "run: python scripts/torchrec_api_table.py docs/torchrec_api.md"
    )
