"""Prepared logs: columns of ready numbers and ids, and the schema that reads them as they are."""

import dataclasses

import numpy as np
import pyarrow as pa

from tfrec_models.datasets._packed import splits_of
from tfrec_models.datasets.dense import Dense
from tfrec_models.datasets.sparse import Sparse

_DTYPES = {pa.int32(): np.int32, pa.int64(): np.int64, pa.float32(): np.float32}


def prepared_schema(schema):
    """See `Schema.prepared`."""
    taken = [column.name for column in schema.sparse]
    label = None if schema.label is None else _free(schema.label, taken)
    dense = [Dense(_free(column.name, taken)) for column in schema.dense]
    sparse = [_prepared(schema, column, taken) for column in schema.sparse]
    return type(schema)(label, dense, sparse)


def _free(name, taken):
    while name in taken:
        name += "_"
    taken.append(name)
    return name


def _prepared(schema, column, taken):
    # Where the type of a log's column decides, that of the prepared one does.
    is_list = True if column.missing == "drop" and not column.is_list else column.is_list
    table = {"like": column.like}
    if not column.like:
        table = {"ids": "integer", "num_ids": schema.num_ids(column.name)}
    # Columns that share weights may keep different ids, so each has its own.
    weights = _free(f"{column.name}.weights", taken) if column.weights else None
    return Sparse(column.name, is_list=is_list, weights=weights, **table)


@dataclasses.dataclass
class PreparedLayout:
    """Makes record batches of a prepared log.

    Args:
        schema: `Schema` of the source.
        encoder: `Encoder` of the source.
    """

    schema: object
    encoder: object

    def __post_init__(self):
        prepared = prepared_schema(self.schema)
        fields = [] if prepared.label is None else [pa.field(prepared.label, pa.float32())]
        fields += [pa.field(column.name, pa.float32()) for column in prepared.dense]
        for name, has_list in zip(
            prepared.sparse_feature_names, self.encoder.has_lists, strict=True
        ):
            column = prepared.sparse_column(name)
            ids = pa.int32() if prepared.num_ids(name) <= 2**31 else pa.int64()
            for of_column, kind in ((name, ids), (column.weights, pa.float32())):
                if of_column:
                    fields.append(pa.field(of_column, pa.list_(kind) if has_list else kind))
        self.arrow_schema = pa.schema(fields)

    def batch(self, block):
        """The rows of a block, as `arrow_schema` says.

        Raises:
            RowError: on a row that is not as the source's schema declares.
        """
        labels = self.encoder.labels(block)
        columns = [] if labels is None else [(labels, None)]
        columns += [(numbers, None) for numbers in self.encoder.dense_columns(block)]
        for ids, lengths, weights in self.encoder.sparse_columns(block):
            columns += [(ids, lengths)] if weights is None else [(ids, lengths), (weights, lengths)]
        arrays = [
            _array(values, lengths, field.type)
            for (values, lengths), field in zip(columns, self.arrow_schema, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.arrow_schema)


def _array(values, lengths, kind):
    if not pa.types.is_list(kind):
        return pa.array(values.astype(_DTYPES[kind], copy=False))
    values = pa.array(values.astype(_DTYPES[kind.value_type], copy=False))
    # A block of single values without a null among them has no lengths.
    splits = np.arange(len(values) + 1) if lengths is None else splits_of(lengths)
    return pa.ListArray.from_arrays(pa.array(splits, pa.int32()), values)
