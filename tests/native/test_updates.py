"""Native sparse updates against the rules in NumPy, and beside TensorFlow's path."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.row_updates import COLUMNS, IDS, OPTIMIZERS, ROWS, slices
from tfrec_models import native, optimizers
from tfrec_models._rows.unique_rows import UniqueRows
from tfrec_models.native.lookup import pool_rows
from tfrec_models.native.update import update_rows

pytestmark = pytest.mark.usefixtures("kernels")

# The kernel has the usual power alone.
NATIVE = [name for name in OPTIMIZERS if name != "ftrl_cube_root"]


def native_ops(function, *args):
    graph = tf.function(function).get_concrete_function(*args).graph
    return [op.type for op in graph.get_operations() if op.type.startswith("Tfrec")]


@pytest.mark.parametrize("ids", IDS)
@pytest.mark.parametrize("name", NATIVE)
def test_pooled_gradient_follows_the_rule(name, ids):
    """Lookup, gradient and fused update in one graph == the rule on NumPy's sums."""
    make, rule, settings = OPTIMIZERS[name]
    rng = np.random.default_rng(0)
    start = rng.normal(size=(ROWS, COLUMNS)).astype(np.float32)
    table, optimizer = tf.Variable(start), make()
    optimizer.build([table])
    expected = rule(start, **settings)

    @tf.function(reduce_retracing=True)
    def step(rows, upstream):
        with tf.GradientTape() as tape:
            pooled = pool_rows(table, rows, tf.stack([0, tf.size(rows) // 2, tf.size(rows)]))
            loss = tf.reduce_sum(pooled * upstream)
        optimizer.apply([tape.gradient(loss, table)], [table])

    for rows in IDS[ids]:
        upstream = rng.normal(size=(2, COLUMNS)).astype(np.float32)
        step(tf.constant(rows, tf.int32), upstream)
        bags = [int(i >= len(rows) // 2) for i in range(len(rows))]
        expected.step(upstream[bags], rows)
        np.testing.assert_allclose(table.numpy(), expected.w, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NATIVE)
def test_fused_op_is_used_and_sums_are_not(name):
    """With a bag gradient there is one update, whatever the optimizer; no sums are written out."""
    table, optimizer = tf.Variable(tf.ones((ROWS, COLUMNS))), OPTIMIZERS[name][0]()
    optimizer.build([table])

    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(
                tf.square(pool_rows(table, tf.constant([1, 1]), tf.constant([0, 2])))
            )
        optimizer.apply([tape.gradient(loss, table)], [table])

    function = tf.function(step).get_concrete_function()
    ops = {op.type: op for op in function.graph.get_operations()}
    assert "TfrecUpdateRows" in ops
    assert not any(output.consumers() for output in ops["TfrecSumRows"].outputs)
    with native.native_disabled():
        stock = {op.type for op in tf.function(step).get_concrete_function().graph.get_operations()}
    assert "TfrecUpdateRows" not in stock


@pytest.mark.parametrize("bags", [[0, 2, 3], None])
def test_gradients_in_bfloat16_are_read_as_they_are(bags):
    """In mixed precision no float32 copy of them is made, and sums are in float32 all the same."""
    table, optimizer = tf.Variable(tf.zeros((ROWS, COLUMNS))), optimizers.SGD(1.0)
    optimizer.build([table])
    upstream = np.random.default_rng(0).normal(size=(3 if bags is None else 2, COLUMNS))
    upstream = tf.cast(upstream, tf.bfloat16)

    def step():
        with tf.GradientTape() as tape:
            pooled = pool_rows(table, tf.constant([1, 4, 4]), bags)
            pooled = tf.cast(tf.reshape(pooled, [1, -1, COLUMNS]), tf.bfloat16)
            loss = tf.reduce_sum(tf.cast(pooled[0] * upstream, tf.float32))
        optimizer.apply([tape.gradient(loss, table)], [table])

    function = tf.function(step).get_concrete_function()
    (update,) = (op for op in function.graph.get_operations() if op.type == "TfrecUpdateRows")
    assert update.get_attr("G") == tf.bfloat16
    function()
    given = tf.cast(upstream, tf.float32).numpy()
    expected = np.zeros((ROWS, COLUMNS), np.float32)
    np.subtract.at(expected, [1, 4, 4], given if bags is None else given[[0, 0, 1]])
    np.testing.assert_allclose(table.numpy(), expected, rtol=1e-6, atol=0)


def test_an_update_waits_for_checks_of_its_gradient():
    """A check that the float32 copy of a gradient waits for: what it refuses changes no table."""
    table, optimizer = tf.Variable(tf.ones((ROWS, COLUMNS))), optimizers.SGD(1.0)
    optimizer.build([table])

    @tf.custom_gradient
    def refused(pooled):
        def gradient(upstream):
            upstream = tf.cast(upstream, tf.bfloat16)
            check = tf.debugging.Assert(tf.reduce_all(upstream < 0), ["refused"])
            with tf.control_dependencies([check]):
                return tf.cast(upstream, tf.float32)

        return tf.identity(pooled), gradient

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(refused(pool_rows(table, tf.constant([1, 2]), None)))
        optimizer.apply([tape.gradient(loss, table)], [table])

    graph = step.get_concrete_function().graph
    (update,) = (op for op in graph.get_operations() if op.type == "TfrecUpdateRows")
    assert update.get_attr("G") == tf.float32
    with pytest.raises(tf.errors.InvalidArgumentError, match="refused"):
        step()
    np.testing.assert_array_equal(table.numpy(), 1)


@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.parametrize("width", [1, 3, 4, 16, 64, 100])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_equals_the_stock_update(name, width, dtype):
    """Two steps on a plain sparse gradient, native and stock: tables and slots agree."""
    found = []
    for enabled in (True, False):
        rng = np.random.default_rng(width)
        table = tf.Variable(tf.cast(rng.normal(size=(ROWS, width)), dtype))
        optimizer = OPTIMIZERS[name][0]()
        optimizer.build([table])
        native.set_native_enabled(enabled)
        for _ in range(2):
            values = tf.cast(rng.normal(size=(5, width)), dtype)
            gradient = tf.IndexedSlices(values, tf.constant([2, 6, 2, 0, 2]), [ROWS, width])
            optimizer.apply([gradient], [table])
        native.set_native_enabled(True)
        slots = [slot.value.numpy() for slot in optimizer.slots_of(table).values()]
        found.append([tf.cast(table, tf.float32).numpy(), *slots])
    for i, (ours, theirs) in enumerate(zip(*found, strict=True)):
        rounding = dtype == "bfloat16" and i == 0
        np.testing.assert_allclose(ours, theirs, rtol=2.0**-7 if rounding else 1e-6, atol=1e-6)


@pytest.mark.parametrize("feature", ["clipnorm", "loss_scale_factor", "check_finite"])
def test_features_that_read_the_sums(feature):
    """Clipping, unscaling and checking give what they give on TensorFlow's path."""
    found = []
    for enabled in (True, False):
        table = tf.Variable(tf.ones((ROWS, COLUMNS)))
        optimizer = optimizers.RowWiseAdagrad(0.1, **{feature: {"clipnorm": 0.5}.get(feature, 2)})
        native.set_native_enabled(enabled)
        with tf.GradientTape() as tape:
            rows, splits = tf.constant([1, 1, 4]), tf.constant([0, 2, 3])
            if enabled:
                pooled = pool_rows(table, rows, splits)
            else:
                pooled = tf.math.segment_sum(tf.gather(table, rows), [0, 0, 1])
            loss = tf.reduce_sum(tf.square(pooled))
        optimizer.apply([tape.gradient(loss, table)], [table])
        native.set_native_enabled(True)
        found.append(table.numpy())
    np.testing.assert_allclose(*found, rtol=0, atol=1e-6)
    assert (found[0][1] != 1).all()


@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_l2_decay_and_averages(name, dtype):
    """They are in the kernels' step, as on TensorFlow's path: tables, slots and averages agree."""
    found = []
    options = {"l2": 0.3, "weight_decay": 0.1, "use_ema": dtype == "float32"}
    for enabled in (True, False):
        rng = np.random.default_rng(0)
        table = tf.Variable(tf.cast(rng.normal(size=(ROWS, COLUMNS)), dtype))
        plain = OPTIMIZERS[name][0]()
        optimizer = type(plain).from_config({**plain.get_config(), **options})
        optimizer.build([table])
        native.set_native_enabled(enabled)
        for rows in ([2, 6, 2, 0, 2], [1, 6, 2, 6, 1]):
            values = tf.cast(rng.normal(size=(5, COLUMNS)), dtype)
            gradient = tf.IndexedSlices(values, tf.constant(rows), [ROWS, COLUMNS])
            optimizer.apply([gradient], [table])
        used = native_ops(functools.partial(optimizer.apply, [gradient], [table]))
        assert ("TfrecUpdateRows" in used) == enabled
        native.set_native_enabled(True)
        slots, averages = optimizer.state_of(table)
        found.append([tf.cast(table, tf.float32).numpy(), *(v.numpy() for v in slots + averages)])
    for i, (ours, theirs) in enumerate(zip(*found, strict=True)):
        rounding = dtype == "bfloat16" and i == 0
        np.testing.assert_allclose(ours, theirs, rtol=2.0**-7 if rounding else 2e-6, atol=2e-6)


@pytest.mark.parametrize(
    ("optimizer", "dtype"),
    [
        (optimizers.Ftrl(learning_rate_power=-0.4), "float32"),
        (optimizers.SGD(use_ema=True), "bfloat16"),
    ],
)
def test_features_without_a_kernel_take_the_stock_path(optimizer, dtype):
    """Other powers, and averages of tables that are rounded, are not in the kernels."""
    table = tf.Variable(tf.ones((ROWS, COLUMNS), dtype))
    optimizer.build([table])
    gradient = slices([[1.0, 1.0, 1.0]], [2], dtype)
    assert native_ops(lambda: optimizer.apply([gradient], [table])) == []


def test_a_subclass_with_its_own_rule_is_obeyed():
    """The kernel stands for the rule of the class that names it, and for no other."""

    class Backwards(optimizers.SGD):
        def rule(self, weights, gradient, slots, learning_rate):
            return weights + learning_rate * gradient, []

    table = tf.Variable(tf.ones((ROWS, COLUMNS)))
    Backwards(1.0).apply([slices([[1.0, 1.0, 1.0]], [2], "float32")], [table])
    assert table.numpy()[2].tolist() == [2.0, 2.0, 2.0]


def test_a_tensor_read_before_keeps_its_values():
    """An update in place does not show in what was read from the table before."""
    table = tf.Variable(tf.ones((ROWS, COLUMNS)))
    gradient = slices([[1.0, 1.0, 1.0]], [2], "float32")
    for _ in range(2):
        before = table.read_value()
        kept = before.numpy().copy()
        optimizers.SGD(0.5).apply([gradient], [table])
        np.testing.assert_array_equal(before, kept)
        assert (table.numpy()[2] == kept[2] - 0.5).all()
    table.assign(tf.zeros((ROWS, COLUMNS)))
    optimizers.SGD(0.5).apply([gradient], [table])
    assert table.numpy().sum() == -1.5


def test_moving_a_large_table_changes_no_row():
    """A table that is moved to large pages at its first step differs in the updated rows alone."""
    start = np.arange(300_000 * 16, dtype=np.float32).reshape(-1, 16)
    table = tf.Variable(start)
    optimizer = optimizers.SGD(1.0)
    rows = [0, 131_072, 299_999]
    for _ in range(2):
        optimizer.apply([tf.IndexedSlices(tf.ones((3, 16)), rows, [300_000, 16])], [table])
        start[rows] -= 1
        np.testing.assert_array_equal(table.numpy(), start)


def test_lookup_before_update_within_one_function():
    """A graph's lookups and updates of one table happen in the order they were written."""
    table = tf.Variable(tf.ones((ROWS, COLUMNS)))
    optimizer = optimizers.SGD(1.0)
    optimizer.build([table])

    @tf.function
    def step():
        rows, splits = tf.constant([2, 2]), tf.constant([0, 2])
        first = pool_rows(table, rows, splits)
        optimizer.apply([slices([[1.0, 1.0, 1.0]], [2], "float32")], [table])
        second = pool_rows(table, rows, splits)
        optimizer.apply([slices([[1.0, 1.0, 1.0]], [2], "float32")], [table])
        return first, second, tf.gather(table, [2])

    found = [tensor.numpy()[0, 0] for tensor in step()]
    assert found == [2.0, 0.0, -1.0]


def test_bad_inputs_are_refused():
    """Rows outside the table and gradients of another width change nothing."""
    table = tf.Variable(tf.ones((ROWS, COLUMNS)))
    for row in (ROWS, -1):
        merged = UniqueRows(tf.ones((1, COLUMNS)), tf.constant([row]), None)
        with pytest.raises(tf.errors.InvalidArgumentError, match="rows run from 0 to 6"):
            update_rows(table, [], merged, "sgd", [], 1.0)
    wide = UniqueRows(tf.ones((1, COLUMNS + 1)), tf.constant([1]), None)
    with pytest.raises(tf.errors.InvalidArgumentError, match="a row for each row updated"):
        update_rows(table, [], wide, "sgd", [], 1.0)
    slot = tf.Variable(tf.ones((ROWS, COLUMNS + 1)))
    fine = UniqueRows(tf.ones((1, COLUMNS)), tf.constant([1]), None)
    with pytest.raises(tf.errors.InvalidArgumentError, match="shape of its table"):
        update_rows(table, [slot], fine, "adagrad", [1e-7], 1.0)
    assert (table.numpy() == 1).all()


def test_rows_must_be_distinct():
    """Rows that do not rise are checked for repeats, which two threads would write at once."""
    table = tf.Variable(tf.ones((ROWS, COLUMNS)))
    merged = UniqueRows(tf.ones((3, COLUMNS)), tf.constant([5, 1, 3]), None)
    update_rows(table, [], merged, "sgd", [], 1.0)
    assert table.numpy()[:, 0].tolist() == [1, 0, 1, 0, 1, 0, 1]
    for rows in ([5, 1, 5], [2, 2, 3], [6, 0, 0]):
        merged = UniqueRows(tf.ones((3, COLUMNS)), tf.constant(rows), None)
        with pytest.raises(tf.errors.InvalidArgumentError, match="rows of an update must be dist"):
            update_rows(table, [], merged, "sgd", [], 1.0)
    assert table.numpy()[:, 0].tolist() == [1, 0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize("name", NATIVE)
def test_an_update_without_ids(name):
    """A weighted lookup of no ids leaves the table as it is, in a graph, whatever the rule."""
    table, optimizer = tf.Variable(tf.ones((ROWS, COLUMNS))), OPTIMIZERS[name][0]()
    optimizer.build([table])

    @tf.function
    def step(weights):
        with tf.GradientTape() as tape:
            pooled = pool_rows(
                table, tf.zeros([0], tf.int64), tf.zeros([4], tf.int64), weights, mean=False
            )
            loss = tf.reduce_sum(tf.square(pooled))
        optimizer.apply([tape.gradient(loss, table)], [table])

    step(tf.zeros([0]))
    assert (table.numpy() == 1).all()


def test_under_mirrored_strategy(two_devices):
    """Each replica looks up in its own copy; the joined gradients give one replica's weights."""

    def train(strategy):
        with strategy.scope():
            table = keras.Variable(np.linspace(-1, 1, 36).reshape(9, 4), dtype="float32")
            optimizer = optimizers.RowWiseAdagrad(0.1)
            optimizer.build([table])
        share = 4 // strategy.num_replicas_in_sync

        def replica_step(rows):
            with tf.GradientTape() as tape:
                splits = tf.range(share + 1) * 3
                pooled = pool_rows(table.value, tf.reshape(rows, [-1]), splits)
                loss = tf.reduce_sum(tf.square(pooled))
            optimizer.apply(tape.gradient(loss, [table.value]), [table])

        @tf.function
        def step(rows):
            strategy.run(replica_step, args=(rows,))

        for seed in range(3):
            ids = np.random.default_rng(seed).integers(0, 6, (4, 3))

            def part(context, ids=ids):
                first = context.replica_id_in_sync_group * share
                return tf.constant(ids[first : first + share])

            step(strategy.experimental_distribute_values_from_function(part))
        return table.numpy()

    one, two = train(tf.distribute.get_strategy()), train(two_devices)
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-6)
