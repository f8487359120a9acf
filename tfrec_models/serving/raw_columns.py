"""The columns of a log as inputs of an export."""

import dataclasses

import tensorflow as tf

from tfrec_models.serving.names import lengths_name, safe_names, values_name

DTYPES = {
    "number": tf.float64,
    "text": tf.string,
    "integer": tf.int64,
    "weight": tf.float32,
}


@dataclasses.dataclass(frozen=True)
class RawColumn:
    """One column of a log.

    Args:
        name: str, its name in the log.
        input: str, its name in the signatures.
        kind: str, one of `DTYPES`.
        is_bag: bool, whether a row has any number of values: a list, or one value or none.
        fill: float, what a missing number is; None where there must be none.
    """

    name: str
    input: str
    kind: str
    is_bag: bool
    fill: float | None = None

    @property
    def inputs(self):
        """The inputs of `serving_raw`: that with the values, and that with the lengths of bags."""
        if self.is_bag:
            return [values_name(self.input), lengths_name(self.input)]
        return [self.input]

    @property
    def specs(self):
        """A dict from input to `tf.TensorSpec`."""
        dtypes = (DTYPES[self.kind], tf.int64)
        return {
            name: tf.TensorSpec([None], dtype, name)
            for name, dtype in zip(self.inputs, dtypes, strict=False)
        }

    @property
    def feature(self):
        """How `serving_raw_examples` parses it out of a `tf.Example`."""
        if self.kind == "number":
            return tf.io.FixedLenFeature([], tf.float32, default_value=float("nan"))
        return tf.io.RaggedFeature(DTYPES[self.kind], row_splits_dtype=tf.int64)


def raw_columns(schema):
    """Returns the `RawColumn`s of a schema: those of dense, sparse and weights columns.

    Args:
        schema: `tfrec_models.datasets.Schema`.

    Raises:
        ValueError: if a column is used in two ways, or two inputs would have the same name.
    """
    kinds = [(column.name, "number", False, column.fill) for column in schema.dense]
    for column in schema.sparse:
        if column.cross:
            continue
        is_text = schema.sparse_column(column.like or column.name).ids != "integer"
        is_list = bool(column.is_list)
        # Of a text to split, an empty one is an empty bag; of a value, a bag of none is missing.
        is_bag = column.separator is None and (is_list or column.missing is not None)
        kinds.append((column.name, "text" if is_text else "integer", is_bag, None))
        if column.weights:
            kinds.append((column.weights, "weight", is_list, None))
    kinds = list(dict.fromkeys(kinds))
    names = [name for name, *_ in kinds]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"schema must use each column in one way, received {repeated} in two, such as dense "
            "and sparse: a tf.Example has one type for each. Give the log a copy of the column."
        )
    safe = safe_names(names)
    columns = [RawColumn(name, safe[name], *rest) for name, *rest in kinds]
    inputs = [name for column in columns for name in column.inputs]
    repeated = sorted({name for name in inputs if inputs.count(name) > 1})
    if repeated:
        raise ValueError(
            f"schema has columns whose inputs would share the names {repeated}; rename one, such "
            "as 'a_values' beside a list 'a'."
        )
    return columns
