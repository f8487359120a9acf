"""TorchRec's binary form of Criteo's logs as batches of DLRM's inputs."""

import os
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec_models._checks.arguments import check_positive
from tfrec_models.datasets._batches import Batches, Order
from tfrec_models.datasets._dataset import Form, dataset_of
from tfrec_models.datasets._npy import NpyEncoder, NpySource, load_day

_STAGES = ("train", "val", "test")


def criteo_npys(
    dense_files: Any,
    sparse_files: Any,
    labels_files: Any,
    batch_size: int,
    num_ids: int | list[int] | None = None,
    *,
    stage: str = "train",
    shuffle: bool = False,
    seed: int | None = None,
    shuffle_buffer: int = 131_072,
    drop_remainder: bool = False,
    shard: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Reads the `.npy` files that TorchRec's `tsv_to_npys` and `sparse_to_contiguous` write.

    For those who have them, in place of TorchRec's `InMemoryBinaryCriteoIterDataPipe`. A day is
    three files: dense features (rows, 13) float32, whose logarithm is taken already; ids (rows,
    26); labels (rows, 1). They are mapped into memory, so that the system keeps in it what fits.
    Without shuffling, batches are TorchRec's of one rank, in its order. With several, a shard is
    a run of rows, where TorchRec deals batches to ranks in turn.

    Args:
        dense_files: path or list of paths, one a day.
        sparse_files: path or list of paths, of the same days.
        labels_files: path or list of paths, of the same days.
        batch_size: int, rows a batch; the last batch may be smaller.
        num_ids: int, or list of int, one a feature: ids are taken modulo these, as TorchRec's
            `hashes`. None leaves them.
        stage: str. "train": all rows; "val" and "test": the first and the second half of a day,
            of which the first has one row more where their number is odd.
        shuffle: bool, as for `read`.
        seed: int or None, as for `read`.
        shuffle_buffer: int, as for `read`.
        drop_remainder: bool, whether to leave a smaller last batch out.
        shard: pair of int (index, count), as for `read`.

    Returns:
        `tf.data.Dataset` of `({"dense_features": (B, 13) float32, "sparse_features": (B, 26)
        int64}, labels)`, labels (B,) float32. A label of -1, which stands for none, is NaN.

    Raises:
        FileNotFoundError: if a file does not exist.
        ValueError: on arguments out of range, and files that are cut off or do not fit together.

    Example:

    >>> import os, tempfile
    >>> import numpy as np
    >>> from tfrec_models.datasets import criteo_npys
    >>> day = os.path.join(tempfile.mkdtemp(), "day_0")
    >>> np.save(day + "_dense.npy", np.zeros((3, 13), np.float32))
    >>> np.save(day + "_sparse.npy", np.full((3, 26), 102))
    >>> np.save(day + "_labels.npy", np.array([[1], [0], [1]], np.int32))
    >>> files = [f"{day}_{part}.npy" for part in ("dense", "sparse", "labels")]
    >>> for features, labels in criteo_npys(*files, batch_size=2, num_ids=100):
    ...     print(labels.numpy(), features["sparse_features"].numpy()[:, 0])
    [1. 0.] [2 2]
    [1.] [2]
    """
    check_positive("batch_size", batch_size)
    order = Order.checked(shuffle, seed, shuffle_buffer, shard)
    if stage not in _STAGES:
        raise ValueError(f"stage must be one of {list(_STAGES)}, received {stage!r}.")
    groups = [_paths(files) for files in (dense_files, sparse_files, labels_files)]
    counts = [len(group) for group in groups]
    if min(counts) == 0 or len(set(counts)) > 1:
        raise ValueError(
            "dense_files, sparse_files and labels_files must name the same days, one or more, "
            f"received {counts} files."
        )
    if stage != "train" and counts[0] > 1:
        raise ValueError(f"stage {stage!r} is half of one day, received {counts[0]} days.")
    days = [load_day(*files) for files in zip(*groups, strict=True)]
    widths = {(dense.shape[1], ids.shape[1]) for dense, ids, _ in days}
    if len(widths) > 1:
        raise ValueError(f"All days must have the same features, received {sorted(widths)}.")
    [(num_dense, num_features)] = widths
    if stage != "train":
        half = -(-len(days[0][0]) // 2)
        rows = slice(0, half) if stage == "val" else slice(half, None)
        days = [tuple(array[rows] for array in days[0])]
    encoder = NpyEncoder(_checked_num_ids(num_ids, num_features))
    batches = Batches(NpySource(days), encoder, batch_size, drop_remainder, order, num_threads=2)
    return dataset_of(batches, Form(num_dense, num_features, False, False, True))


def _paths(files):
    return [files] if isinstance(files, str | os.PathLike) else list(files)


def _checked_num_ids(num_ids, num_features):
    if num_ids is None:
        return None
    sizes = np.asarray(num_ids)
    if sizes.ndim == 0:
        sizes = np.repeat(sizes, num_features)
    if sizes.shape != (num_features,) or sizes.dtype.kind not in "iu" or sizes.min() < 1:
        raise ValueError(
            f"num_ids must be one positive integer, or one for each of the {num_features} "
            f"features, received {num_ids}."
        )
    return sizes.astype(np.int64)
