"""Row for row what FBGEMM's fused exact optimizers compute."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support import oracle
from tfrec_models import optimizers

FEATURES = {"t1": ["f1", "f3"], "t2": ["f2"]}
ADAGRAD = {"learning_rate": 0.02, "initial_accumulator_value": 0.0, "epsilon": 1e-8}


def bag_losses(case, step, tables):
    """The sum of output times cotangent of pooled lookups, as in the case."""
    values, offsets = case[f"step{step}/in/values"], case[f"step{step}/in/offsets"]
    cotangent = case[f"step{step}/cot/values"]
    weights = case.get(f"step{step}/in/weights")
    keys = ["f1", "f2", "f3"] if "t2" in tables else ["f1"]
    batch = (len(offsets) - 1) // len(keys)
    column, loss = 0, 0.0
    for name, table in tables.items():
        for feature in [f for f in FEATURES[name] if f in keys]:
            first = keys.index(feature) * batch
            bounds = offsets[first : first + batch + 1]
            lengths = np.diff(bounds)
            bag = np.repeat(np.arange(batch), lengths)
            ids = values[bounds[0] : bounds[-1]]
            width = table.shape[1]
            upstream = cotangent[bag, column : column + width]
            if weights is not None:
                upstream = upstream * weights[bounds[0] : bounds[-1], None]
            if case["mean"]:
                upstream = upstream / lengths[bag][:, None]
            loss += tf.reduce_sum(tf.gather(table, ids) * upstream.astype(np.float32))
            column += width
    return loss


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("fused_sgd", lambda: optimizers.SGD(learning_rate=0.1)),
        ("fused_adagrad", lambda: optimizers.Adagrad(**ADAGRAD)),
        ("fused_rowwise_adagrad", lambda: optimizers.RowWiseAdagrad(**ADAGRAD)),
        ("fused_rowwise_adagrad_mean", lambda: optimizers.RowWiseAdagrad(**ADAGRAD)),
        ("fused_rowwise_adagrad_weighted", lambda: optimizers.RowWiseAdagrad(**ADAGRAD)),
        ("fused_rowwise_adagrad_D64", lambda: optimizers.RowWiseAdagrad(**ADAGRAD)),
        (
            "fused_rowwise_adagrad_eps",
            lambda: optimizers.RowWiseAdagrad(learning_rate=0.1, epsilon=0.5),
        ),
    ],
)
def test_rows_and_states_after_each_step(name, make):
    """Weights and accumulators equal FBGEMM's after each of three steps."""
    recorded = oracle.arrays(name)
    case = {**recorded, "mean": name.endswith("_mean")}
    prefix = "embedding_bags.{}.weight"
    tables = {
        t: keras.Variable(case["w/" + prefix.format(t)], name=f"embedding_table_{t}")
        for t in FEATURES
        if "w/" + prefix.format(t) in case
    }
    optimizer = make()
    for step in range(3):
        with tf.GradientTape() as tape:
            loss = bag_losses(case, step, {t: v.value for t, v in tables.items()})
        variables = list(tables.values())
        gradients = tape.gradient(loss, [v.value for v in variables])
        assert all(isinstance(g, tf.IndexedSlices) for g in gradients)
        optimizer.apply(gradients, variables)
        for t, table in tables.items():
            after = f"step{step}/w_after/" + prefix.format(t)
            recorded.compare(after, table.numpy(), rtol=1e-6, atol=1e-6)
            state = f"step{step}/state/{t}.weight.momentum_1"
            if state in recorded:
                (slot,) = [v for v in optimizer.variables if v.name == f"{table.path}_accumulator"]
                recorded.compare(state, slot.numpy(), rtol=1e-6, atol=1e-6)
