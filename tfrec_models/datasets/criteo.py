"""Criteo's raw click logs: tab-separated text in, batches of DLRM's two inputs out."""

import dataclasses
import itertools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec_models.datasets._batches import Batches, Order
from tfrec_models.datasets._criteo_columns import DEFAULT_DENSE_MIN
from tfrec_models.datasets._criteo_source import (
    SPLITS,
    CriteoSource,
    files_of,
    has_label,
    lines_of,
)
from tfrec_models.datasets._dataset import Form, dataset_of
from tfrec_models.datasets._encode import Encoder
from tfrec_models.datasets.criteo_schema import criteo_schema

# The formula of facebookresearch/dlrm, which takes what is below 0 for 0.
_LOG1P_DENSE_MIN = 1
_THREADS = 2


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

    `read(filenames, criteo_schema(num_embeddings), batch_size)` with what Criteo's files need
    beside it: rows that are held out, files without labels found by their first line, and labels
    and integers that are checked. Each line is a label, 13 integers and 26 hexadecimal ids; an
    empty field is missing and reads as 0. Integers and ids become, as in TorchRec's `tsv_to_npys`
    and `hashes`,

        dense = log(v + 2 - dense_min)
        id    = int(hex, 16) mod num_embeddings of its table

    With `dense_min=1` negative integers count as 0 too, so that the first line is
    `log(max(v, 0) + 1)`: what models of facebookresearch/dlrm, MLPerf and NVTabular were trained
    with.

    Args:
        filenames: str, path or list of them: files, as for `read`, in this order. Plain or
            compressed by gzip, bzip2 or Zstandard, which their content tells.
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
        shuffle_buffer: int, rows that are shuffled together; the order of files is shuffled too,
            differently in each epoch. Defaults to 0, the files' own order.
        cycle_length: int, files to read from in turn, some megabytes of lines at a time. Defaults
            to 1, one file after the other.
        seed: int or None, fixes the shuffling. Defaults to None.

    Returns:
        `tf.data.Dataset` of `({"dense_features": (B, 13) float32, "sparse_features": (B, 26)
        int64}, labels)`, labels `(B,)` float32.

    Raises:
        FileNotFoundError: if a file does not exist.
        ValueError: if an argument is out of range or there are no rows.
        tf.errors.InvalidArgumentError: while iterating, on a file that is cut off or damaged, and
            at a line with a wrong number of fields, an unreadable number or an integer below
            `dense_min`; names the file and the line.

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
    for name, value, least in (
        ("batch_size", batch_size, 1),
        ("test_every", test_every, 2),
        ("shuffle_buffer", shuffle_buffer, 0),
        ("cycle_length", cycle_length, 1),
    ):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name} must be an integer of at least {least}, received {value!r}.")
    if not isinstance(dense_min, int | np.integer) or isinstance(dense_min, bool):
        raise ValueError(
            f"dense_min must be an integer, received {dense_min!r}; "
            "criteo_dense_min(filenames) finds it."
        )
    if labels not in (None, True, False):
        raise ValueError(f"labels must be True, False or None, received {labels!r}.")
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}, received {split!r}.")
    is_log1p = dense_min == _LOG1P_DENSE_MIN
    arguments = {"transform": "log1p"} if is_log1p else {"dense_min": int(dense_min)}
    files, first = files_of(filenames)
    labels = has_label(first) if labels is None else labels
    schema = criteo_schema(num_embeddings, labels=labels, **arguments)
    needed = test_every if split == "test" else 1
    if not any(len(list(itertools.islice(lines_of(file), needed))) == needed for file in files):
        raise ValueError(
            f"No rows in split {split!r} of {[file.path for file in files]}. Check that the files "
            "are not empty"
            + ("." if split == "all" else f" and hold at least `test_every` = {test_every} rows.")
        )
    source = CriteoSource(files, schema, None if is_log1p else dense_min, split, test_every)
    order = Order.checked(
        bool(shuffle_buffer), seed if shuffle_buffer else None, max(shuffle_buffer, 1), (0, 1)
    )
    order = dataclasses.replace(order, cycle=cycle_length)
    encoder = Encoder(schema, source.types, labels)
    batches = Batches(source, encoder, batch_size, False, order, _THREADS)
    form = Form(schema.num_dense, len(schema.sparse), encoder.is_ragged, False, labels)
    dataset = dataset_of(batches, form)
    return dataset if labels else dataset.map(_with_unknown_labels)


def _with_unknown_labels(features):
    rows = tf.shape(features["dense_features"])[0]
    return features, tf.fill([rows], np.float32(np.nan))


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
        FileNotFoundError: if a file does not exist.
        ValueError: on files without a row, one that is cut off or damaged, and a line that is not
            of Criteo's format; names the file and the line.

    Example:
        >>> import os, tempfile
        >>> from tfrec_models.datasets import criteo_dense_min
        >>> path = os.path.join(tempfile.mkdtemp(), "day_0.tsv")
        >>> with open(path, "w") as f:
        ...     _ = f.write("\\t".join(["1"] + ["-2"] + ["3"] * 12 + ["0000000b"] * 26) + "\\n")
        >>> criteo_dense_min(path)
        -2
    """
    files, first = files_of(filenames)
    source = CriteoSource(files, criteo_schema(1, labels=has_label(first)))
    blocks = (block for unit in source.units() for block in source.blocks(unit))
    least = min((source.least(block) for block in blocks), default=None)
    if least is None:
        paths = [file.path for file in files]
        raise ValueError(f"No rows in {paths}. Check that the files are not empty.")
    return least
