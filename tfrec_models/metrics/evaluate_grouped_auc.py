"""Grouped AUC of a model over a dataset."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrec_models.metrics.grouped_auc import grouped_auc


def evaluate_grouped_auc(
    model: keras.Model, dataset: tf.data.Dataset, group_of: Callable[[Any], Any]
) -> float:
    """Mean AUC within each group, users for example, of a model's scores over a dataset.

    A metric in `compile` sees labels, scores and weights, but not the ids of users. So this is a
    function of its own; see `grouped_auc` for the formula. It holds every label, score, weight and
    group, not the features.

    Paper: Zhu et al., "Optimized Cost per Click in Taobao Display Advertising", KDD 2017.

    Args:
        model: `keras.Model` with one output column.
        dataset: finite `tf.data.Dataset` of batches `(x, y)` or `(x, y, sample_weight)`.
        group_of: function from the `x` of a batch to its ids, `(batch,)` or `(batch, 1)`. Where
            the ids are no feature of the model, let `x` hold them beside its features and give
            the model only these.

    Returns:
        float in [0, 1].

    Raises:
        ValueError: as `grouped_auc`; also if a batch has no labels, or not one score for each.

    Example:
        >>> import keras, numpy as np, tensorflow as tf
        >>> from tfrec_models.metrics import evaluate_grouped_auc
        >>> score = keras.Input((1,), name="score")
        >>> user = keras.Input((1,), name="user", dtype="int64")
        >>> model = keras.Model({"score": score, "user": user}, score)
        >>> x = {"score": np.array([[1.0], [2.0], [4.0], [3.0]]), "user": [[7], [7], [8], [8]]}
        >>> data = tf.data.Dataset.from_tensor_slices((x, [0, 1, 0, 1])).batch(3)
        >>> evaluate_grouped_auc(model, data, lambda x: x["user"])
        0.5
    """
    rows = []
    for batch in dataset:
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        if y is None:
            raise ValueError(
                "evaluate_grouped_auc must have labels: the dataset must give (x, y) or "
                "(x, y, sample_weight), received batches without y."
            )
        scores = model.predict_on_batch(x)
        if isinstance(scores, dict | list | tuple):
            raise ValueError(
                "evaluate_grouped_auc must have a model with one output, received "
                f"{list(scores) if isinstance(scores, dict) else len(scores)}; wrap the model in "
                "one that gives a single task's scores."
            )
        scores = np.asarray(scores)
        labels = np.reshape(y, -1)
        weights = np.ones(labels.size) if sample_weight is None else np.reshape(sample_weight, -1)
        rows.append((labels, np.reshape(scores, -1), np.reshape(group_of(x), -1), weights))
        if len({column.size for column in rows[-1]}) > 1:
            raise ValueError(
                "evaluate_grouped_auc must have one score, one group and one weight for each "
                f"label, received {labels.size} labels, scores of shape {scores.shape}, "
                f"{rows[-1][2].size} groups and {weights.size} weights."
            )
    if not rows:
        raise ValueError("evaluate_grouped_auc must have at least one batch, received none.")
    labels, scores, groups, weights = (np.concatenate(column) for column in zip(*rows, strict=True))
    return grouped_auc(labels, scores, groups, weights)
