"""The schema of Criteo's click logs."""

from collections.abc import Sequence

import numpy as np

from tfrec_models.datasets._criteo_columns import (
    CAT_FEATURE_COUNT,
    DEFAULT_CAT_NAMES,
    DEFAULT_COLUMN_NAMES,
    DEFAULT_DENSE_MIN,
    DEFAULT_INT_NAMES,
    DEFAULT_LABEL_NAME,
)
from tfrec_models.datasets.dense import Dense
from tfrec_models.datasets.schema import Schema
from tfrec_models.datasets.sparse import Sparse


def criteo_schema(
    num_ids: int | Sequence[int],
    *,
    transform: str = "log",
    dense_min: int = DEFAULT_DENSE_MIN,
    labels: bool = True,
) -> Schema:
    """The schema of Criteo's click logs: Kaggle's `train.txt` and `test.txt`, the terabyte's days.

    The files have no header and are separated by tabs: a label, 13 integers and 26 hexadecimal
    ids, each of which may be missing, which counts as 0. Lines of Kaggle's `test.txt` have no
    label. Numbers and ids become

        "log":   log(x + 2 - dense_min), as in TorchRec's `tsv_to_npys` and `criteo_tsv`
        "log1p": log(max(x, 0) + 1), as in facebookresearch/dlrm and NVTabular
        id:      int(hex, 16) mod num_ids

    Args:
        num_ids: int, or list of 26 ints: rows of each table.
        transform: str, "log" or "log1p".
        dense_min: int, the smallest integer of the files, for "log".
        labels: bool, whether the lines begin with a label; False for Kaggle's `test.txt`.

    Raises:
        ValueError: on another number of tables, or a number of rows that is not positive.

    Example:

    >>> from tfrec_models.datasets import criteo_schema
    >>> schema = criteo_schema(num_ids=100_000)
    >>> schema.num_dense, len(schema.sparse)
    (13, 26)
    """
    sizes = np.asarray(num_ids)
    if sizes.ndim == 0:
        sizes = np.repeat(sizes, CAT_FEATURE_COUNT)
    if sizes.shape != (CAT_FEATURE_COUNT,) or sizes.dtype.kind not in "iu" or sizes.min() < 1:
        raise ValueError(
            "The rows of tables must be one positive integer, or one for each of the "
            f"{CAT_FEATURE_COUNT} categorical features, received {num_ids}."
        )
    offset = 2.0 - dense_min if transform == "log" else None
    return Schema(
        DEFAULT_LABEL_NAME if labels else None,
        [Dense(name, fill=0, transform=transform, offset=offset) for name in DEFAULT_INT_NAMES],
        [
            Sparse(name, ids="hex", num_ids=int(size), missing=0)
            for name, size in zip(DEFAULT_CAT_NAMES, sizes, strict=True)
        ],
        column_names=DEFAULT_COLUMN_NAMES if labels else DEFAULT_COLUMN_NAMES[1:],
    )
