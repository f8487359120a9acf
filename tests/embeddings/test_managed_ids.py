"""Tables whose ids come and go."""

import contextlib
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.c_api import signature_tensors
from tests.serving.runners import Runner
from tests.support.plain_id_map import PlainIdMap, mixed, unmixed
from tests.support.row_updates import OPTIMIZERS
from tfrec_models import (
    DLRM,
    KeyedJaggedTensor,
    SimpleDeepFMNN,
    execution,
    native,
    resize_tables,
    warm_start,
)
from tfrec_models.embeddings import id_map_stock
from tfrec_models.embeddings.resolve_ids import resolve_rows
from tfrec_models.embeddings.static_id_map import StaticIdMap
from tfrec_models.interop.torchrec import torchrec_state_dict
from tfrec_models.layers import (
    EmbeddingBagCollection,
    EmbeddingBagConfig,
    EmbeddingCollection,
    EmbeddingConfig,
    ManagedIds,
    ManagedIdsLogger,
)
from tfrec_models.native import id_map as id_map_native
from tfrec_models.optimizers import Adagrad, LazyAdam
from tfrec_models.serving import export
from tfrec_models.sparse.bag_batch import BagBatch

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
    "uniform": (150, 80, 8, any_int64),
    "one_group": (200, 60, 8, in_one_group),
    "ends": (33, 20, 10, at_the_ends),
    "zipf": (1200, 200, 6, zipf),
    "more_than_rows": (100, 60, 10, lambda rng, count: rng.integers(0, 300, count)),
}


def test_rows_of_ids_follow_the_plain_rule():
    """Every id has the row that the rule in plain Python gives it, at every step, on both paths.

    All settings lie in one variable, each with every log, on tables of its own.
    """
    tables, plain = [], []
    for name, (rows, *_) in LOGS.items():
        for chosen, policy in POLICIES.items():
            tables.append(table_of(rows, policy, f"{name}_{chosen}", [f"{name} {chosen}"]))
            plain.append(PlainIdMap(rows, policy.admit_after, policy.evict, policy.ttl))
    maps = {}
    for path in ("native", "stock"):
        collection = EmbeddingBagCollection(tables)
        collection.build()
        maps[path] = collection.table_stacks[0].id_map
    assert maps["stock"].layout.names == [table.name for table in tables]
    admit = {
        path: tf.function(functools.partial(module.admit, maps[path].state, maps[path].layout))
        for path, module in (("native", id_map_native), ("stock", id_map_stock))
    }
    rng = np.random.default_rng(7)
    for step in range(10):
        ids, expected = [], []
        for _, count, steps, draw in LOGS.values():
            drawn = draw(rng, count) if step < steps else np.zeros(0, np.int64)
            for _ in POLICIES:
                rule = plain[len(ids)]
                expected.append([-1 if row is None else row for row in rule.batch(drawn.tolist())])
                ids.append(drawn)
        numbers = np.repeat(np.arange(len(ids)), [len(drawn) for drawn in ids])
        for function in admit.values():
            rows, _ = function(
                tf.constant(np.concatenate(ids), tf.int64), tf.constant(numbers, tf.int32)
            )
            np.testing.assert_array_equal(rows, np.concatenate(expected))
    for path, id_map in maps.items():
        for table, rule in zip(tables, plain, strict=True):
            found = dict(zip(*(part.tolist() for part in id_map.ids_of(table.name)), strict=True))
            assert found == rule.row_of, (path, table.name)
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


def ranker(strategy=None, make_optimizer=lambda: LazyAdam(0.01)):
    """A small DLRM of a managed table of two features, another of one, and a hashed one."""
    keras.utils.set_random_seed(1)
    policy = ManagedIds(admit_after=2, evict="lfu")
    with strategy.scope() if strategy else contextlib.nullcontext():
        tables = [
            table_of(64, policy, "u", ["u", "v"]),
            table_of(40, "managed", "w", ["w"]),
            table_of(40, "hash", "p", ["p"]),
        ]
        model = DLRM(EmbeddingBagCollection(tables), 3, [4], [4, 1])
        model.build()
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        model.compile(make_optimizer(), loss)
    return model


