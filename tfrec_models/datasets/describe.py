"""A look at a log before a model is trained on it."""

from typing import Any

import numpy as np

from tfrec_models._checks.arguments import check_positive
from tfrec_models.datasets._encode import resolved
from tfrec_models.datasets._look import NumbersLook, SparseLook, share, sorted_counts
from tfrec_models.datasets._progress import Progress
from tfrec_models.datasets._sources import check_schema_type, open_source
from tfrec_models.datasets._threads import ahead
from tfrec_models.datasets._value_counts import ValueCounts
from tfrec_models.datasets.description import Description
from tfrec_models.datasets.schema import Schema

_FLOAT_BYTES = 4


def describe(
    source: Any,
    schema: Schema,
    embedding_dim: int = 16,
    *,
    progress: bool = True,
    format: str | None = None,
    delimiter: str | None = None,
    filesystem: Any = None,
) -> Description:
    """Finds what a person checks first in a log: rates, gaps, ids, bags, sizes of tables.

    One pass in the memory of the distinct values (16 bytes each). The schema need not be fitted;
    what it declares for missing values, longest bags and the like cuts nothing out, so that what
    is there is seen. Values are distinguished by their 64-bit fingerprints.

    Args:
        source: files or a table, as for `read`.
        schema: `Schema`.
        embedding_dim: int, columns of each table, for its memory in float32.
        progress: bool, whether to show rows and rows per second on stderr.
        format: str or None, as for `read`.
        delimiter: str or None, as for `read`.
        filesystem: as for `read`.

    Returns:
        `Description`.

    Raises:
        FileNotFoundError, ValueError: as `read`, on files that cannot be read and columns of
            another type than declared.

    Example:

    >>> import pyarrow as pa
    >>> from tfrec_models.datasets import Dense, Schema, Sparse, describe
    >>> log = pa.table({"y": [1, 0], "x": [2.0, None], "seen": [["a", "b"], []]})
    >>> schema = Schema("y", [Dense("x")], [Sparse("seen", ids="hash", num_ids=1000)])
    >>> print(describe(log, schema, progress=False))
    2 rows
    label 'y': mean 0.5, min 0, max 1, missing 0.0%
    <BLANKLINE>
    dense  missing  min  mean  median  max  zeros
    x        50.0%    2     2       2    2   0.0%
    <BLANKLINE>
    sparse  missing  values  distinct  seen once  most frequent
    seen       0.0%       2         2     100.0%          50.0%
    <BLANKLINE>
    bags  mean  median  95%  max  empty   cut
    seen     1       0    2    2  50.0%  0.0%
    <BLANKLINE>
    table   rows  distinct  an id alone  MB at dim 16
    seen   1,000         2       100.0%          0.06
    all                                          0.06
    <BLANKLINE>
    note: dense column 'x' has no number in 50.0% of its rows and no `fill`.
    """
    check_schema_type(schema)
    check_positive("embedding_dim", embedding_dim)
    columns = [name for name in schema.columns if name not in _weights(schema)]
    opened = open_source(source, schema, columns, format, delimiter, filesystem)
    label = None if schema.label is None else NumbersLook(schema.label)
    dense = [NumbersLook(column.name) for column in schema.dense]
    sparse = [SparseLook(schema, column) for column in resolved(schema, opened.types)]
    looks: list[Any] = [*([label] if label else []), *dense, *sparse]
    units = opened.units()
    known = None if any(u.num_rows is None for u in units) else sum(u.num_rows for u in units)
    shown, rows = Progress("describe", known, progress), 0
    for block in ahead(block for unit in units for block in opened.blocks(unit)):
        for look in looks:
            look.add(block)
        rows += block.batch.num_rows
        shown.add(block.batch.num_rows)
    shown.end()
    label = label.result() if label else None
    found = [look.result() for look in dense], [look.result() for look in sparse]
    counts = dict(zip([column.name for column in schema.sparse], sparse, strict=True))
    tables = [
        _table(schema, name, [counts[feature].counts for feature in features], embedding_dim)
        for name, features in schema.tables().items()
    ]
    return Description(rows, label, *found, tables, embedding_dim, _notes(schema, label, *found))


def _weights(schema):
    """Columns of weights that are nothing else."""
    others = [schema.label, *(column.name for column in (*schema.dense, *schema.sparse))]
    return {column.weights for column in schema.sparse} - set(others)


def _table(schema, name, of_features, embedding_dim):
    column = schema.sparse_column(name)
    counts = of_features[0]
    if len(of_features) > 1:
        counts = ValueCounts()
        for part in of_features:
            counts.merge(part)
    counts = counts.table()
    rows = _rows(schema, column, counts)
    alone = None
    if counts is not None and (column.ids == "hash" or column.cross):
        ids = counts["value"].to_numpy().view(np.uint64) % np.uint64(rows)
        alone = share(int(np.count_nonzero(np.unique(ids, return_counts=True)[1] == 1)), len(ids))
    return {
        "name": name,
        "features": schema.tables()[name],
        "rows": rows,
        "distinct": 0 if counts is None else len(counts),
        "alone": alone,
        "bytes": rows * embedding_dim * _FLOAT_BYTES,
    }


def _rows(schema, column, counts):
    """Rows of a table, or what `fit` would make of this log."""
    try:
        return schema.num_ids(column.name)
    except ValueError:
        pass
    if counts is None:
        return 1
    if column.ids == "integer":
        return int(counts["value"].to_numpy().max()) + 1
    return 1 + int(np.count_nonzero(sorted_counts(counts) >= column.min_count))


def _notes(schema, label, dense, sparse):
    notes = []
    if label is not None and label["missing"]:
        notes.append(f"label {label['name']!r} is missing in {label['missing']:.1%} of the rows.")
    for column, found in zip(schema.dense, dense, strict=True):
        if found["missing"] and column.fill is None:
            notes.append(
                f"dense column {column.name!r} has no number in {found['missing']:.1%} of its "
                "rows and no `fill`."
            )
        if found["infinite"] and column.transform != "clip":
            notes.append(
                f"dense column {column.name!r} has an infinite number in {found['infinite']:.1%} "
                "of its rows."
            )
        least = found["min"]
        if column.transform == "log" and least is not None and least + column.offset <= 0:
            notes.append(
                f"dense column {column.name!r} holds {least:g}, whose log(x + {column.offset:g}) "
                "is not defined."
            )
    for column, found in zip(schema.sparse, sparse, strict=True):
        for what, nulls in (("rows", found["missing"]), ("values", found["missing_values"])):
            if nulls and column.missing is None:
                notes.append(
                    f"sparse feature {column.name!r} has nulls in {nulls:.1%} of its {what} and no "
                    "`missing`."
                )
    return notes
