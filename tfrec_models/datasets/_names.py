"""Columns that are not there."""

from tfrec_models._checks.names import nearest


def check_columns(source, wanted, there):
    """Raises ValueError unless all wanted columns are there."""
    for name in wanted:
        if name not in there:
            raise ValueError(f"{source} has no column {name!r}{nearest(name, there)}")
