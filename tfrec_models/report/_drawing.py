"""Figures of matplotlib, as files and as parts of a page whose colors are the page's."""

import contextlib
import io
import re

from tfrec_models._files import atomic_path
from tfrec_models._html import COLORS

try:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "tfrec_models.report draws with matplotlib, which is not installed: "
        "pip install 'tfrec_models[report]'."
    ) from error

# As wide as a phone's page, so that letters are not scaled down there. In inches of 72 units.
WIDTH = 4.8
_DPI = 160
INK, MUTED, LINE, PAGE = (COLORS[name][0] for name in ("ink", "muted", "line", "page"))
# One a run.
RUN_COLORS = (COLORS["first"][0], COLORS["second"][0])

_STYLE = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "figure.facecolor": PAGE,
    # Names of features may hold dollar signs.
    "text.parse_math": False,
    # Text stays text, which can be searched and takes the page's letters.
    "svg.fonttype": "none",
}


@contextlib.contextmanager
def drawing():
    """The style of figures that are made, and written, in the block."""
    with matplotlib.rc_context(_STYLE):
        yield


def new_figure(height, rows=1):
    """A figure of one column of axes.

    Args:
        height: number, in inches.
        rows: int, how many axes lie on each other, which share x.
    """
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]


def save_png(figure, path):
    """Writes a figure, whose parts are put in their places; whole or not at all."""
    figure.set_dpi(_DPI)
    with atomic_path(path) as temporary:
        FigureCanvasAgg(figure).print_png(temporary)
    # They stay there when the figure is written again, which computes them again otherwise.
    figure.set_layout_engine("none")


def as_svg(figure, name, description):
    """A figure as an SVG element.

    Args:
        figure: matplotlib figure.
        name: str, distinct in the page: what the element refers to inside is named after it.
        description: str, read to those who do not see it.
    """
    written = io.StringIO()
    # The page has a color of its own behind it.
    figure.patch.set_visible(False)
    with matplotlib.rc_context({"svg.hashsalt": name}):
        FigureCanvasSVG(figure).print_svg(written, metadata={"Date": None})
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\s(xmlns(:\w+)?|version)="[^"]*"', "", svg)
    width, height = (72 * inches for inches in figure.get_size_inches())
    label = description.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    svg = re.sub(
        r"<svg[^>]*>",
        lambda _: f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{label}">',
        svg,
        count=1,
    )
    svg = svg.replace("xlink:href=", "href=")
    svg = re.sub(r'(\sid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    for color, (light, _) in COLORS.items():
        svg = svg.replace(light, f"var(--{color})")
    return svg
