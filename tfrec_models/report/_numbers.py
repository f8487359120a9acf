"""Tables of numbers."""

from tfrec_models import _html


def decile_table(groups):
    """Groups of rows as `_curves.reliability` gives."""
    titles = ["decile", "rows", "mean score", "label 1", "score / label"]
    rows = [
        [
            str(number),
            f"{group['rows']:,}",
            f"{group['score']:.4f}",
            f"{group['rate']:.4f}",
            f"{group['score'] / group['rate']:.3f}" if group["rate"] else "",
        ]
        for number, group in enumerate(groups, 1)
    ]
    return _html.table(titles, rows)


def table_of_tables(tables):
    """Embedding tables as `_features.tables_of` gives, and their sum."""
    shared = any(table["features"] != [table["name"]] for table in tables)
    rows = [
        [
            table["name"],
            f"{table['rows']:,}",
            f"{table['dim']:,}" if "dim" in table else "",
            _size(table["bytes"]) if "bytes" in table else "",
            ", ".join(table["features"]),
        ]
        for table in tables
    ]
    sizes = [table["bytes"] for table in tables if "bytes" in table]
    total = _size(sum(sizes)) if sizes else ""
    rows.append(["all", f"{sum(table['rows'] for table in tables):,}", "", total, ""])
    columns = 5 if shared else 4
    titles = ["table", "rows", "dim", "memory", "features"]
    return _html.table(titles[:columns], [row[:columns] for row in rows])


def id_table(features):
    """Ids of features as `_features.id_counts` gives."""
    titles = ["feature", "rows", "distinct", "top id", "unknown", "empty", "length"]
    rows = [
        [
            feature["name"],
            f"{feature['table_rows']:,}",
            f"{feature['distinct']:,}",
            f"{feature['tops'][0]:.1%}",
            "" if feature["unknown"] is None else f"{feature['unknown']:.1%}",
            f"{feature['empty']:.1%}",
            f"{feature['mean_length']:.2f}",
        ]
        for feature in features
    ]
    return _html.table(titles, rows)


def drop_table(series):
    """Drops of one or two runs, as `_features.importance` gives, the largest first."""
    found: dict[tuple, dict] = {}
    for number, _, drops in series:
        for drop in drops:
            told = f"{drop['drop']:.4f} ± {drop['error']:.4f}"
            found.setdefault((drop["kind"], drop["name"]), {"most": drop["drop"]})[number] = told
    rows = [
        [name, kind, *(told.get(number, "") for number, _, _ in series)]
        for (kind, name), told in sorted(found.items(), key=lambda item: -item[1]["most"])
    ]
    runs = [name for _, name, _ in series] if len(series) > 1 else ["drop ± standard error"]
    return _html.table(["feature", "kind", *runs], rows)


def _size(size):
    for unit in ("B", "kB", "MB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"
