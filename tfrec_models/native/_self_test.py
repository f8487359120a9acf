"""Tests compiled kernels, in a process that may crash.

`python _self_test.py LIBRARY` is run before a library is loaded into a training process: code for
another processor ends with an illegal instruction, which nothing can catch. It imports no more than
TensorFlow and NumPy.
"""

import sys

import numpy as np
import tensorflow as tf

# Exit codes: Python itself ends with 1 on any error.
WRONG, UNLOADABLE = 1, 3

# Wider than two of the widest registers, and no multiple of a power of two.
ROWS, DIM = 9, 67


def check(kernels) -> None:
    """Looks up and updates a few rows and compares them with NumPy.

    Args:
        kernels: the module that `tf.load_op_library` gives.

    Raises:
        ArithmeticError: if anything differs.
    """
    with tf.device("CPU:0"):
        for dtype in (tf.float32, tf.bfloat16):
            _check_lookup(kernels, dtype)
            _check_update(kernels, dtype)
            _check_pairs(kernels, dtype)
        _check_rules(kernels)
        _check_admission(kernels)


def _start(dtype):
    """A table in NumPy's float32, exact in `dtype`."""
    steps = np.arange(ROWS * DIM).reshape(ROWS, DIM) % 13
    return (steps / 8 - 0.5).astype(np.float32), dtype


def _variable(start, dtype):
    return tf.Variable(tf.cast(start, dtype))


def _check_lookup(kernels, dtype):
    start, dtype = _start(dtype)
    ids = tf.constant([3, 20, 1, 3, -4], tf.int64)
    splits = tf.constant([0, 2, 2, 5], tf.int64)
    rows, refused = kernels.tfrec_resolve_ids(
        ids=ids,
        row_splits=splits,
        Row=tf.int32,
        by_example=True,
        num_ids=[ROWS],
        first_rows=[0],
        policies=["drop"],
    )
    _same("ids", rows, [3, -1, 1, 3, -1])
    _same("ids refused", refused, -1)
    pooled = kernels.tfrec_pooled_lookup(
        table=_variable(start, dtype).handle,
        rows=rows,
        row_splits=[splits],
        weights=[tf.constant([1, 1, 2, 0.5, 1], tf.float32)],
        T=dtype,
        num_features=1,
        mean=False,
    )
    expected = np.stack([start[3], np.zeros(DIM), 2 * start[1] + 0.5 * start[3]])
    _same("lookup", pooled, expected, dtype)


def _check_pairs(kernels, dtype):
    start, dtype = _start(dtype)
    dense, sparse = start[:3], start[3:].reshape(3, 2, DIM)
    inputs = {"dense": tf.cast(dense, dtype), "sparse": tf.cast(sparse, dtype)}
    products = kernels.tfrec_pair_products(**inputs)
    pairs = [(dense, sparse[:, 0]), (dense, sparse[:, 1]), (sparse[:, 0], sparse[:, 1])]
    dots = [np.sum(one * other, axis=1, keepdims=True) for one, other in pairs]
    _same("pair products", products, np.concatenate([dense, *dots], axis=1), dtype)
    upstream = tf.ones([3, DIM + 3], dtype)
    of_dense, of_sparse = kernels.tfrec_pair_products_gradient(upstream=upstream, **inputs)
    total = dense + sparse[:, 0] + sparse[:, 1]
    _same("gradient of dense vectors", of_dense, 1 + total - dense, dtype)
    _same("gradient of sparse vectors", of_sparse, total[:, np.newaxis] - sparse, dtype)


def _check_update(kernels, dtype):
    start, dtype = _start(dtype)
    rows, starts, places, _ = kernels.tfrec_transpose_bags(
        rows=tf.constant([5, 2, 5], tf.int32),
        row_splits=[],
        weights=[],
        num_scales=0,
        num_features=1,
        mean=False,
    )
    _same("rows touched", rows, [2, 5])
    table = _variable(start, dtype)
    upstream = tf.cast(start[:3], dtype)
    kernels.tfrec_update_rows(
        table=table.handle,
        slots=[],
        rows=rows,
        starts=[starts],
        places=[places],
        scales=[],
        upstream=upstream,
        learning_rate=0.5,
        decay=0.0,
        T=dtype,
        rule="sgd",
        settings=[],
    )
    expected = start.copy()
    expected[2] -= 0.5 * start[1]
    expected[5] -= 0.5 * (start[0] + start[2])
    _same("update", table, expected, dtype)


