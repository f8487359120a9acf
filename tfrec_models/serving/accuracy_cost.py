"""What smaller tables cost in accuracy, on a batch."""

import numpy as np
import tensorflow as tf


def accuracy_cost(model, function, batch, inputs):
    """Returns how far an export's outputs are from the model's.

    Args:
        model: `RankingModel`.
        function: the `serving_default` function of its export.
        batch: what the model takes.
        inputs: the same as inputs of `function`, a dict from name to array.

    Returns:
        dict with the number of examples, and for logits and probabilities the largest and the mean
        absolute difference.
    """
    logits = tf.cast(model.logits(batch, training=False), tf.float32)
    wanted = {"logits": logits, "probabilities": tf.sigmoid(logits)}
    got = function(**{name: tf.constant(array) for name, array in inputs.items()})
    cost = {"examples": int(logits.shape[0])}
    for name, values in wanted.items():
        differences = np.abs(got[name].numpy() - values.numpy())
        cost[name] = {
            "max_abs_difference": float(differences.max(initial=0.0)),
            "mean_abs_difference": float(differences.mean()) if differences.size else 0.0,
        }
    return cost
