"""Checks a built site: every public name is in the reference, and nothing is from the network.

mkdocs build --strict && python scripts/check_site.py site
"""

import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).parents[1]
# What a browser fetches by itself, not the links that a reader follows.
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=["']?(?:https?:)?//[^"'\s>]+"""
    r"""|<link\b(?![^>]*rel=["']?canonical)[^>]*\bhref=["']?(?:https?:)?//[^"'\s>]+"""
    r"""|@import\s+(?:url\()?["']?(?:https?:)?//[^"')\s]+|url\(["']?(?:https?:)?//[^"')\s]+"""
)


def faults(site):
    """Returns what is wrong with a site, one line each."""
    for page in sorted(site.rglob("*.html")) + sorted(site.rglob("*.css")):
        for fetched in FETCHED.findall(page.read_text()):
            yield f"{page.relative_to(site)} fetches {fetched}"
    manifest = json.loads((ROOT / "tests" / "public_api.json").read_text())
    for package, names in manifest.items():
        page = package.removeprefix("tfrec_models").removeprefix(".") or "index"
        text = (site / "reference" / f"{page}.html").read_text()
        for name in names:
            anchors = (
                rf'id="{re.escape(package)}\.{name}"|href="[^"]*#tfrec_models\.[\w.]*\.{name}"'
            )
            # A plain value is named; it has no docstring of its own.
            if not re.search(anchors, text) and f"<code>{package}.{name}</code>" not in text:
                yield f"reference/{page}.html lacks {package}.{name}"


def main():
    """Prints the faults; exits with 1 if there are any."""
    found = list(faults(pathlib.Path(sys.argv[1])))
    print("\n".join(found) or "Every public name is in the reference; nothing is fetched.")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
