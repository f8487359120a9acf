"""One training or evaluation step of a worker whose variables lie on parameter servers."""

import keras
import tensorflow as tf

from tfrec_models._keras_hooks import native, track_loss
from tfrec_models.sharding import join_gradients, shards


def make_steps(model):
    """Returns the functions a worker runs: of an iterator to train, of a batch to evaluate."""
    strategy = model.distribute_strategy

    def train(batch):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        variables = model.trainable_variables
        pieces = [shards(native(variable)) for variable in variables]
        with tf.GradientTape() as tape:
            y_pred, loss = _forward(model, x, y, sample_weight, training=True)
            loss = model.optimizer.scale_loss(loss)
        gradients = [
            join_gradients(native(variable), gradient)
            for variable, gradient in zip(variables, tape.gradient(loss, pieces), strict=True)
        ]
        model.optimizer.apply(gradients, variables)
        return model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def evaluate(batch):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        y_pred, _ = _forward(model, x, y, sample_weight, training=False)
        return model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    @tf.function
    def train_step(iterator):
        return strategy.run(train, args=(next(iterator),))

    @tf.function(reduce_retracing=True)
    def evaluate_step(batch):
        return strategy.run(evaluate, args=(batch,))

    return train_step, evaluate_step


def _forward(model, x, y, sample_weight, training):
    y_pred = model(x, training=training)
    loss = model.compute_loss(
        x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training
    )
    first = tf.nest.flatten(y if y is not None else x, expand_composites=True)[0]
    track_loss(model, loss, tf.shape(first)[0])
    return y_pred, loss
