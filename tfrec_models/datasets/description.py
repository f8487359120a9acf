"""What a look at a log found."""

import dataclasses
import os

from tfrec_models._files import atomic_path
from tfrec_models.datasets._description_page import page
from tfrec_models.datasets._description_text import text


@dataclasses.dataclass(frozen=True)
class Description:
    """What `describe` found in a log, as plain data; `str` of it is a report.

    Shares are of 0 to 1. What is not known is None.

    Args:
        rows: int.
        label: dict or None: name, missing (share), min, mean (the label rate), median, max.
        dense: list of dict, one a dense column as it is in the log: name, missing and zeros
            (shares), min, mean, median, max, histogram.
        sparse: list of dict, one a sparse feature: name, missing (share of rows), missing_values
            (share of nulls in lists), values, distinct, once (share of the distinct values that
            are seen once), most_frequent (share of the values), curve (ranks and counts), bags
            (lengths of lists before they are cut: mean, median, p95, max, shares empty and cut).
        tables: list of dict, one a table: name, features, rows, distinct (values of all its
            features), alone (share of the distinct values that share their id with no other,
            where they are hashed), bytes.
        embedding_dim: int, for which the bytes are.
        notes: list of str, what `read` will refuse as the schema is.

    Example:

    >>> import pyarrow as pa
    >>> from tfrec_models.datasets import Schema, Sparse, describe
    >>> log = pa.table({"clicked": [1, 0, 0, 0], "item": ["a", "a", "b", None]})
    >>> schema = Schema("clicked", sparse=[Sparse("item", ids="vocabulary")])
    >>> found = describe(log, schema, progress=False)
    >>> found.label["mean"], found.sparse[0]["distinct"], found.sparse[0]["once"]
    (0.25, 2, 0.5)
    >>> found.notes
    ["sparse feature 'item' has nulls in 25.0% of its rows and no `missing`."]
    """

    rows: int
    label: dict | None
    dense: list[dict]
    sparse: list[dict]
    tables: list[dict]
    embedding_dim: int
    notes: list[str]

    def __str__(self):
        return text(self)

    def to_html(self) -> str:
        """One page with plots, that needs nothing beside it."""
        return page(self)

    def save_html(self, path: str | os.PathLike):
        """Writes the page; whole or not at all."""
        with atomic_path(path) as pending:
            pending.write_text(self.to_html(), encoding="utf-8")
