"""The moving average of the weights (`use_ema`) without walking the tables.

The average of a row that is not touched drifts towards its unchanging weights `w` by a known
factor a step, so `k` such steps can be made up for at once when they matter:
`average = w + momentum ** k * (average - w)`. Each row therefore keeps the number of the step its
average stands at; 0 means that it was never touched, and that its average is its weights.
"""

import tensorflow as tf

from tfrec_models._rows.row_access import read_rows, write_rows

_ROWS_AT_ONCE = 65536


def update_average(average, stamp, rows, old, new, step, momentum):
    """Averages the rows of one update: `old` before it, `new` after it, `step` counted from 1."""
    previous = _average_at(average, stamp, rows, old, step - 1, momentum)
    # As in Keras, the average starts with the weights after the first step.
    momentum = tf.where(step > 1, tf.cast(momentum, new.dtype), 0)
    write_rows(average, rows, momentum * previous + (1 - momentum) * new)
    _set_stamp(stamp, rows, step)


def replace_by_average(variable, average, stamp, step, momentum):
    """Overwrites a variable with its average as of `step`, a slice of the rows at a time."""
    if variable.shape.rank == 0:
        slices = [None]
    else:
        edges = [*range(0, variable.shape[0], _ROWS_AT_ONCE), variable.shape[0]]
        slices = [tf.range(a, b) for a, b in zip(edges, edges[1:], strict=False)]
    for rows in slices:
        weights = read_rows(variable, rows, average.dtype)
        present = _average_at(average, stamp, rows, weights, step, momentum)
        write_rows(variable, rows, present)
        write_rows(average, rows, present)
        _set_stamp(stamp, rows, step)


def _average_at(average, stamp, rows, weights, step, momentum):
    """The rows' average at `step`, their weights having been `weights` since their stamp."""
    stamps = read_rows(stamp, rows, stamp.dtype)
    drift = tf.pow(tf.cast(momentum, weights.dtype), tf.cast(step - stamps, weights.dtype))
    drift = tf.where(stamps > 0, drift, 0)
    for _ in range(stamps.shape.rank, weights.shape.rank):
        drift = tf.expand_dims(drift, -1)
    return weights + drift * (read_rows(average, rows, weights.dtype) - weights)


def _set_stamp(stamp, rows, step):
    shape = stamp.shape if rows is None else tf.shape(rows)
    write_rows(stamp, rows, tf.fill(shape, tf.cast(step, stamp.dtype)))
