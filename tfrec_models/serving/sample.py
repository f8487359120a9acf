"""A batch to warm a server up with, and to measure the cost of smaller tables on."""

import numpy as np
import tensorflow as tf

NUM_EXAMPLES = 64


def random_sample(model, padding_value):
    """Returns a batch of standard normal dense features and one uniform id in each bag.

    Args:
        model: `RankingModel`.
        padding_value: int, an id that is not drawn; where a table has no other, bags are empty.
    """
    rng = np.random.default_rng(0)
    collection = model.embedding_bag_collection
    sparse = {}
    for feature in model.sparse_feature_names:
        rows = min(
            table.num_embeddings for table in collection.tables if feature in table.feature_names
        )
        has_padding = 0 <= padding_value < rows
        length = 1 if rows > has_padding else 0
        ids = rng.integers(0, max(1, rows - has_padding), [NUM_EXAMPLES, length])
        ids = tf.constant(ids + (has_padding & (ids >= padding_value)), tf.int64)
        weights = tf.ones(ids.shape)
        sparse[feature] = (ids, weights) if collection.is_weighted else ids
    dense = rng.standard_normal([NUM_EXAMPLES, model.dense_in_features], np.float32)
    return {"dense_features": tf.constant(dense), "sparse_features": sparse}
