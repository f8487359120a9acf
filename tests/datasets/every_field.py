"""A schema that uses each field, and a log of it."""

import numpy as np
import pyarrow as pa

from tfrec_models.datasets import Dense, Schema, Sparse


def everything():
    """A schema that uses each field."""
    return Schema(
        label="y",
        dense=[
            Dense("a", fill=-1),
            Dense("b", transform="log1p"),
            Dense("c", transform="log", offset=2.5),
            Dense("d", transform="standardize"),
            Dense("e", transform="clip", low=-1, high=np.float32(0.1)),
            Dense("f", transform="quantile", num_buckets=4),
        ],
        sparse=[
            Sparse("i", ids="integer"),
            Sparse("h", ids="hash", num_ids=np.int64(1000), missing=0),
            Sparse("v", ids="vocabulary", min_count=2, missing="drop"),
            Sparse("x", ids="hex", num_ids=77),
            Sparse("l", like="v", max_length=3, weights="w"),
            Sparse("s", ids="vocabulary", separator="|"),
            Sparse("c", cross=("h", "x"), num_ids=50),
        ],
    )


def log(n=200, seed=0):
    """Rows of that schema."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 6, n)
    values = ["yes", "no", "1", "1.0", "~", "null", "é", "", "a\x85b\u2028"]
    columns = {name: rng.normal(size=n) for name in "abdef"}
    return pa.table(
        {
            **columns,
            "y": rng.integers(0, 2, n),
            "c": rng.random(n),
            "i": rng.integers(0, 9, n),
            "h": rng.integers(0, 2**62, n),
            "v": rng.choice(values, n),
            "x": [f"{number:x}" for number in rng.integers(0, 2**32, n)],
            "l": [rng.choice(values, k).tolist() for k in lengths],
            "w": [rng.random(k).tolist() for k in lengths],
            "s": ["|".join(rng.choice(["p", "q", "r"], k)) for k in lengths],
        }
    )
