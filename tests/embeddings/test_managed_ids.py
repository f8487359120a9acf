"""Tables whose ids come and go."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.plain_id_map import PlainIdMap, mixed, unmixed
from tests.support.row_updates import OPTIMIZERS
from tfrec_models import DLRM, KeyedJaggedTensor, native
from tfrec_models.embeddings import id_map_stock
from tfrec_models.native import id_map as id_map_native
from tfrec_models.layers import (
    EmbeddingBagCollection,
    EmbeddingBagConfig,
    EmbeddingCollection,
    EmbeddingConfig,
    ManagedIds,
)

POLICIES = {
    "lru": ManagedIds(),
    "lru_after_two": ManagedIds(admit_after=2),
    "lfu_after_three": ManagedIds(admit_after=3, evict="lfu", unknown="drop"),
    "ttl": ManagedIds(evict="ttl", ttl=2),
    "never": ManagedIds(admit_after=2, evict="never"),
}


def table_of(num_rows, policy, name="t", features=("f",), dim=4):
    return EmbeddingBagConfig(
        num_embeddings=num_rows,
        embedding_dim=dim,
        name=name,
        feature_names=list(features),
        id_policy=policy,
    )


def any_int64(rng, count):
    return rng.integers(-(2**63), 2**63 - 1, count, endpoint=True)


def in_one_group(rng, count):
    """Ids whose hashes begin alike: all of one first group."""
    return np.array([unmixed((5 << 40) | int(low)) for low in rng.integers(0, 2**33, count)])


def at_the_ends(rng, count):
    ends = [-(2**63), 2**63 - 1, -(2**63) + 1, 0, -1, 1, *range(2**62, 2**62 + 60)]
    return rng.choice(np.array(ends), count)


def zipf(rng, count):
    return np.minimum(rng.zipf(1.2, count), 2**40)


# Rows, ids of a batch, batches, how the ids are drawn.
LOGS = {
    "uniform": (300, 150, 8, any_int64),
    "one_group": (400, 120, 8, in_one_group),
    "ends": (33, 20, 12, at_the_ends),
    "zipf": (1500, 500, 6, zipf),
    "more_than_rows": (100, 60, 15, lambda rng, count: rng.integers(0, 300, count)),
}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_rows_of_ids_follow_the_plain_rule(policy):
    """Every id has the row that the rule in plain Python gives it, at every step, on both paths."""
    names = list(LOGS)
    tables = [table_of(LOGS[name][0], policy, name, [f"f_{name}"]) for name in names]
    plain = {
        name: PlainIdMap(LOGS[name][0], policy.admit_after, policy.evict, policy.ttl)
        for name in names
    }
    maps = {}
    for path in ("native", "stock"):
        collection = EmbeddingBagCollection(tables)
        collection.build()
        maps[path] = collection.table_stacks[0].id_map
    admit = {
        path: tf.function(functools.partial(module.admit, maps[path].state, maps[path].layout))
        for path, module in (("native", id_map_native), ("stock", id_map_stock))
    }
    rng = np.random.default_rng(7)
    for step in range(15):
        ids = {name: LOGS[name][3](rng, LOGS[name][1]) for name in names if step < LOGS[name][2]}
        expected = {
            name: [-1 if row is None else row for row in plain[name].batch(drawn.tolist())]
            for name, drawn in ids.items()
        }
        flat = tf.constant(np.concatenate(list(ids.values())), tf.int64)
        numbers = np.repeat([names.index(name) for name in ids], [len(d) for d in ids.values()])
        for path in admit:
            rows, _ = admit[path](flat, tf.constant(numbers, tf.int32))
            np.testing.assert_array_equal(rows, np.concatenate(list(expected.values())))
        for name in set(names) - set(ids):
            plain[name].step += 1
    for path, id_map in maps.items():
        for name in names:
            found = dict(zip(*(part.tolist() for part in id_map.ids_of(name)), strict=True))
            assert found == plain[name].row_of, (path, name)
    for native_part, stock_part in zip(maps["native"].weights, maps["stock"].weights, strict=True):
        if native_part.name != "seed":
            np.testing.assert_array_equal(native_part, stock_part, native_part.name)


def test_the_plain_hash_can_be_turned_back():
    """The adversarial ids above are what they claim to be."""
    for number in (0, -1, 2**63 - 1, -(2**63), 12345):
        assert unmixed(mixed(number)) == number


@pytest.mark.parametrize(
    "name, path", [*((name, "native") for name in [*OPTIMIZERS, "averages"]), ("adagrad", "stock")]
)
def test_with_a_row_for_every_id_it_learns_as_on_numbered_ids(name, path):
    """Twenty steps equal those on ids numbered in order of first appearance, to 1e-6."""
    make = {
        **{key: value[0] for key, value in OPTIMIZERS.items()},
        "averages": lambda: OPTIMIZERS["adagrad"][0]().from_config(
            {**OPTIMIZERS["adagrad"][0]().get_config(), "use_ema": True, "weight_decay": 0.01}
        ),
    }[name]
    rng = np.random.default_rng(3)
    known = any_int64(rng, 50)
    batches = known[rng.integers(0, 50, (20, 8, 3))]
    numbered = list(dict.fromkeys(batches.reshape(-1).tolist()))
    number_of = {number: place for place, number in enumerate(numbered)}
    targets = rng.normal(size=(20, 8, 4)).astype(np.float32)

    def train(collection, ids_of_step, optimizer):
        @tf.function
        def step(ids, target):
            with tf.GradientTape() as tape:
                pooled = collection({"f": ids}, training=True).values()
                loss = tf.reduce_sum(tf.square(pooled - target))
            optimizer.apply(tape.gradient(loss, [variable.value]), [variable])

        (variable,) = collection.table_variables
        for ids, target in zip(ids_of_step, targets, strict=True):
            step(tf.constant(ids), target)

    managed = EmbeddingBagCollection([table_of(50, ManagedIds())])
    plain = EmbeddingBagCollection([table_of(51, "error")])
    rule = PlainIdMap(50)
    for batch in batches:
        rule.batch(batch.reshape(-1).tolist())
    row_of = rule.row_of
    order = [row_of[number] for number in numbered]
    start = managed.read_table("t").numpy()
    plain.write_table("t", np.concatenate([start[order], start[len(order) :]])[:51])
    numbers = np.vectorize(number_of.get)(batches)
    if path == "stock":
        with native.native_disabled():
            train(managed, batches, make())
            train(plain, numbers, make())
    else:
        train(managed, batches, make())
        train(plain, numbers, make())
    assert dict(zip(*(part.tolist() for part in managed.ids_of("t")), strict=True)) == row_of
    np.testing.assert_allclose(
        managed.read_rows("t", numbered), plain.read_table("t")[: len(numbered)], atol=1e-6
    )
