"""Rows of managed ids beside the rule in plain Python, on a million ids of each kind.

    python benchmarks/managed_ids_rule.py [KIND] [--ids 1000000] [--rows 100000] [--seed 0]

Uniform and Zipf-distributed 64-bit ids, both ends of int64, and ids that all begin at one group of
rows. At every step every id must have the same row by TensorFlow's operations, by the native kernel
and by `tests/support/plain_id_map.py`; the exit code is 1 where one does not.
"""

import argparse
import functools
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tests.support.plain_id_map import PlainIdMap, unmixed  # noqa: E402
from tfrec_models.embeddings import id_map_stock  # noqa: E402
from tfrec_models.layers import (  # noqa: E402
    EmbeddingBagCollection,
    EmbeddingBagConfig,
    ManagedIds,
)
from tfrec_models.native import id_map as id_map_native  # noqa: E402

BATCH = 20_000
ENDS = np.array([-(2**63), 2**63 - 1, 0, -1, 1])


def uniform(rng, count):
    return rng.integers(-(2**63), 2**63 - 1, count, endpoint=True)


def zipf(rng, count):
    return np.minimum(rng.zipf(1.1, count), 2**62)


def ends(rng, count):
    return np.where(rng.random(count) < 0.5, rng.choice(ENDS, count), uniform(rng, count))


def one_group(rng, count):
    return np.array([unmixed((5 << 40) | int(low)) for low in rng.integers(0, 2**33, count)])


KINDS = {"uniform": uniform, "zipf": zipf, "ends": ends, "one_group": one_group}
POLICIES = (
    ManagedIds(),
    ManagedIds(admit_after=2, evict="lfu"),
    ManagedIds(evict="ttl", ttl=5, unknown="drop"),
)


def first_difference(draw, num_ids, num_rows, policy, rng):
    """The number of the first id with another row, or None."""
    table = EmbeddingBagConfig(num_rows, 1, "t", id_policy=policy)
    collections = [EmbeddingBagCollection([table]) for _ in range(2)]
    functions = []
    for collection, module in zip(collections, (id_map_stock, id_map_native), strict=True):
        collection.build()
        id_map = collection.table_stacks[0].id_map
        functions.append(tf.function(functools.partial(module.admit, id_map.state, id_map.layout)))
    rule = PlainIdMap(num_rows, policy.admit_after, policy.evict, policy.ttl)
    for first in range(0, num_ids, BATCH):
        ids = draw(rng, min(BATCH, num_ids - first))
        expected = np.array([-1 if row is None else row for row in rule.batch(ids.tolist())])
        for function in functions:
            rows, _ = function(tf.constant(ids, tf.int64), tf.zeros(len(ids), tf.int32))
            if (wrong := np.flatnonzero(rows.numpy() != expected)).size:
                return first + int(wrong[0])
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("kinds", nargs="*", default=list(KINDS), metavar="KIND")
    parser.add_argument("--ids", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    failed = False
    for kind in options.kinds:
        for policy in POLICIES:
            rng = np.random.default_rng(options.seed)
            wrong = first_difference(KINDS[kind], options.ids, options.rows, policy, rng)
            failed |= wrong is not None
            result = "equal" if wrong is None else f"another row for id number {wrong}"
            print(
                f"{kind}, {policy.evict}, {options.ids} ids, {options.rows} rows: {result}",
                flush=True,
            )
    sys.exit(failed)


if __name__ == "__main__":
    main()
