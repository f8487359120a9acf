"""The blocks of docs/data.md run as pasted, one after the other."""

import pathlib
import re
import shlex

from tfrec_models.datasets import __main__ as command

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "data.md"


def test_blocks_of_the_page_run(tmp_path, monkeypatch):
    """Python blocks in one session, commands of shell blocks with the arguments they have."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    commands = []
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    for language, block in blocks:
        if language == "python":
            exec(compile(block, PAGE.name, "exec"), names)
        else:
            assert language == "sh"
            commands.append(shlex.split(block))
    # The page says that these need the schema to be saved, which is done further down.
    for python, m, module, *arguments in commands:
        assert (python, m, module) == ("python", "-m", "tfrec_models.datasets")
        assert command.main(arguments) == 0
    assert names["manifest"]["rows"] == 4000
    for name in ("look.html", "schema.yaml", "ready/manifest.json", "ready_2/manifest.json"):
        assert pathlib.Path(name).is_file()
