"""Twenty steps of training against TorchRec's: losses, weights and optimizer state."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import oracle_cases as oracle
from tfrec_models import KeyedJaggedTensor, deepfm, dlrm, optimizers, xla_disabled
from tfrec_models.interop.torchrec import torchrec_optimizer_state, torchrec_state_dict

ADAGRAD = {"learning_rate": 0.02, "initial_accumulator_value": 0.0, "epsilon": 1e-8}
OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "adagrad": lambda: optimizers.Adagrad(**ADAGRAD),
    "rowwise": lambda: optimizers.CompositeOptimizer(
        optimizers.RowWiseAdagrad(**ADAGRAD), keras.optimizers.SGD(0.1)
    ),
}


def make(case):
    """The case's model."""
    module = deepfm if oracle.class_name(case) == "SimpleDeepFMNN" else dlrm
    model_class = getattr(module, oracle.class_name(case))
    return model_class(embedding_bag_collection=oracle.collection(case), **case["ctor"])


@pytest.mark.parametrize("name", oracle.select(kind=["trajectory"]))
def test_twenty_steps_equal_torchrec(name, both_paths):
    """Each step's loss within 2e-6, the final weights and row-wise moments within 2e-5."""
    case, recorded = oracle.index()[name], oracle.arrays(name)
    model = oracle.load(make(case), recorded)
    optimizer = OPTIMIZERS[name.rsplit("_", 1)[1]]()
    optimizer.build(model.trainable_variables)

    @tf.function(reduce_retracing=True)
    def step(dense, ids, labels):
        with tf.GradientTape() as tape:
            outputs = model(dense, ids)[:, 0]
            # TorchRec's DeepFM gives probabilities, and its loss takes them for logits.
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, outputs)
            loss = tf.reduce_mean(losses)
        variables = model.trainable_variables
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        optimizer.apply(gradients, variables)
        return loss, outputs

    ends = recorded["in/step_ptr"]
    for i, (first, last) in enumerate(zip(ends, ends[1:], strict=False)):
        ids = KeyedJaggedTensor.from_offsets_sync(
            case["keys"],
            tf.constant(recorded["in/values"][first:last]),
            tf.constant(recorded["in/offsets"][i]),
        )
        labels = tf.constant(recorded["in/labels"][i], tf.float32)
        # XLA has its own comparisons; compiling would take most of this test's time.
        with xla_disabled():
            loss, outputs = step(tf.constant(recorded["in/dense"][i]), ids, labels)
        np.testing.assert_allclose(loss, recorded["out/loss"][i], rtol=0, atol=2e-6)
        np.testing.assert_allclose(outputs, recorded["out/y"][i], rtol=0, atol=2e-5)
    weights = torchrec_state_dict(model)
    for key, expected in oracle.weights_of(recorded, "final/").items():
        np.testing.assert_allclose(weights[key], expected, rtol=0, atol=2e-5, err_msg=key)
    if name.endswith("rowwise"):
        moments = torchrec_optimizer_state(model, optimizer)
        for table in case["tables"]:
            key = f"{table['name']}.weight"
            prefix = "final_state/sparse_arch.embedding_bag_collection.embedding_bags."
            np.testing.assert_allclose(
                moments[key][f"{key}.momentum_1"],
                recorded[f"{prefix}{key}.momentum_1"],
                rtol=1e-4,
                atol=2e-5,
            )