@pytest.fixture(scope="module")
def batches():
    """Four batches of bags of one to three ids, from more ids than there are rows."""
    rng = np.random.default_rng(0)
    count = 4 * 32
    sparse = {}
    for name in ("u", "v", "w", "p"):
        lengths = rng.integers(1, 4, count)
        ids = rng.integers(0, 150, lengths.sum()) * 2**33 - 5
        sparse[name] = tf.RaggedTensor.from_row_lengths(ids, lengths)
    dense = rng.normal(size=(count, 3)).astype(np.float32)
    labels = rng.integers(0, 2, (count, 1)).astype(np.float32)
    inputs = {"dense_features": dense, "sparse_features": sparse}
    return tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(32)


@pytest.fixture(scope="module")
def trained(batches):
    """A ranker after two epochs, and what the logger said of them."""
    model = ranker()
    history = model.fit(batches, epochs=2, verbose=0, callbacks=[ManagedIdsLogger()]).history
    return model, history


def assert_same_weights(model, other, **tolerance):
    for ours, theirs in zip(model.weights, other.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, err_msg=ours.path, **tolerance)


def test_training_through_fit_follows_the_plain_rule(trained, batches):
    """After two epochs of `fit` the map is that of the rule; prediction changes nothing."""
    model, history = trained
    rule = PlainIdMap(64, admit_after=2, evict="lfu")
    evicted = []
    for _ in range(2):
        before = set(rule.row_of)
        lost = 0
        for inputs, _ in batches:
            sparse = inputs["sparse_features"]
            rule.batch(np.concatenate([sparse["u"].values, sparse["v"].values]).tolist())
            lost += len(before - set(rule.row_of))
            before = set(rule.row_of)
        evicted.append(lost)
    model.predict(batches, verbose=0)
    model.evaluate(batches, verbose=0)
    ids, rows = model.embedding_bag_collection.ids_of("u")
    assert dict(zip(ids.tolist(), rows.tolist(), strict=True)) == rule.row_of
    assert history["u/evicted"] == evicted
    assert history["u/occupancy"][-1] == len(rule.row_of) / 64
    total = sum(
        len(inputs["sparse_features"][name].values) for inputs, _ in batches for name in ("u", "v")
    )
    assert [h + u for h, u in zip(history["u/hits"], history["u/unknown"], strict=True)] == [
        total,
        total,
    ]


def test_unknown_ids_share_a_row_or_are_left_out():
    """Outside training an id without a row reads the last row, or nothing."""
    for unknown in ("oov", "drop"):
        collection = EmbeddingBagCollection([table_of(20, ManagedIds(unknown=unknown))])
        collection({"f": tf.constant([5])}, training=True)
        known, other = collection.read_rows("t", [5, 6]).numpy()
        table = collection.read_table("t").numpy()
        np.testing.assert_array_equal(known, table[collection.ids_of("t")[1][0]])
        np.testing.assert_array_equal(other, table[20] if unknown == "oov" else np.zeros(4))
        collection({"f": tf.constant([7])})
        assert collection.ids_of("t")[0].tolist() == [5]


def test_frozen_tables_stay_as_they_are():
    """Training of the rest of a model gives no rows to new ids, and takes none."""
    for cls, config in (
        (EmbeddingBagCollection, EmbeddingBagConfig),
        (EmbeddingCollection, EmbeddingConfig),
    ):
        collection = cls([config(2, 4, "t", feature_names=["f"], id_policy="managed")])
        collection({"f": tf.constant([5, 6])}, training=True)
        before = collection.read_table("t").numpy()
        collection.trainable = False
        collection({"f": tf.constant([7, 8])}, training=True)
        np.testing.assert_array_equal(collection.read_table("t"), before)
        assert sorted(collection.ids_of("t")[0].tolist()) == [5, 6]
        collection.trainable = True
        collection({"f": tf.constant([7, 8])}, training=True)
        assert sorted(collection.ids_of("t")[0].tolist()) == [7, 8]


@pytest.mark.parametrize("path", ["native", "stock"])
def test_an_evicted_row_and_its_state_start_afresh(path):
    """The new id inherits neither embedding nor accumulator of the old one."""
    with native.native_disabled() if path == "stock" else contextlib.nullcontext():
        collection = EmbeddingBagCollection(
            [
                EmbeddingBagConfig(
                    1, 4, "t", init_fn=keras.initializers.Constant(0.5), id_policy="managed"
                )
            ]
        )
        collection.build()
        (variable,) = collection.table_variables
        optimizer = Adagrad(0.1, initial_accumulator_value=0.25)

        @tf.function
        def step(ids):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(collection({"t": ids}, training=True).values())
            optimizer.apply([tape.gradient(loss, variable.value)], [variable])

        for _ in range(5):
            step(tf.constant([11]))
        assert float(optimizer.slots_of(variable)["accumulator"][1, 0]) == 5.25
        step(tf.constant([12]))
    assert collection.ids_of("t")[0].tolist() == [12]
    assert float(optimizer.slots_of(variable)["accumulator"][1, 0]) == 1.25
    expected = 0.5 - 0.1 / (np.sqrt(1.25) + 1e-7)
    np.testing.assert_allclose(
        collection.read_rows("t", [12]), np.full((1, 4), expected), atol=1e-6
    )


