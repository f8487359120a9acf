"""Twenty steps of training against TorchRec's: losses, weights and optimizer state."""

import keras
import pytest
import tensorflow as tf

from tests.support import oracle
from tfrec_models import KeyedJaggedTensor, optimizers, xla_disabled
from tfrec_models.interop.torchrec import torchrec_optimizer_state, torchrec_state_dict

ADAGRAD = {"learning_rate": 0.02, "initial_accumulator_value": 0.0, "epsilon": 1e-8}
OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "adagrad": lambda: optimizers.Adagrad(**ADAGRAD),
    "rowwise": lambda: optimizers.CompositeOptimizer(
        optimizers.RowWiseAdagrad(**ADAGRAD), keras.optimizers.SGD(0.1)
    ),
}


@pytest.mark.parametrize("name", oracle.select(kind=["trajectory"]))
def test_twenty_steps_equal_torchrec(name, both_paths):
    """Each step's loss within 2e-6, the final weights and row-wise moments within 2e-5."""
    case, recorded = oracle.index()[name], oracle.arrays(name)
    model = oracle.load(oracle.make_model(case), recorded)
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
    losses, outputs = [], []
    for i, (first, last) in enumerate(zip(ends, ends[1:], strict=False)):
        ids = KeyedJaggedTensor.from_offsets_sync(
            case["keys"],
            tf.constant(recorded["in/values"][first:last]),
            tf.constant(recorded["in/offsets"][i]),
        )
        labels = tf.constant(recorded["in/labels"][i], tf.float32)
        # XLA has its own comparisons; compiling would take most of this test's time.
        with xla_disabled():
            loss, logits = step(tf.constant(recorded["in/dense"][i]), ids, labels)
        losses.append(loss)
        outputs.append(logits)
    recorded.compare("out/loss", losses, rtol=0, atol=2e-6)
    recorded.compare("out/y", outputs, rtol=0, atol=2e-5)
    weights = torchrec_state_dict(model)
    for key in oracle.weights_of(recorded, "final/"):
        recorded.compare(f"final/{key}", weights[key], rtol=0, atol=2e-5)
    if name.endswith("rowwise"):
        moments = torchrec_optimizer_state(model, optimizer)
        for table in case["tables"]:
            key = f"{table['name']}.weight"
            prefix = "final_state/sparse_arch.embedding_bag_collection.embedding_bags."
            momentum = moments[key][f"{key}.momentum_1"]
            recorded.compare(f"{prefix}{key}.momentum_1", momentum, rtol=1e-4, atol=2e-5)
