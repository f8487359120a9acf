"""Columns that are not there."""

from tfrec_models._checks.names import nearest


def check_columns(source, wanted, there):
    """Raises ValueError unless all wanted columns are there, each once."""
    there = list(there)
    for name in wanted:
        if name not in there:
            raise ValueError(f"{source} has no column {name!r}{nearest(name, there)}")
        if there.count(name) > 1:
            raise ValueError(
                f"{source} has {there.count(name)} columns of the name {name!r}; give each a name "
                "of its own."
            )