def test_saved_and_loaded_it_goes_on_as_it_would_have(trained, batches, tmp_path):
    """From a `.keras` file map, tables and state are the same, and so is the next epoch."""
    model, _ = trained
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert_same_weights(loaded, model, rtol=0)
    for other in (loaded, again):
        other.fit(batches, verbose=0)
    assert_same_weights(loaded, again, rtol=0)
    pairs = zip(loaded.optimizer.variables, again.optimizer.variables, strict=True)
    for ours, theirs in pairs:
        np.testing.assert_array_equal(ours, theirs, ours.path)


def test_an_export_answers_as_predict_does(trained, batches, tmp_path):
    """Known, unknown and evicted ids, in Python and by the C API, with tables as int8 too."""
    model, _ = trained
    inputs, _ = next(iter(batches))
    features = model.sparse_feature_names
    sparse = dict(inputs["sparse_features"])
    known = set(model.embedding_bag_collection.ids_of("u")[0].tolist())
    seen = {number for bags, _ in batches for number in bags["sparse_features"]["u"].values.numpy()}
    evicted = sorted(seen - known)
    # Of each three ids of "u" one is evicted, one was never seen and one has a row.
    values = sparse["u"].values.numpy()
    values[::3], values[1::3] = np.resize(evicted, len(values[::3])), -(2**63)
    values[2::3] = np.resize(sorted(known), len(values[2::3]))
    sparse["u"] = sparse["u"].with_values(tf.constant(values))
    request = {
        "dense_features": tf.cast(inputs["dense_features"], tf.float32),
        "values": tf.concat([sparse[name].values for name in features], 0),
        "lengths": tf.concat([sparse[name].row_lengths() for name in features], 0),
    }
    inputs = {"dense_features": inputs["dense_features"], "sparse_features": sparse}
    expected = model.predict(tf.data.Dataset.from_tensors(inputs), verbose=0)
    for dtype, tolerance in ((None, 0), ("int8", 1e-2)):
        path = export(model, tmp_path / str(dtype), table_dtype=dtype)
        rank = tf.saved_model.load(str(path)).signatures["serving_packed"]
        np.testing.assert_allclose(rank(**request)["logits"], expected, rtol=0, atol=tolerance)
        graph = rank.graph.as_graph_def()
        operations = [node.op for function in graph.library.function for node in function.node_def]
        assert not [op for op in operations if op.startswith("Tfrec")]
        # Those of pooling, over blocks of many ids.
        loops = [op for op in operations if op.endswith("While")]
        assert len(loops) == len(model.embedding_bag_collection.table_stacks)
    runner = Runner("run_with_c_api", tmp_path / "log")
    request = {name: np.asarray(value) for name, value in request.items()}
    path = path.parents[1] / "None" / path.name
    runner.ask(str(path), signature_tensors(path), {"all": ("serving_packed", request)})
    np.testing.assert_array_equal(runner.answers()["all"]["logits"], expected)
    runner.close()


def test_the_map_of_an_export_finds_every_id():
    """Ids with equal low or high bits, tables of other sizes, "drop" and unmanaged columns."""
    rng = np.random.default_rng(2)
    drawn = {
        "a": np.unique(rng.integers(-(2**63), 2**63 - 1, 700)),
        "b": np.arange(400) << 54,
        "c": np.array([0, -(2**63), 2**63 - 1]),
        "d": np.array([], np.int64),
    }
    tables = [
        table_of(
            max(len(ids), 1), ManagedIds(unknown="oov" if name < "c" else "drop"), name, [name]
        )
        for name, ids in drawn.items()
    ]
    collection = EmbeddingBagCollection([*tables, table_of(9, "hash", "p", ["p"])])
    collection.build()
    (stack,) = collection.table_stacks
    id_map_stock.admit(
        stack.id_map.state,
        stack.id_map.layout,
        tf.constant(np.concatenate(list(drawn.values()))),
        tf.constant(np.repeat(np.arange(4), [len(ids) for ids in drawn.values()]), tf.int32),
    )
    asked = tf.constant(np.stack([rng.permutation(np.concatenate(list(drawn.values())))] * 5, 1))
    rows = resolve_rows(stack, BagBatch.of_one_id(asked))
    maps = {stack.id_map: StaticIdMap(stack)}
    with execution.using(execution.Execution(portable=True, id_maps=maps)):
        np.testing.assert_array_equal(resolve_rows(stack, BagBatch.of_one_id(asked)), rows)
    assert len(np.unique(rows[:, 1])) == len(stack.id_map.ids_of("b")[0]) + 1


