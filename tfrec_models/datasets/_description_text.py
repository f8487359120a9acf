"""A description of a log as text."""


def text(found):
    """The report of a `Description`."""
    parts = [head(found)]
    if found.dense:
        parts.append(_table(DENSE, found.dense))
    if found.sparse:
        parts.append(_table(SPARSE, found.sparse))
        if bags := bags_of(found):
            parts.append(_table(BAGS, bags))
        parts.append(_table(*tables_of(found)))
    if found.notes:
        parts.append("\n".join(f"note: {note}" for note in found.notes))
    return "\n\n".join(parts)


def head(found):
    """Rows, and what the label is."""
    lines = f"{found.rows:,} rows"
    if found.label is not None:
        label = found.label
        lines += (
            f"\nlabel {label['name']!r}: mean {number(label['mean'])}, min {number(label['min'])}, "
            f"max {number(label['max'])}, missing {percent(label['missing'])}"
        )
    return lines


def number(value):
    """A number in four digits."""
    return "" if value is None else f"{value:.4g}"


def count(value):
    """An integer with its thousands apart."""
    return "" if value is None else f"{value:,}"


def percent(value):
    """A share."""
    return "" if value is None else f"{value:.1%}"


def megabytes(value):
    """Bytes in millions."""
    return f"{value / 1e6:,.2f}"


# Of each table: the name of the field, the column's title, how it is shown.
DENSE = (
    ("name", "dense", str),
    ("missing", "missing", percent),
    ("min", "min", number),
    ("mean", "mean", number),
    ("median", "median", number),
    ("max", "max", number),
    ("zeros", "zeros", percent),
)
SPARSE = (
    ("name", "sparse", str),
    ("missing", "missing", percent),
    ("values", "values", count),
    ("distinct", "distinct", count),
    ("once", "seen once", percent),
    ("most_frequent", "most frequent", percent),
)
BAGS = (
    ("name", "bags", str),
    ("mean", "mean", number),
    ("median", "median", count),
    ("p95", "95%", count),
    ("max", "max", count),
    ("empty", "empty", percent),
    ("cut", "cut", percent),
)


def bags_of(found):
    """What is known about the lengths of bags, with the names of their features."""
    return [{"name": column["name"], **column["bags"]} for column in found.sparse if column["bags"]]


def tables_of(found):
    """The columns of the table of tables, and its rows, the last of which is their sum."""
    columns = (
        ("name", "table", str),
        ("rows", "rows", count),
        ("distinct", "distinct", count),
        ("alone", "an id alone", percent),
        ("bytes", f"MB at dim {found.embedding_dim}", megabytes),
    )
    return columns, [
        *found.tables,
        {"name": "all", "bytes": sum(table["bytes"] for table in found.tables)},
    ]


def cells(columns, row):
    """What a row shows in each column."""
    return [show(row[field]) if field in row else "" for field, _, show in columns]


def _table(columns, rows):
    lines = [[title for _, title, _ in columns], *(cells(columns, row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
