"""A description of a log as one HTML page, its plots drawn in it."""

import math

from tfrec_models import _html
from tfrec_models.datasets import _description_text as _text

_WIDTH, _HEIGHT = 220, 90
# Around a curve, so that it is whole at its ends.
_EDGE = 4


def page(found):
    """The page of a `Description`."""
    body = [_html.paragraph(line) for line in _text.head(found).splitlines()]
    body += [_html.paragraph(note, "note") for note in found.notes]
    if found.dense:
        drawn = [_histogram(column) for column in found.dense if column["histogram"]]
        body += ["<h2>Dense columns</h2>", _table(_text.DENSE, found.dense)]
        body.append(_html.group("small", drawn))
    if found.sparse:
        drawn = [_curve(column) for column in found.sparse if column["curve"]]
        body += ["<h2>Sparse features</h2>", _table(_text.SPARSE, found.sparse)]
        body.append(
            _html.paragraph(
                "How often each value is seen, the most frequent first; ranks across and counts "
                "up are both logarithmic:"
            )
        )
        body.append(_html.group("small", drawn))
    bags = _text.bags_of(found)
    if bags:
        body += ["<h2>Lengths of bags</h2>", _table(_text.BAGS, bags)]
        body.append(_html.group("small", [_lengths(column) for column in bags]))
    if found.tables:
        body += ["<h2>Tables</h2>", _table(*_text.tables_of(found))]
    return _html.page("A look at the log", body)


def _table(columns, rows):
    titles = [title for _, title, _ in columns]
    return _html.table(titles, [_text.cells(columns, row) for row in rows])


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
    across = (_WIDTH - 2 * _EDGE) / math.log(max(ranks[-1], 2))
    up = (_HEIGHT - 2 * _EDGE) / math.log(max(counts[0], 2))
    points = " ".join(
        f"{_EDGE + across * math.log(rank):.1f},{_HEIGHT - _EDGE - up * math.log(count):.1f}"
        for rank, count in column["curve"]
    )
    line = f'<polyline points="{points}" fill="none" stroke="var(--first)" stroke-width="2"/>'
    return _figure(line, f"{column['name']}: ranks 1 to {ranks[-1]:,}, counts 1 to {counts[0]:,}")


def _bars(counts):
    width, most = _WIDTH / len(counts), max(*counts, 1)
    return "".join(
        f'<rect x="{i * width:.1f}" y="{_HEIGHT * (1 - count / most):.1f}" '
        f'width="{width * 0.9:.1f}" height="{_HEIGHT * count / most:.1f}" fill="var(--first)"/>'
        for i, count in enumerate(counts)
        if count
    )


def _figure(drawing, caption):
    svg = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{drawing}</svg>'
    return _html.figure(svg, caption)