def test_two_replicas_end_with_the_map_of_one_device(two_devices, batches):
    """Each replica admits the ids of all, so maps, tables and state are equal."""
    one, two = (ranker(strategy, lambda: Adagrad(0.1)) for strategy in (None, two_devices))
    for model in (one, two):
        model.fit(batches, verbose=0)
    assert_same_weights(one, two, atol=1e-5)
    for weight in two.embedding_bag_collection.table_stacks[0].id_map.weights:
        first, second = weight.value.values
        np.testing.assert_array_equal(first, second, weight.path)


def test_every_form_of_input_is_admitted_alike():
    """Ragged, packed, a matrix of ids, and a KeyedJaggedTensor; with weights and unpooled too."""
    ids = np.random.default_rng(5).integers(-(2**40), 2**40, (6, 2))
    tables = [table_of(30, "managed", f"t{i}", [f"f{i}"]) for i in range(2)]
    as_ragged = {f"f{i}": tf.RaggedTensor.from_tensor(ids[:, i : i + 1]) for i in range(2)}
    kjt = KeyedJaggedTensor(
        ["f0", "f1"], tf.constant(ids.T.reshape(-1)), lengths=tf.ones([12], tf.int32)
    )
    packed = tf.RaggedTensor.from_tensor(ids[:, :, np.newaxis], ragged_rank=2)
    weights = tf.ones([6, 2])
    unpooled = EmbeddingCollection(
        [
            EmbeddingConfig(30, 4, f"t{i}", feature_names=[f"f{i}"], id_policy="managed")
            for i in range(2)
        ]
    )
    unpooled(as_ragged, training=True)
    maps = [[unpooled.ids_of(f"t{i}") for i in range(2)]]
    for form in (as_ragged, kjt, packed, tf.constant(ids), (tf.constant(ids), weights)):
        collection = EmbeddingBagCollection(tables, is_weighted=isinstance(form, tuple))
        collection(form, training=True)
        maps.append([collection.ids_of(f"t{i}") for i in range(2)])
    for found in maps[1:]:
        np.testing.assert_array_equal(found, maps[0])


