"""Pages of HTML that need nothing beside them: one style, for paper, screens and phones.

Colors are CSS variables, light or dark as the reader's system is set. Drawings use them too, as
`var(--name)`.
"""

import html

# What a drawing may use, as (light, dark). Light ones are distinct, so that a drawing made in them
# can be given variables in their place.
COLORS = {
    "page": ("#ffffff", "#15181d"),
    "panel": ("#f5f6f8", "#1d2127"),
    "ink": ("#1b1f24", "#e4e7eb"),
    "muted": ("#59626e", "#9ba4b0"),
    "line": ("#d5d9df", "#363d47"),
    "first": ("#1864ab", "#6cb2f5"),
    "second": ("#b8500f", "#f2a065"),
    "worry": ("#a4262c", "#ff9a94"),
}

_STYLE = """
body { --gap: 0.7rem; font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  background: var(--page); color: var(--ink); margin: 0 auto; max-width: 70rem;
  padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 0.5rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 0.5rem; padding-top: 0.7rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.2rem 0 0.3rem; }
h1, h2, h3, p, figcaption { overflow-wrap: anywhere; }
p { margin: 0.4rem 0; max-width: 50rem; }
a { color: var(--first); }
nav { display: flex; flex-wrap: wrap; gap: 0.2rem 1rem; margin: 1rem 0; }
.note { color: var(--worry); }
.muted, figcaption { color: var(--muted); }
.first { color: var(--first); font-weight: 600; }
.second { color: var(--second); font-weight: 600; }
/* A shadow at the side where a table continues. */
.scroll { overflow-x: auto; margin: 0.7rem 0; background:
  linear-gradient(90deg, var(--page) 40%, transparent) left / 2rem 100% no-repeat local,
  linear-gradient(-90deg, var(--page) 40%, transparent) right / 2rem 100% no-repeat local,
  linear-gradient(90deg, var(--line), transparent) left / 0.7rem 100% no-repeat scroll,
  linear-gradient(-90deg, var(--line), transparent) right / 0.7rem 100% no-repeat scroll; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem var(--gap); text-align: right; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th { color: var(--muted); font-weight: 600; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
.words { width: 100%; table-layout: fixed; }
.words th, .words td { text-align: left; overflow-wrap: anywhere; }
tr.marked td { background: var(--panel); font-weight: 600; }
tr.marked td:first-child { box-shadow: -4px 0 var(--second); }
.side { --gap: 0.5rem; display: grid; gap: 0.5rem 2rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.small { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 10rem), 1fr)); }
figure { margin: 0.5rem 0; }
figcaption { font-size: 0.87rem; line-height: 1.4; }
svg { display: block; width: 100%; height: auto; max-width: 36rem; }
svg text { font-family: inherit !important; }
.small figure { margin: 0; }
.small svg { background: var(--panel); border-radius: 4px; margin-bottom: 0.2rem; }
@media (max-width: 40rem) {
  body { padding: 1rem 1rem 2rem; }
  table { font-size: 0.8rem; }
  body, .side { --gap: 0.3rem; }
  td:first-child { overflow-wrap: anywhere; min-width: 2.6rem; }
}
@media print { body { max-width: none; } figure, tr { break-inside: avoid; } }
"""


def page(title, body):
    """A whole page of a title and pieces of HTML."""
    light, dark = (
        " ".join(f"--{name}: {both[i]};" for name, both in COLORS.items()) for i in (0, 1)
    )
    title = html.escape(title)
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title>",
            f"<style>\n:root {{ color-scheme: light dark; {light} }}",
            f"@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}{_STYLE}</style>",
            "</head>",
            "<body>",
            f"<h1>{title}</h1>",
            *body,
            "</body>",
            "</html>",
            "",
        ]
    )


def paragraph(words, kind=None):
    """A paragraph; a kind is "note", what a reader has to know, "muted", "first" or "second"."""
    return f"<p{_kind(kind)}>{html.escape(words)}</p>"


def table(titles, rows, kind=None, marked=()):
    """A table of strings, the first column left and the others right.

    Args:
        titles: list of str.
        rows: list of lists of str.
        kind: "words", for columns of equal width whose text is broken to fit; else a table wider
            than the page is scrolled.
        marked: numbers of the rows that stand out.
    """
    head = "".join(f"<th>{html.escape(title)}</th>" for title in titles)
    lines = [f"<tr>{head}</tr>"]
    for number, row in enumerate(rows):
        cells = "".join(f"<td>{_breaking(html.escape(cell))}</td>" for cell in row)
        lines.append(f"<tr{_kind('marked' if number in marked else None)}>{cells}</tr>")
    inner = "\n".join(lines)
    return f'<div class="scroll"><table{_kind(kind)}>\n{inner}\n</table></div>'


def figure(drawing, caption):
    """An SVG element and what it shows."""
    return f"<figure>{drawing}<figcaption>{html.escape(caption)}</figcaption></figure>"


def group(kind, pieces):
    """Pieces beside each other where there is space: "side", or "small" ones, on a phone too."""
    return f'<div class="{kind}">\n' + "\n".join(pieces) + "\n</div>"


def _breaking(text):
    """Where a name may continue in the next line."""
    return text.replace("_", "_<wbr>")


def _kind(kind):
    return "" if kind is None else f' class="{kind}"'
