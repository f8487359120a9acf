"""Criteo's raw click logs: tab-separated text in, batches of DLRM's two inputs out."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec_models.datasets._criteo_lines import (
    CAT_FEATURE_COUNT,
    DEFAULT_COLUMN_NAMES,
    any_compressed,
    check_dense_min,
    first_line,
    parse_lines,
    read_blocks,
)

# Taken as the minimum of the Kaggle display advertising data. A file that goes lower is refused,
# never clipped, so a wrong guess cannot pass unnoticed.
DEFAULT_DENSE_MIN = -3
"""The smallest number that is expected in a dense column."""

# The formula of facebookresearch/dlrm, which takes what is below 0 for 0.
_LOG1P_DENSE_MIN = 1
_SPLITS = ("all", "train", "test")


def criteo_tsv(
    filenames: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    batch_size: int,
    num_embeddings: int | Sequence[int],
    *,
    dense_min: Any = DEFAULT_DENSE_MIN,
    labels: bool | None = None,
    split: str = "all",
    test_every: int = 5,
    shuffle_buffer: int = 0,
    cycle_length: int = 1,
    seed: int | None = None,
) -> tf.data.Dataset:
    """Reads Criteo's raw tab-separated files as a `tf.data.Dataset` of batches.

    Each line is a label, 13 integers and 26 hexadecimal ids; an empty field is missing and reads
    as 0. Lines of Criteo's test files have no label. Integers and ids become, as in TorchRec's
    `tsv_to_npys` and `hashes`,

        dense = log(v + 2 - dense_min)
        id    = int(hex, 16) mod num_embeddings of its table

    With `dense_min=1` negative integers count as 0 too, so that the first line is
    `log(max(v, 0) + 1)`: what models of facebookresearch/dlrm, MLPerf and NVTabular were trained
    with.

    Parsing runs in TensorFlow ops on whole batches of lines. Files compressed with gzip or bzip2
    are recognized by their content; one that is cut off or damaged is an error.

    Args:
        filenames: str, path or list of them: the files, read in this order.
        batch_size: int, rows a batch; the last batch may be smaller.
        num_embeddings: int, or list of 26 ints: rows of each categorical feature's table.
        dense_min: int, the smallest integer the files hold. Defaults to -3, meant for
            Criteo's Kaggle data; `criteo_dense_min` finds it for any files, and 1 stands for
            `log(max(v, 0) + 1)`. Training and serving must use the same number.
        labels: bool or None, whether lines begin with a label. Defaults to None, as the first
            line tells; all files must be alike. Without labels, those of the batches are NaN:
            `predict` does not look at them, and `fit` cannot learn from them unnoticed.
        split: str, one of "all", "train" and "test". "test" is every `test_every`-th row of each
            file, "train" the others. Defaults to "all".
        test_every: int, at least 2. Defaults to 5, which holds out a fifth.
        shuffle_buffer: int, rows to draw the next one from; the order of files is shuffled too,
            differently in each epoch. Defaults to 0, the files' own order.
        cycle_length: int, files to read from in turn, 512 lines at a time. Defaults to 1, one
            file after the other.
        seed: int or None, fixes the shuffling. Defaults to None.

    Returns:
        `tf.data.Dataset` of `({"dense_features": (B, 13) float32, "sparse_features": (B, 26)
        int64}, labels)`, labels `(B,)` float32.

    Raises:
        FileNotFoundError: if a file does not exist.
        ValueError: if an argument is out of range or there are no rows.
        tf.errors.InvalidArgumentError: while iterating, at a line with a wrong number of columns,
            an unreadable number or an integer below `dense_min`; names the file and the line.

    Example:
        >>> import os, tempfile
        >>> from tfrec_models.datasets import criteo_tsv
        >>> path = os.path.join(tempfile.mkdtemp(), "day_0.tsv")
        >>> with open(path, "w") as f:
        ...     _ = f.write("\\t".join(["1"] + ["3"] * 13 + ["0000000b"] * 26) + "\\n")
        >>> for features, labels in criteo_tsv(path, batch_size=2, num_embeddings=10):
        ...     print(labels.numpy(), features["sparse_features"].numpy()[0, :3])
        [1.] [1 1 1]
    """
    num_embeddings = _check_num_embeddings(num_embeddings)
    for name, value, least in (
        ("batch_size", batch_size, 1),
        ("test_every", test_every, 2),
        ("shuffle_buffer", shuffle_buffer, 0),
        ("cycle_length", cycle_length, 1),
    ):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
            raise ValueError(f"`{name}` must be an integer of at least {least}. Received: {value}.")
    if not isinstance(dense_min, int | np.integer) or isinstance(dense_min, bool):
        raise ValueError(
            f"`dense_min` must be an integer. Received: {dense_min}. "
            "`criteo_dense_min(filenames)` finds it."
        )
    if labels not in (None, True, False):
        raise ValueError(f"`labels` must be True, False or None. Received: {labels!r}.")
    if split not in _SPLITS:
        raise ValueError(f"`split` must be one of {_SPLITS}. Received: {split!r}.")

    filenames = _check_files(filenames)
    if labels is None:
        labels = _begins_with_label(filenames)
    blocks = read_blocks(filenames, bool(shuffle_buffer), seed, split, test_every, cycle_length)
    if not any(True for _ in blocks.unbatch().take(1)):
        raise ValueError(
            f"No rows in split {split!r} of {filenames}. Check that the files are not empty"
            + ("." if split == "all" else f" and hold at least `test_every` = {test_every} rows.")
        )
    if shuffle_buffer:
        lines = blocks.unbatch().shuffle(shuffle_buffer, seed=seed).batch(batch_size)
    else:
        lines = blocks.rebatch(batch_size)

    compressed = any_compressed(filenames)

    def parse(name, number, text):
        label, dense, ids = parse_lines(name, number, text, labels, compressed)
        if dense_min == _LOG1P_DENSE_MIN:
            dense = tf.maximum(dense, 0)
        else:
            dense = check_dense_min(name, number, dense, dense_min, compressed)
        dense = tf.math.log(tf.cast(dense, tf.float32) + (2.0 - dense_min))
        features = {"dense_features": dense, "sparse_features": ids % num_embeddings}
        if not labels:
            return features, tf.fill(tf.shape(text), np.float32(np.nan))
        return features, tf.cast(label, tf.float32)

    return lines.map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def criteo_dense_min(
    filenames: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
) -> int:
    """Finds the smallest integer in Criteo's raw files, for `criteo_tsv(dense_min=...)`.

    Reads every file once. Missing integers count as 0, as they do in the logarithm.

    Args:
        filenames: str, path or list of them.

    Returns:
        int, at most 0 if any integer is missing.

    Raises:
        FileNotFoundError, ValueError, tf.errors.InvalidArgumentError: as `criteo_tsv`.

    Example:
        >>> import os, tempfile
        >>> from tfrec_models.datasets import criteo_dense_min
        >>> path = os.path.join(tempfile.mkdtemp(), "day_0.tsv")
        >>> with open(path, "w") as f:
        ...     _ = f.write("\\t".join(["1"] + ["-2"] + ["3"] * 12 + ["0000000b"] * 26) + "\\n")
        >>> criteo_dense_min(path)
        -2
    """
    filenames = _check_files(filenames)
    labels = _begins_with_label(filenames)
    compressed = any_compressed(filenames)

    def least_of(name, number, text):
        return tf.reduce_min(parse_lines(name, number, text, labels, compressed)[1])

    smallest = read_blocks(filenames).map(
        least_of,
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    least = min(map(int, smallest.as_numpy_iterator()), default=None)
    if least is None:
        raise ValueError(f"No rows in {filenames}. Check that the files are not empty.")
    return least


def _check_num_embeddings(num_embeddings):
    sizes = np.asarray(num_embeddings)
    if sizes.ndim == 0:
        sizes = np.repeat(sizes, CAT_FEATURE_COUNT)
    if sizes.shape != (CAT_FEATURE_COUNT,) or sizes.dtype.kind not in "iu" or sizes.min() < 1:
        raise ValueError(
            "`num_embeddings` must be one positive integer, or one for each of the "
            f"{CAT_FEATURE_COUNT} categorical features. Received: {num_embeddings}."
        )
    return sizes.astype(np.int64)


def _check_files(filenames):
    if isinstance(filenames, str | os.PathLike):
        filenames = [filenames]
    filenames = [os.fspath(f) for f in filenames]
    if not filenames:
        raise ValueError("`filenames` is empty. Give at least one of Criteo's TSV files.")
    for filename in filenames:
        if not tf.io.gfile.exists(filename):
            raise FileNotFoundError(f"No such file: {filename!r}. Check the path.")
        if tf.io.gfile.isdir(filename):
            raise ValueError(f"{filename!r} is a directory. Give the files in it by name.")
    return filenames


def _begins_with_label(filenames):
    line = first_line(filenames)
    return line is None or line.count(b"\t") + 1 != len(DEFAULT_COLUMN_NAMES) - 1