def test_tables_grow_with_their_ids_and_state(trained, batches, tmp_path):
    """A larger model predicts the same and has the state of every id; the old one has no tables.

    A size that is too small is refused before anything is moved.
    """
    trained[0].save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")

    def state(one):
        collection = one.embedding_bag_collection
        variable, stack = collection.stack_of("u")
        ids, rows = collection.ids_of("u")
        order = np.argsort(ids)
        slots = one.optimizer.slots_of(variable)
        places = stack.first_rows["u"] + rows[order]
        return [ids[order], *(tf.gather(slot, places).numpy() for slot in slots.values())]

    count = len(state(model)[0])
    message = f"'u' must keep a row for each of its {count} ids, received {count - 1} rows"
    with pytest.raises(ValueError, match=message):
        resize_tables(model, {"u": count - 1})
    expected = model.predict(batches, verbose=0)
    before, iterations = state(model), int(model.optimizer.iterations)
    larger = resize_tables(model, {"u": 200, "p": 80})
    np.testing.assert_allclose(larger.predict(batches, verbose=0), expected, atol=1e-6)
    for ours, theirs in zip(state(larger), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert int(larger.optimizer.iterations) == iterations
    (variable,) = model.embedding_bag_collection.table_variables
    slots = model.optimizer.slots_of(variable).values()
    assert {int(tf.shape(part.value)[0]) for part in (variable, *slots)} == {0}


def test_a_resize_that_fails_leaves_the_tables(monkeypatch):
    """Where the larger model cannot be made, the old one is as it was."""
    model = SimpleDeepFMNN(2, EmbeddingBagCollection([table_of(10, "error")]), 4, 4)
    model.build()
    before = model.embedding_bag_collection.read_table("t").numpy()

    def build(self):
        raise MemoryError("no memory")

    monkeypatch.setattr(SimpleDeepFMNN, "build", build)
    with pytest.raises(MemoryError, match="no memory"):
        resize_tables(model, {"t": 20})
    np.testing.assert_array_equal(model.embedding_bag_collection.read_table("t"), before)


def test_warm_start_reports_what_it_left():
    """Tables and layers that fit are copied; the others are named, with why."""
    old, new = (
        SimpleDeepFMNN(2, EmbeddingBagCollection(tables), 4, 4)
        for tables in (
            [table_of(10, "error", "a", ["a"]), table_of(10, "hash", "h", ["h"])],
            [table_of(15, "error", "a", ["a"]), table_of(15, "hash", "h", ["h"])],
        )
    )
    old.build()
    new.build()
    report = warm_start(new, old)
    assert report.left == {
        "h": "ids are hashed to 10 rows there and to 15 here, which is no multiple"
    }
    np.testing.assert_array_equal(
        new.embedding_bag_collection.read_table("a")[:10],
        old.embedding_bag_collection.read_table("a"),
    )
    with pytest.raises(TypeError, match="from_model must be a keras.Model, received str"):
        warm_start(new, "old")


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ManagedIds(admit_after=0), "admit_after must be a positive integer, received 0"),
        (lambda: ManagedIds(evict="mru"), "evict of ManagedIds must be one of .*received 'mru'"),
        (lambda: ManagedIds(unknown="zero"), "unknown of ManagedIds must be one of .*'zero'"),
        (lambda: ManagedIds(evict="ttl"), "takes ttl with evict='ttl', and only there; received"),
        (lambda: ManagedIds(ttl=3), "takes ttl with evict='ttl', and only there; received"),
        (lambda: table_of(0, "managed"), "num_embeddings of table 't' must be a positive integer"),
        (lambda: table_of(5, "menaged"), "'managed'] or a ManagedIds, received 'menaged'"),
        (
            lambda: EmbeddingBagConfig(5, 4, "t", init_fn=lambda *a, **k: 0, id_policy="managed"),
            "must be a random or constant initializer of Keras with managed ids",
        ),
        (
            lambda: ranker(make_optimizer=keras.optimizers.Adam),
            "need an optimizer that resets the state of rows .*received keras.optimizers.Adam",
        ),
        (
            lambda: torchrec_state_dict(EmbeddingBagCollection([table_of(5, "managed")])),
            "must have numbered ids to be converted, received 't' with ManagedIds",
        ),
        (
            lambda: EmbeddingBagCollection([table_of(5, "hash")]).ids_of("t"),
            "ids_of takes a table with id_policy=ManagedIds",
        ),
        (
            lambda: EmbeddingBagCollection([table_of(5, "managed")]).read_rows("t", [0.5]),
            "ids must be a vector of integers, received float32",
        ),
    ],
)
def test_bad_settings_are_refused(make, message):
    """Each with what was received, and what to do."""
    with pytest.raises(ValueError, match=message):
        make()


def test_a_file_of_another_policy_or_size_is_refused(tmp_path):
    """With both policies or sizes named, whichever of the two has managed ids."""

    def make(policy, rows=9):
        model = SimpleDeepFMNN(2, EmbeddingBagCollection([table_of(rows, policy)]), 4, 4)
        model.build()
        return model

    path = tmp_path / "w.weights.h5"
    make("managed").save_weights(path)
    with pytest.raises(ValueError, match="managed ids where the model has id_policy='oov'"):
        make("oov").load_weights(path)
    with pytest.raises(ValueError, match="those of tables of another size or policy"):
        make(ManagedIds(evict="lfu")).load_weights(path)
    larger = r"received table 't' of shape \(10, 4\) where the model has \(91, 4\)"
    with pytest.raises(ValueError, match=larger):
        make("managed", rows=90).load_weights(path)
    make("oov").save_weights(path)
    with pytest.raises(ValueError, match="numbered ids where the model has id_policy=ManagedIds"):
        make("managed").load_weights(path)


def test_memory_of_the_map():
    """At most 24 bytes a row, whatever the settings."""
    policy = ManagedIds(admit_after=2, evict="lfu")
    for rows in (10_000, 100_000):
        collection = EmbeddingBagCollection([table_of(rows, policy)])
        collection.build()
        weights = collection.table_stacks[0].id_map.weights
        size = sum(int(np.prod(w.shape)) * tf.as_dtype(w.dtype).size for w in weights)
        assert size <= 24 * rows, (rows, size / rows)
