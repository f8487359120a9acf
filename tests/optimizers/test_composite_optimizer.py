"""One object to compile with, two optimizers inside."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec_models import optimizers


@keras.saving.register_keras_serializable("tests")
class TinyRanker(keras.Model):
    """A table and one dense layer."""

    def build(self, input_shape):
        self.table = self.add_weight(
            shape=(20, 4), name="embedding_table", initializer="ones", autocast=False
        )
        self.top = keras.layers.Dense(1, name="top")
        self.top.build((None, 4))
        self.built = True

    def call(self, ids):
        return self.top(tf.reduce_mean(tf.gather(self.table.value, ids), axis=1))


def composite(**settings):
    return optimizers.CompositeOptimizer(
        optimizers.RowWiseAdagrad(learning_rate=0.4, name="rows"),
        keras.optimizers.SGD(learning_rate=0.1, momentum=0.5, name="rest"),
        **settings,
    )


def data(n=16):
    rng = np.random.default_rng(0)
    return rng.integers(0, 10, (n, 3)), rng.integers(0, 2, (n, 1)).astype(np.float32)


def compiled(optimizer, dtype=None):
    keras.utils.set_random_seed(0)
    model = TinyRanker(dtype=dtype)
    model.compile(optimizer, keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    model.build((None, 3))
    return model


def test_each_part_updates_its_own_variables():
    """The table follows the embedding rule, the kernel and bias the dense one."""
    model = compiled(composite())
    reference = compiled(keras.optimizers.SGD(learning_rate=0.1, momentum=0.5))
    x, y = data()
    for m in (model, reference):
        m.train_on_batch(x, y)
    np.testing.assert_allclose(model.top.kernel.numpy(), reference.top.kernel.numpy(), atol=1e-7)
    optimizer = model.optimizer
    assert [v.name for v in optimizer.embedding_optimizer._trainable_variables] == [
        "embedding_table"
    ]
    assert len(optimizer.dense_optimizer._trainable_variables) == 2
    table = model.table.numpy()
    # From zero, the first row-wise step has a root mean square of the learning rate.
    moved = np.sqrt(np.mean((table[np.unique(x)] - 1) ** 2, axis=1))
    np.testing.assert_allclose(moved, 0.4, rtol=1e-4)
    np.testing.assert_array_equal(np.delete(table, np.unique(x), axis=0), 1.0)


def test_save_and_resume_is_as_if_never_stopped(tmp_path):
    """A `.keras` file holds the slots and counters of both parts."""
    x, y = data()
    straight, stopped = compiled(composite()), compiled(composite())
    for _ in range(2):
        straight.train_on_batch(x, y)
        stopped.train_on_batch(x, y)
    stopped.save(tmp_path / "model.keras")
    resumed = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(resumed.optimizer.embedding_optimizer, optimizers.RowWiseAdagrad)
    assert len(resumed.optimizer.variables) == len(straight.optimizer.variables)
    for a, b in zip(resumed.optimizer.variables, stopped.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    for model in (straight, resumed):
        model.train_on_batch(x, y)
    for a, b in zip(straight.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)


def test_config_round_trip():
    """get_config is plain JSON and from_config gives the same settings back."""
    optimizer = composite(embedding_names=["a", "b"], loss_scale_factor=8.0, name="both")
    config = keras.saving.serialize_keras_object(optimizer)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == optimizer.get_config()
    assert again.embedding_optimizer.loss_scale_factor == 8.0


def test_learning_rate_is_set_in_proportion():
    """Setting `learning_rate` scales both, also back from zero."""
    optimizer = composite()
    optimizer.learning_rate = 0.05
    assert float(optimizer.embedding_optimizer.learning_rate.numpy()) == pytest.approx(0.2)
    optimizer.learning_rate = 0.0
    assert float(optimizer.embedding_optimizer.learning_rate.numpy()) == 0.0
    optimizer.learning_rate = 0.1
    assert float(optimizer.learning_rate.numpy()) == pytest.approx(0.1)
    assert float(optimizer.embedding_optimizer.learning_rate.numpy()) == pytest.approx(0.4)


def test_learning_rate_from_zero_or_with_a_schedule_is_refused():
    """Where no proportion is known, the message says how to set each rate."""
    optimizer = composite()
    optimizer.dense_optimizer.learning_rate = 0.0
    with pytest.raises(ValueError, match="dense learning rate is 0.*by themselves"):
        optimizer.learning_rate = 0.1
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    scheduled = optimizers.CompositeOptimizer(
        optimizers.SGD(learning_rate=schedule, name="rows"), "sgd"
    )
    with pytest.raises(TypeError, match="learning rate of rows is a schedule"):
        scheduled.learning_rate = 0.1


@pytest.mark.parametrize("wrap", [lambda o: o, optimizers.LossScaleOptimizer])
def test_callbacks_reach_both_rates(wrap):
    """LearningRateScheduler and ReduceLROnPlateau halve both rates in `fit`."""
    model = compiled(wrap(composite()))
    x, y = data()
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)
    model.fit(x, y, epochs=1, batch_size=8, verbose=0, callbacks=[halve])
    inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    assert float(inner.embedding_optimizer.learning_rate.numpy()) == pytest.approx(0.2)
    assert float(inner.dense_optimizer.learning_rate.numpy()) == pytest.approx(0.05)
    plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=0, min_delta=100.0)
    model.fit(x, y, epochs=2, batch_size=8, verbose=0, callbacks=[plateau])
    assert float(inner.embedding_optimizer.learning_rate.numpy()) == pytest.approx(0.1)
    assert float(inner.dense_optimizer.learning_rate.numpy()) == pytest.approx(0.025)


def test_schedules_in_both_parts():
    """Each part follows its own schedule."""
    decay = keras.optimizers.schedules.PiecewiseConstantDecay
    table, bias = tf.Variable(tf.zeros((2, 1)), name="embedding_table"), tf.Variable([0.0])
    optimizer = optimizers.CompositeOptimizer(
        optimizers.SGD(learning_rate=decay([0], [1.0, 0.5])),
        keras.optimizers.SGD(learning_rate=decay([0], [0.25, 2.0])),
    )
    one = tf.IndexedSlices(tf.ones((1, 1)), tf.constant([1]), tf.constant([2, 1]))
    for _ in range(2):
        optimizer.apply([one, tf.ones(1)], [table, bias])
    np.testing.assert_allclose(table.numpy(), [[0.0], [-1.5]])
    np.testing.assert_allclose(bias.numpy(), [-2.25])


def test_dense_part_keeps_keras_features():
    """Weight decay, accumulation and clipping in the dense part leave the tables alone."""
    optimizer = optimizers.CompositeOptimizer(
        optimizers.RowWiseAdagrad(learning_rate=0.4),
        keras.optimizers.AdamW(
            weight_decay=0.1, gradient_accumulation_steps=2, global_clipnorm=1.0
        ),
    )
    model = compiled(optimizer)
    x, y = data()
    kernel = model.top.kernel.numpy()
    model.train_on_batch(x, y)
    np.testing.assert_array_equal(model.top.kernel.numpy(), kernel)
    assert (model.table.numpy()[np.unique(x)] != 1).any(axis=1).all()
    model.train_on_batch(x, y)
    assert (model.top.kernel.numpy() != kernel).any()


@pytest.mark.parametrize(
    "scale", [optimizers.LossScaleOptimizer, keras.optimizers.LossScaleOptimizer]
)
def test_mixed_float16_with_loss_scaling(scale):
    """The scaled run follows the float32 one; an infinite gradient changes nothing."""
    x, y = data()
    model, reference = compiled(scale(composite()), "mixed_float16"), compiled(composite())
    for m in (model, reference):
        for _ in range(3):
            m.train_on_batch(x, y)
    np.testing.assert_allclose(model.table.numpy(), reference.table.numpy(), atol=0.02)
    before = model.table.numpy()
    bad = tf.IndexedSlices(tf.fill((1, 4), np.inf), tf.constant([1]), tf.constant([20, 4]))
    model.optimizer.apply([bad, None, None])
    np.testing.assert_array_equal(model.table.numpy(), before)


def test_fixed_loss_scale_is_divided_out():
    """loss_scale_factor scales the loss once and unscales both parts' gradients."""
    x, y = data()
    scaled, plain = compiled(composite(loss_scale_factor=1024.0)), compiled(composite())
    for model in (scaled, plain):
        model.fit(x, y, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(scaled.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_part_without_gradients_is_left_alone():
    """Only the tables have a gradient: the dense counter stays."""
    table, bias = tf.Variable(tf.zeros((2, 1)), name="embedding_table"), tf.Variable([0.0])
    optimizer = composite()
    optimizer.apply([tf.ones((2, 1)), None], [table, bias])
    assert int(optimizer.embedding_optimizer.iterations) == 1
    assert int(optimizer.dense_optimizer.iterations) == 0
    with pytest.raises(ValueError, match="no variable has a gradient"):
        optimizer.apply([None, None], [table, bias])


def test_wrong_arguments():
    """Each message says what was received and what to do."""
    rows, rest = optimizers.RowWiseAdagrad(), keras.optimizers.Adam()
    with pytest.raises(TypeError, match="dense_optimizer must be a Keras optimizer.*LossScale"):
        optimizers.CompositeOptimizer(rows, keras.optimizers.LossScaleOptimizer(rest))
    with pytest.raises(ValueError, match="Could not interpret optimizer"):
        optimizers.CompositeOptimizer(rows, 3)
    with pytest.raises(ValueError, match="are the same object"):
        optimizers.CompositeOptimizer(rows, rows)
    with pytest.raises(ValueError, match="dense_optimizer has loss_scale_factor=2.0"):
        optimizers.CompositeOptimizer(rows, keras.optimizers.SGD(loss_scale_factor=2.0))
    kernel = tf.Variable([[1.0]], name="kernel")
    rows_of_kernel = tf.IndexedSlices(tf.ones((1, 1)), [0], [1, 1])
    with pytest.raises(
        ValueError, match=r"begins with \['embedding_table'\].*'kernel:0'.*embedding_names"
    ):
        composite().apply([rows_of_kernel], [kernel])
    with pytest.raises(ValueError, match="received 1 gradients for 2 variables"):
        composite().apply([tf.ones((1, 1))], [kernel, kernel])
    with pytest.raises(ValueError, match="gradients without variables before"):
        composite().apply([tf.ones((1, 1))])
    with pytest.raises(ValueError, match="is in the list twice"):
        composite().build([kernel, kernel])


def test_state_of_another_shape_is_refused_before_anything_changes():
    """set_weights checks every shape first."""
    table, bias = tf.Variable(tf.zeros((2, 1)), name="embedding_table"), tf.Variable([0.0])
    optimizer = composite()
    optimizer.build([table, bias])
    state = [v.numpy() + 1 for v in optimizer.variables]
    optimizer.set_weights(state)
    state[-1] = np.zeros((7,), np.float32)
    before = [v.numpy() for v in optimizer.variables]
    with pytest.raises(ValueError, match=r"has shape \(7,\), expected \(1,\).*Nothing was loaded"):
        optimizer.set_weights([s + 1 for s in state])
    for v, b in zip(optimizer.variables, before, strict=True):
        np.testing.assert_array_equal(v.numpy(), b)
    with pytest.raises(ValueError, match="state of 2 arrays, expected"):
        optimizer.set_weights(state[:2])
