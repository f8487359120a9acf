"""Two devices give what one does on the same global batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec_models import optimizers

OPTIMIZERS = {
    "row_wise_adagrad": lambda: optimizers.RowWiseAdagrad(learning_rate=0.1),
    "adagrad": lambda: optimizers.Adagrad(learning_rate=0.1),
    "sgd": lambda: optimizers.SGD(learning_rate=0.1),
    "momentum": lambda: optimizers.SGD(learning_rate=0.1, momentum=0.9),
    "lazy_adam": lambda: optimizers.LazyAdam(learning_rate=0.01),
    "ftrl": lambda: optimizers.Ftrl(learning_rate=0.1, l1_regularization_strength=0.01),
    "decay_and_average": lambda: optimizers.SGD(
        learning_rate=0.1, weight_decay=0.1, use_ema=True, check_finite=True
    ),
    "composite": lambda: optimizers.CompositeOptimizer(
        optimizers.RowWiseAdagrad(learning_rate=0.1), keras.optimizers.Adam(learning_rate=0.01)
    ),
    "loss_scale": lambda: optimizers.LossScaleOptimizer(
        optimizers.CompositeOptimizer(optimizers.SGD(), optimizers.LazyAdam(learning_rate=0.01)),
        initial_scale=8.0,
    ),
}
BATCH, STEPS = 4, 3
IDS = np.random.default_rng(0).integers(0, 6, (STEPS, BATCH, 3))
LABELS = np.random.default_rng(1).normal(size=(STEPS, BATCH)).astype(np.float32)


def two_devices():
    return tf.distribute.MirroredStrategy(
        [device.name for device in tf.config.list_logical_devices("CPU")[:2]],
        cross_device_ops=tf.distribute.HierarchicalCopyAllReduce(),
    )


def train(make, strategy):
    """Three steps over a table and a kernel; each replica takes its share of the batch."""
    with strategy.scope():
        start = np.linspace(-1, 1, 36).reshape(9, 4)
        table = keras.Variable(start, dtype="float32", name="embedding_table")
        kernel = keras.Variable(np.linspace(0.5, 1, 4), dtype="float32", name="kernel")
        optimizer = make()
        optimizer.build([table, kernel])

    def replica_step(ids, labels):
        with tf.GradientTape() as tape:
            pooled = tf.reduce_sum(tf.gather(table.value, ids), axis=1)
            outputs = tf.linalg.matvec(pooled, kernel.value)
            loss = optimizer.scale_loss(tf.reduce_sum(tf.square(outputs - labels)) / 100)
        gradients = tape.gradient(loss, [table.value, kernel.value])
        optimizer.apply(gradients, [table, kernel])

    @tf.function
    def step(ids, labels):
        strategy.run(replica_step, args=(ids, labels))

    share = BATCH // strategy.num_replicas_in_sync

    def shared(array):
        def part(context):
            first = context.replica_id_in_sync_group * share
            return tf.constant(array[first : first + share])

        return strategy.experimental_distribute_values_from_function(part)

    for ids, labels in zip(IDS, LABELS, strict=True):
        step(shared(ids), shared(labels))
    optimizer.finalize_variable_values([table, kernel])
    return table.numpy(), kernel.numpy()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_two_devices_equal_one(name):
    """Weights agree to 1e-6 though both replicas name the same rows."""
    one = train(OPTIMIZERS[name], tf.distribute.get_strategy())
    two = train(OPTIMIZERS[name], two_devices())
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)


class TinyRanker(keras.Model):
    """A table and one dense layer."""

    def build(self, input_shape):
        self.table = self.add_weight(shape=(9, 4), name="embedding_table", autocast=False)
        self.top = keras.layers.Dense(1)
        self.top.build((None, 4))
        self.built = True

    def call(self, ids):
        ids = tf.cast(ids, tf.int64)  # under a strategy `fit` builds the model on floats
        return self.top(tf.reduce_sum(tf.gather(self.table.value, ids), axis=1))


def fit(strategy):
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = TinyRanker()
        model.build((None, 3))
        model.compile(OPTIMIZERS["composite"](), "mse", jit_compile=False)
    data = tf.data.Dataset.from_tensor_slices((IDS.reshape(-1, 3), LABELS.reshape(-1, 1)))
    model.fit(data.batch(BATCH, drop_remainder=True), shuffle=False, verbose=0)
    return model.get_weights()


def test_fit_on_two_devices_equals_one():
    """The same through compile and fit, with a CompositeOptimizer."""
    for a, b in zip(fit(tf.distribute.get_strategy()), fit(two_devices()), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
