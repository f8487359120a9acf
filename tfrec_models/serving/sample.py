"""A batch to warm a server up with, and to measure the cost of smaller tables on."""

import numpy as np
import tensorflow as tf

NUM_EXAMPLES = 64


def random_sample(model):
    """Returns a batch of standard normal dense features and one uniform id in each bag.

    Args:
        model: `RankingModel`.
    """
    rng = np.random.default_rng(0)
    collection = model.embedding_bag_collection
    sparse = {}
    for feature in model.sparse_feature_names:
        rows = min(
            table.num_embeddings for table in collection.tables if feature in table.feature_names
        )
        ids = tf.constant(rng.integers(0, rows, [NUM_EXAMPLES, 1]), tf.int64)
        weights = tf.ones([NUM_EXAMPLES, 1])
        sparse[feature] = (ids, weights) if collection.is_weighted else ids
    dense = rng.standard_normal([NUM_EXAMPLES, model.dense_in_features], np.float32)
    return {"dense_features": tf.constant(dense), "sparse_features": sparse}
