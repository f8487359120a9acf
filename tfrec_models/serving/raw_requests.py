"""The columns of a log as the inputs of the raw signatures."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfrec_models.serving.names import EXAMPLES
from tfrec_models.serving.raw_columns import RawColumn


def raw_inputs(log, metadata):
    """Returns the inputs of `serving_raw`, a dict from name to NumPy array.

    Args:
        log: dict from column to a list or array of its rows, with None where a value is missing;
            or a table with `to_pydict`, such as `pyarrow.Table`.
        metadata: `Metadata` of the export.

    Raises:
        ValueError: on a missing column, unequal numbers of rows, or a value that its column has no
            form for, such as a null in a list.
    """
    inputs = {}
    for column, rows in _rows_of(log, metadata):
        if column.kind == "number":
            inputs[column.input] = np.array([_number(column, row) for row in rows], np.float64)
            continue
        bags = [_bag(column, row) for row in rows]
        flat = [_value(column, item) for bag in bags for item in bag]
        dtypes = {"integer": np.int64, "weight": np.float32, "text": object}
        arrays = [np.array(flat, dtypes[column.kind])]
        if column.is_bag:
            arrays.append(np.array([len(bag) for bag in bags], np.int64))
        inputs.update(zip(column.inputs, arrays, strict=True))
    return inputs


def raw_examples(log, metadata):
    """Returns a list of `tf.train.Example` with the columns of a log, one for each row.

    Args:
        log, metadata: as in `raw_inputs`.
    """
    examples = None
    for column, rows in _rows_of(log, metadata):
        examples = examples or [tf.train.Example() for _ in rows]
        for example, row in zip(examples, rows, strict=True):
            feature = example.features.feature[column.input]
            if column.kind == "number":
                feature.float_list.value.append(_number(column, row))
                continue
            items = [_value(column, item) for item in _bag(column, row)]
            if column.kind == "text":
                feature.bytes_list.value.extend(items)
            elif column.kind == "integer":
                feature.int64_list.value.extend(items)
            else:
                feature.float_list.value.extend(items)
    return examples or []


def raw_input_arrays(log, metadata):
    """Returns the inputs of `serving_raw_examples`."""
    serialized = [example.SerializeToString() for example in raw_examples(log, metadata)]
    return {EXAMPLES: np.array(serialized, object)}


def raw_sample(schema, columns, num_rows=4):
    """Returns a log whose values every schema takes, to warm a server up with.

    Args:
        schema: `Schema`.
        columns: its `RawColumn`s.
        num_rows: int.
    """
    offsets = {column.name: column.offset or 0.0 for column in schema.dense}
    values = {"text": "0", "integer": 0, "weight": 1.0}
    log = {}
    for column in columns:
        if column.kind == "number":
            value = 1.0 - min(offsets[column.name], 0.0)
        else:
            value = [values[column.kind]] if column.is_bag else values[column.kind]
        log[column.name] = [value] * num_rows
    return log


def _rows_of(log, metadata):
    """Pairs of a `RawColumn` and the list of its rows."""
    log = log.to_pydict() if hasattr(log, "to_pydict") else log
    columns = [RawColumn(**column) for column in metadata.raw_columns]
    names = [column.name for column in columns]
    if not isinstance(log, Mapping):
        raise ValueError(
            f"A raw signature takes a dict or a table with the columns {names}, received "
            f"{type(log).__name__}."
        )
    missing = [name for name in names if name not in log]
    if missing:
        raise ValueError(f"Missing columns {missing}, received {list(log)}.")
    rows = [(column, list(log[column.name])) for column in columns]
    sizes = {column.name: len(values) for column, values in rows}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"All columns must have the same number of rows, received {sizes}.")
    return rows


def _is_missing(row):
    return row is None or (isinstance(row, float) and np.isnan(row))


def _number(column, row):
    if _is_missing(row):
        if column.fill is None:
            raise ValueError(
                f"Column {column.name!r} has a missing number, and its schema declares no fill. "
                "Give the number."
            )
        # What the graph would take for it; JSON has no NaN.
        return column.fill
    try:
        return float(row)
    except (TypeError, ValueError):
        raise ValueError(f"Column {column.name!r} must hold numbers, received {row!r}.") from None


def _bag(column, row):
    """The values of one row as a list."""
    is_list = isinstance(row, (list, tuple, np.ndarray))
    if column.is_bag:
        return row if is_list else [] if _is_missing(row) else [row]
    if is_list or _is_missing(row):
        raise ValueError(
            f"Column {column.name!r} must hold one value a row, received {row!r}; the schema "
            "declares no list and no missing values there."
        )
    return [row]


def _value(column, item):
    if column.kind == "text" and isinstance(item, (str, bytes)):
        return item.encode() if isinstance(item, str) else item
    is_integer = isinstance(item, (int, np.integer, np.bool_))
    if column.kind == "text" and is_integer:
        return str(int(item)).encode()
    if column.kind == "integer" and is_integer:
        return int(item)
    if column.kind == "weight" and not _is_missing(item) and not isinstance(item, (str, bytes)):
        return float(item)
    expected = {"text": "strings or integers", "integer": "integers", "weight": "numbers"}
    raise ValueError(
        f"Column {column.name!r} must hold {expected[column.kind]}, received {item!r}. Leave a "
        "missing value out of its list."
    )
