"""Twenty steps of training, loss by loss and weight by weight, as TorchRec took them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import oracle_cases as oracle
from tfrec_models import KeyedJaggedTensor, deepfm, dlrm, optimizers
from tfrec_models.interop.torchrec.entries import torchrec_entries


def adagrad():
    return optimizers.Adagrad(learning_rate=0.02, initial_accumulator_value=0.0, epsilon=1e-8)


def row_wise_beside_sgd():
    return optimizers.CompositeOptimizer(
        optimizers.RowWiseAdagrad(learning_rate=0.02, epsilon=1e-8),
        keras.optimizers.SGD(learning_rate=0.1),
    )


OPTIMIZERS = {
    "adagrad": adagrad,
    "rowwise": row_wise_beside_sgd,
    "sgd": lambda: optimizers.SGD(learning_rate=0.1),
}


@pytest.mark.parametrize("name", oracle.select(kind=["trajectory"]))
def test_trajectory_equals_torchrec(name):
    """Losses to 2e-6 and final weights to 2e-5, over repeated ids and shared tables."""
    case, recorded = oracle.index()[name], oracle.arrays(name)
    family = {"dlrm": dlrm, "deepfm": deepfm}[case["class"].split(".")[-2]]
    model_class = getattr(family, oracle.class_name(case))
    model = oracle.load(
        model_class(embedding_bag_collection=oracle.collection(case), **case["ctor"]), recorded
    )
    variables = model.trainable_variables
    optimizer = OPTIMIZERS[name.rsplit("_", 1)[1]]()
    optimizer.build(variables)

    @tf.function(reduce_retracing=True)
    def step(dense, values, offsets, labels):
        ids = KeyedJaggedTensor.from_offsets_sync(case["keys"], values, offsets)
        with tf.GradientTape() as tape:
            logits = tf.squeeze(model(dense, ids), -1)
            losses = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(labels, tf.float32), logits)
            loss = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)
        return loss

    bounds = recorded["in/step_ptr"]
    losses = [
        step(
            tf.constant(recorded["in/dense"][t]),
            tf.constant(recorded["in/values"][bounds[t] : bounds[t + 1]]),
            tf.constant(recorded["in/offsets"][t]),
            tf.constant(recorded["in/labels"][t]),
        )
        for t in range(case["steps"])
    ]
    np.testing.assert_allclose(losses, recorded["out/loss"], rtol=0, atol=2e-6)
    entries = torchrec_entries(model)
    for key, expected in oracle.weights_of(recorded, "final/").items():
        np.testing.assert_allclose(entries[key].read(), expected, rtol=0, atol=2e-5, err_msg=key)
