"""Hooks of the site: pages of the repository outside `docs/`, and notebooks as pages.

A link in a page is a path in the repository, so that it works where files are read there. Here it
becomes a path in the site.
"""

import base64
import json
import pathlib
import posixpath
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).parents[1]
# Files of the repository with the same path in the site.
ALSO = ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/*.md", "examples/*.*"]
# An index.md or README.md would become the page of the whole section.
RENAMED = {"benchmarks/README.md": "benchmarks/figures.md"}
LINK = re.compile(r"(!?\[[^\]]*\])\(([^)#\s]+)(#[^)\s]*)?\)")
CELL = re.compile(r"<td.*?</td>", re.DOTALL)
CODE = re.compile(r"(?<=<code>)[^<]+(?=</code>)")
BREAK = re.compile(r"(?<=\w)[._/](?=\w)|(?<=[a-z])(?=[A-Z])")
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


def on_files(files, config):
    """Adds the pages that are not in `docs/`."""
    for pattern in ALSO:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            name = RENAMED.get(name, name)
            files.append(File.generated(config, name, abs_src_path=str(path)))
    for path in sorted((ROOT / "docs").rglob("*.ipynb")):
        name = path.relative_to(ROOT / "docs").with_suffix("").as_posix()
        markdown, images = notebook_page(path)
        files.append(File.generated(config, f"{name}.md", content=markdown))
        for image, content in images.items():
            file = f"{posixpath.dirname(name)}/{image}"
            files.append(File.generated(config, file, content=content))
    return files


def on_page_markdown(markdown, page, config, files):
    """Turns links between files of the repository into links between pages."""
    pieces, end = [], 0
    for fence in FENCE.finditer(markdown):
        pieces += [_with_links(markdown[end : fence.start()], page, files), fence.group()]
        end = fence.end()
    return "".join([*pieces, _with_links(markdown[end:], page, files)])


def on_page_content(html, page, config, files):
    """Lets long names in tables break between their parts, for narrow screens."""
    return CELL.sub(
        lambda cell: CODE.sub(lambda code: BREAK.sub(r"\g<0><wbr>", code.group()), cell.group()),
        html,
    )


def _with_links(text, page, files):
    here = page.file.src_uri
    in_repository = here if (ROOT / here).is_file() or here in RENAMED.values() else f"docs/{here}"

    def replaced(match):
        label, target, anchor = match.groups()
        if "://" in target or target.startswith("mailto:"):
            return match.group()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(in_repository), target))
        site = RENAMED.get(path, path.removeprefix("docs/"))
        if site.endswith(".ipynb"):
            site = f"{site.removesuffix('.ipynb')}.md"
        if files.get_file_from_path(site) is None:
            if path == "README.md":
                site = "index.md"
            else:
                return match.group()
        return f"{label}({posixpath.relpath(site, posixpath.dirname(here) or '.')}{anchor or ''})"

    return LINK.sub(replaced, text)


def notebook_page(path):
    """Returns a notebook as Markdown, and its plots, a dict from file name to content."""
    notebook = json.loads(path.read_text())
    parts, images = [], {}
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            text = "".join(output.get("text", data.get("text/plain", [])))
            if "image/png" in data:
                name = f"{path.stem}_{len(images) + 1}.png"
                images[name] = base64.b64decode("".join(data["image/png"]))
                parts.append(f"![Plot]({name})")
            elif text:
                parts.append(f"```text\n{text.rstrip()}\n```")
    parts.append(
        f"This page is the notebook `docs/tutorials/{path.name}` of the repository; run it with "
        "Jupyter after `pip install '.[docs]'`."
    )
    return "\n\n".join(parts) + "\n", images
