"""The pages of the documentation: their code runs as pasted, their links lead somewhere."""

import functools
import importlib.util
import json
import logging
import os
import pathlib
import re
import shlex

import pytest

from tfrec_models import xla_disabled
from tfrec_models.datasets import __main__ as datasets_command

ROOT = pathlib.Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")]
    + [*(ROOT / "benchmarks").glob("*.md")]
)
# A block of a list is indented.
BLOCK = re.compile(r"^( *)```(.*)\n((?:.*\n)*?)\1```$", re.MULTILINE)
# `python title="needs torch"`: why a block is shown and not run; other shell blocks are those that
# scripts/run_commands.py runs in a fresh environment.
NEEDS = re.compile(
    r'python title="needs (a cluster|a server|several devices|torch)"|shell title="needs '
    r"(a server|two machines|tf2onnx|Chromium|(Docker and its image of )?TensorFlow Serving)\""
)
LANGUAGES = {"python", "shell", "text", "pycon", "yaml", "json"}
# What the first line of a page says that continues where another ends.
CONTINUES = re.compile(r"<!-- continues (\S+) -->")
MODULES = {"docs/tuning.md": ["keras_tuner", "tensorboard"]}
COMMANDS = {"tfrec_models.datasets": datasets_command.main}


def blocks_of(page):
    """The language and the code of each block of a page."""
    return [(match[2], match[3]) for match in BLOCK.finditer(page.read_text())]


def name_of(page):
    """The path of a page in the repository."""
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A function that runs a page, once, and returns its names and the folder that it ran in."""

    @functools.cache
    def run(page):
        if before := CONTINUES.search(page.read_text()):
            names, folder = run((page.parent / before[1]).resolve())
            names = dict(names)
        else:
            names, folder = {"__name__": "__main__"}, tmp_path_factory.mktemp("page")
        os.chdir(folder)
        # XLA has tests of its own; compiling would take most of the time of this one.
        with xla_disabled():
            for language, code in blocks_of(page):
                if language == "python":
                    exec(compile(code, name_of(page), "exec"), names)
        return names, folder

    here, log = os.getcwd(), logging.getLogger("tfrec_models")
    level = log.level
    yield run
    os.chdir(here)
    log.setLevel(level)


PAGES_WITH_CODE = [page for page in PAGES if any(kind == "python" for kind, _ in blocks_of(page))]


@pytest.mark.parametrize("page", PAGES_WITH_CODE, ids=name_of)
def test_python_blocks_run_as_pasted(page, session, monkeypatch):
    """In one session, in an empty folder, where nothing was imported before."""
    for module in MODULES.get(name_of(page), []):
        pytest.importorskip(module)
    names, folder = session(page)
    if name_of(page) == "docs/data.md":
        assert names["manifest"]["rows"] == 4000
        # The page says that the commands need what the blocks above them wrote.
        monkeypatch.chdir(folder)
        for language, code in blocks_of(page):
            if language == "shell" and code.startswith("python -m tfrec_models."):
                _, _, module, *arguments = shlex.split(code)
                assert COMMANDS[module](arguments) == 0
        for name in ("look.html", "schema.yaml", "ready/manifest.json", "ready_2/manifest.json"):
            assert pathlib.Path(name).is_file()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_says_what_it_is(page):
    """Code that runs, a command, output, or Python with the reason why it is not run here."""
    wrong = [
        kind for kind, _ in blocks_of(page) if kind not in LANGUAGES and not NEEDS.fullmatch(kind)
    ]
    assert wrong == []


def test_every_row_of_a_table_is_a_line_with_as_many_cells_as_its_header():
    """One that is broken over lines ends the table where it stands, in every page but code."""
    for page in PAGES:
        above = []
        for line in [*BLOCK.sub("", page.read_text()).splitlines(), ""]:
            if line.startswith("|"):
                cells = re.sub(r"`[^`]*`", "", line).replace("\\|", "").count("|") - 1
                assert line.rstrip().endswith("|"), f"{name_of(page)}: {line}"
                above.append(cells)
            else:
                assert len(set(above)) <= 1, f"{name_of(page)}: {above}, above {line!r}"
                above = []


def test_links_between_files_lead_somewhere():
    """Each relative link of a page names a file of the repository, and a heading that it has."""
    broken = []
    for page in PAGES:
        for target, anchor in re.findall(
            r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", BLOCK.sub("", page.read_text())
        ):
            if "://" in target:
                continue
            file = (page.parent / target).resolve() if target else page
            if not file.exists():
                broken.append(f"{name_of(page)}: {target}")
            elif anchor and file.suffix == ".md" and anchor not in anchors_of(file):
                broken.append(f"{name_of(page)}: {target}#{anchor}")
    assert broken == []


def anchors_of(page):
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text()), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


def test_readme_is_short():
    """It fits on a page: 100 lines at most."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 100


def test_every_page_is_in_the_navigation():
    """A page that no menu leads to is not read."""
    navigation = (ROOT / "mkdocs.yml").read_text()
    pages = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.ipynb")]
    names = [page.relative_to(ROOT / "docs").with_suffix(".md").as_posix() for page in pages]
    assert [name for name in names if name not in navigation] == []


def test_every_public_package_is_in_the_reference():
    """Each has a page, made from all docstrings of its public names."""
    packages = json.loads((ROOT / "tests" / "public_api.json").read_text())
    for package in packages:
        name = package.removeprefix("tfrec_models").removeprefix(".") or "index"
        page = (ROOT / "docs" / "reference" / f"{name}.md").read_text()
        assert re.search(rf"^::: {re.escape(package)}$", page, re.MULTILINE), package
        if name == "index":
            missing = [item for item in packages[package] if f"{item}`" not in page]
            assert missing == ["RankingModel"]
        else:
            assert "members:" not in page


def test_troubleshooting_has_the_messages_of_the_library():
    """Each error text on the page is a text of the sources, word for word."""
    sources = " ".join(
        re.sub(r'"\s*\n\s*(?:f|r)?"', "", path.read_text())
        for path in sorted((ROOT / "tfrec_models").rglob("*.py"))
    )
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    # Those of TensorFlow are headings without code.
    texts = [
        text
        for heading in re.findall(r"^### (.+)$", page, re.MULTILINE)
        for text in re.findall(r"`([^`]+)`", heading)
    ]
    assert len(texts) > 30
    # "…" stands for what differs from case to case.
    parts = [part.strip() for text in texts for part in text.split("…")]
    assert [part for part in parts if part not in sources] == []


def test_pictures_are_those_of_the_script():
    """The SVG files are what `scripts/draw_pictures.py` draws."""
    path = ROOT / "scripts" / "draw_pictures.py"
    spec = importlib.util.spec_from_file_location("draw_pictures", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    there = {file.name: file.read_text() for file in (ROOT / "docs" / "images").glob("*.svg")}
    assert there == script.drawn(), "run: python scripts/draw_pictures.py docs/images"
