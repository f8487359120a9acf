"""Tables in memory as blocks of rows."""

import sys

import pyarrow as pa

from tfrec_models.datasets._columns import Block
from tfrec_models.datasets._names import check_columns
from tfrec_models.datasets._packed import splits_of
from tfrec_models.datasets._parquet import Unit

_BLOCK_ROWS = 32768


class TableSource:
    """An Arrow, pandas or polars table, or what else gives an Arrow stream.

    Args:
        table: the table.
        columns: list of str, those to read.

    Raises:
        ValueError: if it lacks a column.
    """

    def __init__(self, table, columns):
        self._name = f"the {type(table).__module__.partition('.')[0]} {type(table).__name__}"
        if hasattr(table, "columns") and not isinstance(table, pa.Table | pa.RecordBatch):
            check_columns(self._name, columns, list(table.columns))
            # Other columns may hold what Arrow has no type for.
            table = table[columns]
        else:
            table = as_arrow(table)
            check_columns(self._name, columns, table.column_names)
            table = table.select(columns)
        table = as_arrow(table)
        if table.num_columns != len(table.schema.names):
            raise ValueError(f"{self._name} has columns of the same name.")
        self.types = {field.name: field.type for field in table.schema}
        self._batches = table.to_batches(_BLOCK_ROWS)
        self._first_rows = splits_of([batch.num_rows for batch in self._batches])

    def units(self):
        """Pieces of the table."""
        return [Unit(i, batch.num_rows) for i, batch in enumerate(self._batches)]

    def blocks(self, unit):
        """Yields the block of a piece."""
        yield Block(self._batches[unit.number], self._name, int(self._first_rows[unit.number]))


def is_table(source):
    """Whether a source is a table in memory, rather than paths."""
    return isinstance(source, pa.Table | pa.RecordBatch) or hasattr(source, "__arrow_c_stream__")


def as_arrow(table):
    """A `pa.Table` of any kind of table."""
    if isinstance(table, pa.Table):
        return table
    if isinstance(table, pa.RecordBatch):
        return pa.Table.from_batches([table])
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(table, pandas.DataFrame):
        return pa.Table.from_pandas(table, preserve_index=False)
    return pa.table(table)
