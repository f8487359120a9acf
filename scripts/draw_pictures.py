"""Draws the pictures of the documentation as SVG files, readable on light and dark pages.

python scripts/draw_pictures.py docs/images
"""

import pathlib
import sys
from html import escape

STYLE = """
text { font: 14px system-ui, sans-serif; fill: #1f2430; }
.small { font-size: 12px; fill: #57606a; }
.code { font-family: ui-monospace, monospace; font-size: 13px; }
.panel { fill: #ffffff; stroke: #d0d7de; }
.box { fill: #eef2ff; stroke: #5468d4; }
.data { fill: #fff4e0; stroke: #c98a1b; }
.spare { fill: #f0f1f3; stroke: #8b949e; }
.line { fill: none; stroke: #57606a; stroke-width: 1.5; }
.head { fill: #57606a; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6e9ef; }
  .small { fill: #a8b1bd; }
  .panel { fill: #1b1f27; stroke: #3a424e; }
  .box { fill: #262f55; stroke: #8a9bff; }
  .data { fill: #47350f; stroke: #e0a63a; }
  .spare { fill: #2b313a; stroke: #78828f; }
  .line { stroke: #a8b1bd; }
  .head { fill: #a8b1bd; }
}
"""


class Picture:
    """An SVG picture of boxes, texts and arrows; positions and sizes are in pixels.

    Args:
        width, height: int.
        title: str, what the picture shows, for those who cannot see it.
    """

    def __init__(self, width, height, title):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            '<defs><marker id="head" markerWidth="8" markerHeight="8" refX="7" refY="4" '
            'orient="auto"><path class="head" d="M0,0 L8,4 L0,8 z"/></marker></defs>',
            f'<rect class="panel" x="1" y="1" width="{width - 2}" height="{height - 2}" rx="10"/>',
        ]

    def box(self, x, y, width, height, *lines, kind="box"):
        """A rounded box with lines of text in its middle; the second and later are small."""
        self.parts.append(
            f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>'
        )
        first = y + height / 2 + 5 - 9 * (len(lines) - 1)
        for number, line in enumerate(lines):
            self.text(x + width / 2, first + 18 * number, line, "small" if number else "", "middle")

    def text(self, x, y, text, kind="", anchor="start"):
        """One line of text."""
        self.parts.append(
            f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def arrow(self, *points):
        """A line through points, with a head at the last."""
        path = " ".join(f"{x},{y}" for x, y in points)
        self.parts.append(f'<polyline class="line" points="{path}" marker-end="url(#head)"/>')

    def cells(self, x, y, values, kind="data", width=34, height=26):
        """A row of cells, one value in each."""
        for number, value in enumerate(values):
            left = x + number * width
            self.parts.append(
                f'<rect class="{kind}" x="{left}" y="{y}" width="{width}" height="{height}"/>'
            )
            self.text(left + width / 2, y + height / 2 + 5, str(value), "code", "middle")

    def svg(self):
        """Returns the picture as the text of a file."""
        return "\n".join([*self.parts, "</svg>"]) + "\n"


def model():
    """Dense features through an MLP, ids through tables, the interaction, logits."""
    picture = Picture(
        810, 236, "Dense features go through an MLP, ids through tables; both meet in the "
        "interaction, and a second MLP gives the logits."
    )  # fmt: skip
    picture.box(20, 24, 130, 56, "dense features", "price, age, hour", kind="data")
    picture.box(20, 156, 130, 56, "ids", "user, items seen", kind="data")
    picture.box(190, 24, 150, 56, "MLP", "one vector of width D")
    picture.box(190, 156, 150, 56, "tables", "F vectors of width D")
    picture.box(390, 90, 140, 56, "interaction", "products, crosses")
    picture.box(570, 90, 90, 56, "MLP")
    picture.box(700, 90, 90, 56, "logits", kind="data")
    picture.arrow((150, 52), (186, 52))
    picture.arrow((150, 184), (186, 184))
    picture.arrow((340, 52), (460, 52), (460, 86))
    picture.arrow((340, 184), (460, 184), (460, 150))
    picture.arrow((530, 118), (566, 118))
    picture.arrow((660, 118), (696, 118))
    return picture


BAGS = {"genre": [[3, 1], [], [4]], "user": [[7], [9], [7]]}


def form_dict():
    """A dict of ragged tensors."""
    picture = Picture(560, 170, "A dict: for each feature its bags, one for each example.")
    for column, (name, bags) in enumerate(BAGS.items()):
        left = 30 + 270 * column
        picture.text(left, 32, f'"{name}"', "code")
        for row, bag in enumerate(bags):
            picture.text(left, 66 + 36 * row, f"example {row}", "small")
            picture.cells(left + 80, 48 + 36 * row, bag)
            if not bag:
                picture.text(left + 84, 66 + 36 * row, "empty", "small")
    return picture


def form_packed_ragged():
    """A packed ragged tensor."""
    picture = Picture(560, 170, "Packed: example by example, in each the bags of all features.")
    picture.text(120, 32, '"genre"', "code")
    picture.text(280, 32, '"user"', "code")
    for row in range(3):
        picture.text(30, 66 + 36 * row, f"example {row}", "small")
        for column, bags in enumerate(BAGS.values()):
            picture.cells(120 + 160 * column, 48 + 36 * row, bags[row])
            if not bags[row]:
                picture.text(124 + 160 * column, 66 + 36 * row, "empty", "small")
    return picture


def form_packed_ids():
    """A packed tensor of one id a feature."""
    picture = Picture(560, 170, "One id a feature: a matrix of examples and features.")
    picture.text(157, 32, '"genre"', "code", "middle")
    picture.text(227, 32, '"user"', "code", "middle")
    for row, ids in enumerate([[3, 7], [1, 9], [4, 7]]):
        picture.text(30, 66 + 36 * row, f"example {row}", "small")
        picture.cells(122, 48 + 36 * row, ids, width=70)
    return picture


def form_keyed_jagged_tensor():
    """A KeyedJaggedTensor: values and lengths, key by key."""
    picture = Picture(
        560, 170, "KeyedJaggedTensor: all ids key by key, and the length of each bag."
    )
    picture.text(30, 32, "keys", "small")
    picture.text(120, 32, '"genre"', "code")
    picture.text(300, 32, '"user"', "code")
    picture.text(30, 66, "values", "small")
    picture.text(30, 112, "lengths", "small")
    for left, bags in zip((120, 300), BAGS.values(), strict=True):
        picture.cells(left, 48, [number for bag in bags for number in bag])
        picture.cells(left, 94, [len(bag) for bag in bags], "spare")
    picture.text(120, 148, "one length for each example, key by key", "small")
    return picture


def stack():
    """Tables of one width in one variable, behind row 0."""
    picture = Picture(600, 270, "Two tables in one variable; row 0 belongs to none.")
    rows = [
        ("0", "spare", "row 0 of the variable: no table's; read for empty bags, then masked"),
        ("1", "box", 'table "genre", id 0'),
        ("2", "box", 'table "genre", id 1'),
        ("3", "box", 'table "genre", id 2'),
        ("4", "data", 'table "user", id 0'),
        ("5", "data", 'table "user", id 1'),
        ("6", "data", 'table "user", ids outside it, with id_policy="oov"'),
    ]
    for number, (row, kind, what) in enumerate(rows):
        top = 20 + 33 * number
        picture.text(20, top + 18, row, "code")
        picture.cells(40, top, [" "] * 4, kind, width=24)
        picture.text(152, top + 18, what, "small")
    return picture


def repeated_ids():
    """The gradient of a repeated id is one sum."""
    picture = Picture(690, 214, "The gradients of a row that is looked up twice are summed, then "
                                "the rule is applied to the row once.")  # fmt: skip
    picture.text(20, 30, "ids of the batch", "small")
    picture.text(170, 30, "gradient of each", "small")
    for number, (id_, gradient) in enumerate(zip([3, 5, 3], ["g1", "g2", "g3"], strict=True)):
        top = 42 + 48 * number
        picture.cells(20, top + 4, [id_])
        picture.arrow((54, top + 17), (166, top + 17))
        picture.box(170, top, 70, 34, gradient)
    picture.text(350, 30, "sum of each row", "small")
    picture.box(350, 42, 130, 34, "row 3: g1 + g3")
    picture.box(350, 106, 130, 34, "row 5: g2")
    picture.text(560, 30, "one update a row", "small")
    picture.box(560, 42, 90, 34, "row 3", kind="data")
    picture.box(560, 106, 90, 34, "row 5", kind="data")
    picture.arrow((240, 55), (346, 55))
    picture.arrow((240, 107), (300, 107), (346, 121))
    picture.arrow((240, 155), (290, 155), (346, 68))
    picture.arrow((480, 59), (556, 59))
    picture.arrow((480, 123), (556, 123))
    picture.text(20, 202, "Other rows are neither read nor written.", "small")
    return picture


def export():
    """The signatures of an export share one computation."""
    picture = Picture(700, 300, "Signatures turn requests into bags; one computation ranks them.")
    signatures = [
        "serving_default", "serving_packed", "serving_rows", "serving_examples",
        "serving_candidates", "serving_raw",
    ]  # fmt: skip
    for number, name in enumerate(signatures):
        top = 20 + 44 * number
        picture.box(20, top, 190, 34, name, kind="data")
        picture.arrow((210, top + 17), (256, 147))
    picture.box(260, 112, 140, 70, "checks", "ids, lengths, NaN")
    picture.box(450, 112, 100, 70, "model", "stock ops")
    picture.box(590, 112, 96, 70, "logits", "probabilities", kind="data")
    picture.arrow((400, 147), (446, 147))
    picture.arrow((550, 147), (586, 147))
    picture.box(450, 220, 100, 50, "tables", "one copy", kind="spare")
    picture.arrow((500, 220), (500, 186))
    return picture


PICTURES = {
    "model": model,
    "form_dict": form_dict,
    "form_packed_ragged": form_packed_ragged,
    "form_packed_ids": form_packed_ids,
    "form_keyed_jagged_tensor": form_keyed_jagged_tensor,
    "stack": stack,
    "repeated_ids": repeated_ids,
    "export": export,
}


def drawn():
    """Returns all pictures, a dict from file name to text."""
    return {f"{name}.svg": draw().svg() for name, draw in PICTURES.items()}


def main():
    """Writes the pictures into a directory."""
    directory = pathlib.Path(sys.argv[1])
    for name, text in drawn().items():
        (directory / name).write_text(text)


if __name__ == "__main__":
    main()
