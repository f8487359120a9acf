"""A model's probabilities beside the labels."""

import keras
import numpy as np
import tensorflow as tf

MOST_ROWS = 1_000_000


def scores_of(
    model: keras.Model, dataset: tf.data.Dataset, most_rows: int = MOST_ROWS
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of the first rows of a dataset.

    Args:
        model: a ranking model.
        dataset: `tf.data.Dataset` of `(features, labels)`.
        most_rows: int, rows at most.

    Returns:
        Two arrays, labels `(n,)` and probabilities `(n,)`, or `(n, outputs)` of a model with
        several.
    """
    labels, scores, rows = [], [], 0
    for features, batch_labels in dataset:
        outputs = tf.cast(model.predict_on_batch(features), tf.float32)
        scores.append((tf.sigmoid(outputs) if model.gives_logits else outputs).numpy())
        labels.append(batch_labels.numpy())
        rows += len(labels[-1])
        if rows >= most_rows:
            break
    if not rows:
        raise ValueError("There are no test rows; name files that have some.")
    score = np.concatenate(scores)[:most_rows]
    return np.concatenate(labels)[:most_rows], score[:, 0] if score.shape[1] == 1 else score


def with_log_loss(logs: dict) -> dict[str, float]:
    """Keras's logs with the loss under the name of what it is."""
    return {"log_loss" if name == "loss" else name: float(v) for name, v in logs.items()}
