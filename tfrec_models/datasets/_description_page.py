"""A description of a log as one HTML page, its plots drawn in it."""

import html
import math

from tfrec_models.datasets import _description_text as _text

_WIDTH, _HEIGHT = 220, 90
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>A look at the log</title>
<style>
body {{ font: 14px/1.4 sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; }}
table {{ border-collapse: collapse; margin: 1em 0; }}
th, td {{ padding: 0.15em 0.8em; text-align: right; border-bottom: 1px solid #ccc; }}
th:first-child, td:first-child {{ text-align: left; }}
figure {{ display: inline-block; margin: 0.5em; vertical-align: top; }}
figcaption {{ font-size: 12px; max-width: {width}px; }}
svg {{ background: #f4f4f4; }}
rect {{ fill: #2a6f97; }}
polyline {{ fill: none; stroke: #2a6f97; stroke-width: 2; }}
.note {{ color: #a33; }}
</style>
</head>
<body>
<h1>A look at the log</h1>
{body}
</body>
</html>
"""


def page(found):
    """The page of a `Description`."""
    body = [_paragraph(line) for line in _text.head(found).splitlines()]
    body += [f'<p class="note">{html.escape(note)}</p>' for note in found.notes]
    if found.dense:
        body += ["<h2>Dense columns</h2>", _table(_text.DENSE, found.dense)]
        body += [_histogram(column) for column in found.dense if column["histogram"]]
    if found.sparse:
        body += ["<h2>Sparse features</h2>", _table(_text.SPARSE, found.sparse)]
        body.append(_paragraph("How often each value is seen, the most frequent first:"))
        body += [_curve(column) for column in found.sparse if column["curve"]]
    bags = _text.bags_of(found)
    if bags:
        body += ["<h2>Lengths of bags</h2>", _table(_text.BAGS, bags)]
        body += [_lengths(column) for column in bags]
    if found.tables:
        columns, rows = _text.tables_of(found)
        body += ["<h2>Tables</h2>", _table(columns, rows)]
    return _PAGE.format(width=_WIDTH, body="\n".join(body))


def _paragraph(words):
    return f"<p>{html.escape(words)}</p>"


def _table(columns, rows):
    titles = "".join(f"<th>{html.escape(title)}</th>" for _, title, _ in columns)
    lines = [
        "".join(f"<td>{html.escape(cell)}</td>" for cell in _text.cells(columns, row))
        for row in rows
    ]
    return "<table>\n" + "\n".join(f"<tr>{line}</tr>" for line in [titles, *lines]) + "\n</table>"


def _histogram(column):
    histogram = column["histogram"]
    ends = f"{_text.number(histogram['low'])} to {_text.number(histogram['high'])}"
    return _figure(_bars(histogram["counts"]), f"{column['name']}: {ends}, the middle 99%")


def _lengths(column):
    counts = column["histogram"]
    return _figure(
        _bars(counts), f"{column['name']}: 0 to {len(counts) - 2} ids, the last bar more"
    )


def _curve(column):
    ranks, counts = zip(*column["curve"], strict=True)
    across, up = math.log(max(ranks[-1], 2)), math.log(max(counts[0], 2))
    points = " ".join(
        f"{_WIDTH * math.log(rank) / across:.1f},{_HEIGHT * (1 - math.log(count) / up):.1f}"
        for rank, count in column["curve"]
    )
    caption = (
        f"{column['name']}: ranks 1 to {ranks[-1]:,} across, counts 1 to {counts[0]:,} up, both "
        "logarithmic"
    )
    return _figure(f'<polyline points="{points}"/>', caption)


def _bars(counts):
    width, most = _WIDTH / len(counts), max(*counts, 1)
    return "".join(
        f'<rect x="{i * width:.1f}" y="{_HEIGHT * (1 - count / most):.1f}" '
        f'width="{width * 0.9:.1f}" height="{_HEIGHT * count / most:.1f}"/>'
        for i, count in enumerate(counts)
        if count
    )


def _figure(drawing, caption):
    return (
        f'<figure><svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'role="img">{drawing}</svg><figcaption>{html.escape(caption)}</figcaption></figure>'
    )
