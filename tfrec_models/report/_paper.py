"""What the sections of a page are written with."""

import html
import numbers
import re
from typing import Any

from tfrec_models import _html
from tfrec_models.report._drawing import as_svg, save_png


class Paper:
    """Runs to write about, and a folder for the figures.

    Args:
        runs: list of one or two `Run`.
        found: list of `Features`, one a run.
        folder: path of an existing folder.
    """

    def __init__(self, runs, found, folder):
        self.runs, self.found = runs, found
        self._folder = folder
        self.names = [run.name for run in runs]
        self.titles = self.names if len(runs) > 1 else ["value"]

    def series(self, values):
        """(number, name, value) of each run that has one.

        Args:
            values: list, one a run; None where there is none.
        """
        named = enumerate(zip(self.names, values, strict=True))
        return [(number, name, value) for number, (name, value) in named if value is not None]

    def figure(self, name, figure, title, caption=""):
        """A figure for the page, which is written as a file of that name too."""
        save_png(figure, self._folder / f"{name}.png")
        return _html.figure(as_svg(figure, name, title), caption)

    def each(self, series, content):
        """What belongs to each run, beside that of the other.

        Args:
            series: as `series` gives.
            content: function of a run's number and value that gives pieces of HTML.
        """
        if len(self.runs) == 1:
            [(number, _, value)] = series
            return _html.group("side", content(number, value))
        columns = [
            "\n".join([f"<h3>{html.escape(name)}</h3>", *content(number, value)])
            for number, name, value in series
        ]
        return _html.group("side", [f"<div>{column}</div>" for column in columns])


def nothing(words):
    """What a section says that has nothing to show."""
    return [_html.paragraph(words, "muted")]


def slug(title: str) -> str:
    """A title as a name of files and places."""
    return re.sub(r"\W+", "_", title).lower()


def is_number(value: Any) -> bool:
    """Whether a value is a number."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
