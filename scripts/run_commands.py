"""Runs the shell blocks of all pages, each page in a fresh clone, in a fresh virtual environment.

    python scripts/run_commands.py --list            # every block, and how it is run
    python scripts/run_commands.py                   # runs them; several minutes
    python scripts/run_commands.py docs/recipes.md   # those of one page

Python blocks are run by `tests/test_docs.py`. What a page takes for granted, such as a log or a
checkpoint, is made here beforehand. Blocks with a title that begins with "needs" are not run: they
need a cluster or another program, which the title names.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap
import time

ROOT = pathlib.Path(__file__).parents[1]
PAGES = ["*.md", "docs/*.md", "docs/ideas/*.md", "examples/*.md", "benchmarks/*.md"]
# A block of a list is indented.
BLOCK = re.compile(r"^( *)```(shell|python)(?: title=\"(.*)\")?\n((?:.*\n)*?)\1```$", re.MULTILINE)
CONTINUES = re.compile(r"<!-- continues (\S+) -->")

FRAPPE = """
import pathlib
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from tfrec_models.datasets import frappe_schema
pathlib.Path("frappe").mkdir()
rng = np.random.default_rng(0)
for part in ("train", "validation", "test"):
    ids = {column.name: rng.integers(0, 50, 5000) for column in frappe_schema().sparse}
    pq.write_table(pa.table({"label": ids["item"] % 2, **ids}), f"frappe/{part}.parquet")
"""
CHECKPOINT = """
import json, pathlib
import numpy as np
from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig
from tfrec_models.interop.torchrec import torchrec_state_dict
model = DLRM(EmbeddingBagCollection([EmbeddingBagConfig(100, 8, "item")]), 2, [8], [4, 1])
model.build()
pathlib.Path("dlrm.json").write_text(model.to_json())
header, data = {}, b""
for name, value in torchrec_state_dict(model).items():
    value = np.asarray(value, np.float32).tobytes(), list(np.shape(value))
    header[name] = {"dtype": "F32", "shape": value[1],
                    "data_offsets": [len(data), len(data) + len(value[0])]}
    data += value[0]
text = json.dumps(header).encode()
pathlib.Path("dlrm.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
"""
TRAINED = "python -m tfrec_models train frappe_dlrm --set training.epochs=1 --out runs/"
# What is run before a page's own blocks, Python or shell.
BEFORE = {
    "docs/recipes.md": ["python", FRAPPE],
    "docs/reports.md": [
        *("python", FRAPPE, "shell", "pip install --quiet '.[report]'"),
        *("shell", f"{TRAINED}frappe", "shell", f"{TRAINED}frappe_dcn"),
    ],
    "docs/from_torchrec.md": ["python", CHECKPOINT],
}
# Pages whose commands need what their Python blocks write.
WITH_PYTHON = ("docs/data.md", "examples/serve.md")


def blocks_of(page):
    """Yields language, title and code of the blocks of a page, those that it continues first."""
    text = page.read_text()
    if before := CONTINUES.search(text):
        for kind, title, code in blocks_of((page.parent / before[1]).resolve()):
            if kind == "python":
                yield kind, title, code
    yield from own_blocks_of(text)


def own_blocks_of(text):
    """Yields language, title and code of the blocks of a text."""
    for _, kind, title, code in BLOCK.findall(text):
        yield kind, title, textwrap.dedent(code)


def commands_of(page):
    """The steps of a page in order: (kind, code, whether it is a block of the page)."""
    name = page.relative_to(ROOT).as_posix()
    before = BEFORE.get(name, [])
    steps = [(kind, code, False) for kind, code in zip(before[::2], before[1::2], strict=True)]
    for kind, title, code in blocks_of(page):
        if (title or "").startswith("needs"):
            continue
        if kind == "shell":
            steps.append((kind, code, True))
        elif name in WITH_PYTHON:
            steps.append((kind, code, False))
    return steps if any(own for *_, own in steps) else []


# Before the blocks of a page that has some in Python, which are one session: what a block names,
# those after it use, and commands run between them.
SESSION = """
import json, subprocess, time
_seconds = []
def _run(code, is_own):
    begin = time.monotonic()
    subprocess.run(["bash", "-c", "set -e\\n" + code], check=True)
    if is_own:
        _seconds.append((code, time.monotonic() - begin))
"""
END = 'open("_seconds.json", "w").write(json.dumps(_seconds))'


def run_page(page, folder, environment):
    """Runs the steps of a page in a clone; yields each of its commands and its seconds."""
    clone = folder / page.relative_to(ROOT).as_posix().replace("/", "_")
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    steps = commands_of(page)
    if any(kind == "python" for kind, *_ in steps):
        lines = [
            code if kind == "python" else f"_run({code!r}, {own})" for kind, code, own in steps
        ]
        (clone / "_blocks.py").write_text("\n".join([SESSION, *lines, END]))
        shell("python _blocks.py", clone, environment)
        yield from json.loads((clone / "_seconds.json").read_text())
        return
    for _, code, own in steps:
        begin = time.monotonic()
        shell(code, clone, environment)
        if own:
            yield code, time.monotonic() - begin


def shell(code, folder, environment):
    """Runs a block of shell in the virtual environment; raises with its output if it fails."""
    script = f"set -e\n. '{environment}/bin/activate'\n{code}\nkill $(jobs -p) 2>/dev/null || true"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{code}\nended with {done.returncode}:\n{done.stdout[-3000:]}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", nargs="*", help="paths in the repository; all without")
    parser.add_argument("--list", action="store_true", help="run nothing")
    parser.add_argument("--environment", help="a virtual environment that is there already")
    options = parser.parse_args()
    found = [path for pattern in PAGES for path in sorted(ROOT.glob(pattern))]
    pages = [ROOT / page for page in options.pages] or found
    if options.list:
        for page in pages:
            for kind, title, code in own_blocks_of(page.read_text()):
                how = title or ("tests/test_docs.py" if kind == "python" else "this script")
                print(f"{page.relative_to(ROOT)}: {kind}, {how}: {code.strip().splitlines()[0]}")
        return
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        environment = options.environment
        if environment is None:
            environment = f"{folder}/environment"
            subprocess.run([sys.executable, "-m", "venv", environment], check=True)
            shell(f"pip install --quiet '{ROOT}'", ROOT, environment)
        for page in filter(commands_of, pages):
            try:
                for code, seconds in run_page(page, pathlib.Path(folder), environment):
                    first = code.strip().splitlines()[0]
                    print(f"{page.relative_to(ROOT)}: {seconds:.0f} s: {first}", flush=True)
            except RuntimeError as error:
                failed = True
                print(f"{page.relative_to(ROOT)}: {error}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