def _check_rules(kernels):
    """Every rule's code is run; where a formula fits in a line, its result is compared, too."""
    gradient = _start(tf.float32)[0][:2] + 1
    squares = np.square(gradient)
    expected = {
        "momentum": (1, [0.5], -gradient),
        "nesterov": (1, [0.5], -1.5 * gradient),
        "adagrad": (1, [1e-7], -gradient / np.sqrt(squares)),
        "row_wise_adagrad": (1, [1e-7], -gradient / np.sqrt(squares.mean(1, keepdims=True))),
        "lazy_adam": (2, [0.1, 0.2, 1e-7], -0.1 * gradient / np.sqrt(0.2 * squares)),
        "amsgrad": (3, [0.1, 0.2, 1e-7], -0.1 * gradient / np.sqrt(0.2 * squares)),
        "ftrl": (2, [0.0, 0.0, 0.0, 0.0], -gradient / np.sqrt(squares)),
    }
    for rule, (num_slots, settings, change) in expected.items():
        table = tf.Variable(tf.zeros((ROWS, DIM)))
        shape = (ROWS,) if rule == "row_wise_adagrad" else (ROWS, DIM)
        slots = [tf.Variable(tf.zeros(shape)) for _ in range(num_slots)]
        kernels.tfrec_update_rows(
            table=table.handle,
            slots=[slot.handle for slot in slots],
            rows=tf.constant([1, 7]),
            starts=[],
            places=[],
            scales=[],
            upstream=tf.constant(gradient, tf.float32),
            learning_rate=1.0,
            decay=0.0,
            T=tf.float32,
            rule=rule,
            settings=settings,
        )
        _same(rule, tf.gather(table, [1, 7]), change)


def _check_admission(kernels):
    """Two ids are given rows, and keep them."""
    variables = {
        "owners": tf.Variable(tf.zeros([1, 16], tf.int64)),
        "used": tf.Variable(tf.zeros([1, 16], tf.int32)),
        "filled": tf.Variable(tf.zeros([1], tf.int32)),
        "reach": tf.Variable(tf.zeros([1], tf.int32)),
        "tallies": tf.Variable(tf.zeros([6], tf.int64)),
        "step": tf.Variable(tf.zeros([1], tf.int64)),
    }
    one_table = {
        "num_rows": [ROWS],
        "num_buckets": [1],
        "modulus": [1],
        "admit_after": [1],
        "eviction": [0],
        "ttl": [0],
        "half_cells": [0],
    }
    for _ in range(2):
        rows, evicted = kernels.tfrec_admit_ids(
            ids=tf.constant([7, -(2**63), 7], tf.int64),
            **{name: variable.handle for name, variable in variables.items()},
            uses=[],
            cells=[],
            row_splits=[],
            tables=[],
            by_example=True,
            column_tables=[0],
            **one_table,
        )
        first, second, again = rows.numpy().tolist()
        if {first, second} != {0, 1} or again != first or len(evicted):
            raise ArithmeticError("wrong results: ids admitted")


def _same(what, found, expected, dtype=tf.float32):
    found = tf.cast(tf.convert_to_tensor(found), tf.float64).numpy()
    tolerance = 2.0**-7 if dtype == tf.bfloat16 else 1e-5
    if not np.allclose(found, expected, rtol=tolerance, atol=tolerance):
        raise ArithmeticError(f"wrong results: {what}")


def main(path: str) -> int:
    """Runs the test; returns the exit code."""
    try:
        kernels = tf.load_op_library(path)
    except tf.errors.OpError as error:
        print(f"error: {error}")
        return UNLOADABLE
    try:
        check(kernels)
    except ArithmeticError as error:
        print(f"error: {error}")
        return WRONG
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
