"""One training or evaluation step of a worker whose variables lie on parameter servers."""

import keras
import tensorflow as tf

from tfrec_models._compat.keras import track_loss
from tfrec_models._rows.sharding import join_gradients, shards
from tfrec_models._rows.variables import tf_variable


def make_steps(model):
    """Returns the functions a worker runs: of an iterator to train, of a batch to evaluate."""
    strategy = model.distribute_strategy

    def train(batch):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        variables = model.trainable_variables
        pieces = [shards(tf_variable(variable)) for variable in variables]
        with tf.GradientTape() as tape:
            y_pred = model(x, training=True)
            loss = model.compute_loss(
                x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True
            )
            scaled = model.optimizer.scale_loss(loss)
        gradients = [
            join_gradients(tf_variable(variable), gradient)
            for variable, gradient in zip(variables, tape.gradient(scaled, pieces), strict=True)
        ]
        model.optimizer.apply(gradients, variables)
        return _count(model, x, y, y_pred, sample_weight, loss)

    def evaluate(batch):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        y_pred = model(x, training=False)
        loss = model.compute_loss(
            x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=False
        )
        return _count(model, x, y, y_pred, sample_weight, loss)

    @tf.function
    def train_step(iterator):
        return strategy.run(train, args=(next(iterator),))

    @tf.function(reduce_retracing=True)
    def evaluate_step(batch):
        return strategy.run(evaluate, args=(batch,))

    return train_step, evaluate_step


def _count(model, x, y, y_pred, sample_weight, loss):
    """Adds one batch to the metrics, and returns them.

    Keras's metrics read, add and write, so that two workers at once would lose counts. Here they
    count the batch from zero, and the sums are added to those on the servers by atomic
    operations.
    """
    variables = model.metrics_variables
    zeros = [(v, tf.zeros(v.shape, v.dtype)) for v in variables]
    first = tf.nest.flatten(y if y is not None else x, expand_composites=True)[0]
    with keras.StatelessScope(state_mapping=zeros) as scope:
        track_loss(model, loss, tf.shape(first)[0])
        model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)
    for variable in variables:
        tf_variable(variable).assign_add(scope.get_current_value(variable))
    return model.get_metrics_result()
