"""DLRM's interaction: dot products of all pairs of embeddings."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrec_models._checks.arguments import check_not_negative
from tfrec_models._two_levels import TwoLevels
from tfrec_models.execution import current
from tfrec_models.execution.compiled import Compiled
from tfrec_models.native.pair_products import pair_products, serves_vectors

# Of one level, up to which they are multiplied pair by pair.
MOST_VECTORS_BY_PAIR = 4


def choose(n: int, k: int) -> int:
    """Returns the number of ways to choose k of n: 0 where k is out of range.

    Args:
        n: int, the number of things.
        k: int, how many of them are chosen.

    Returns:
        An int, the binomial coefficient.

    Example:

    >>> from tfrec_models.dlrm import choose
    >>> choose(4, 2), choose(2, 4)
    (6, 0)
    """
    return math.comb(n, k) if 0 <= k <= n else 0


@keras.saving.register_keras_serializable("tfrec_models")
class InteractionArch(keras.layers.Layer):
    """Dot products of every two of the dense vector and the F embeddings.

    With Z the dense vector above the embeddings, (F + 1) x D, the output is the dense vector
    followed by Z_i . Z_j for i < j, row by row: (0,1), (0,2) .. (0,F), (1,2) .. It has no
    weights. In `fit` and `evaluate` a native kernel computes it where there is one, else it is
    compiled with XLA.

    Paper: Naumov et al., Deep Learning Recommendation Model for Personalization and
    Recommendation Systems, https://arxiv.org/abs/1906.00091.

    Args:
        num_sparse_features: int, F.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        dense_features `(batch, D)` and sparse_features `(batch, F, D)`.

    Output shape:
        `(batch, D + F + F (F - 1) / 2)`.

    Raises:
        ValueError: on a negative F, or at a call on another number of sparse features.

    Example:

    >>> import keras
    >>> from tfrec_models.dlrm import InteractionArch
    >>> interaction = InteractionArch(num_sparse_features=2)
    >>> interaction(keras.ops.ones((10, 3)), keras.ops.ones((10, 2, 3))).shape
    TensorShape([10, 6])
    """

    def __init__(self, num_sparse_features: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        num_sparse_features = check_not_negative("num_sparse_features", num_sparse_features)
        self.num_sparse_features = num_sparse_features
        self.interaction = Compiled(dot_interaction)

    def build(self, dense_features_shape=None, sparse_features_shape=None):
        self.built = True

    def call(self, dense_features, sparse_features, training=None):
        if self.num_sparse_features == 0:
            return dense_features
        check_interaction_shapes(self, dense_features, sparse_features)
        chosen = current()
        as_in_training = training or chosen.infers_as_it_trains
        if as_in_training and not chosen.portable and serves_vectors(sparse_features):
            return pair_products(dense_features, sparse_features)
        return self.interaction(dense_features, sparse_features)

    def call_levels(self, vectors: TwoLevels) -> TwoLevels:
        """Returns the output for candidates, the products of two vectors of a request made once.

        Args:
            vectors: `TwoLevels` of the dense vector, column 0, and the embeddings.
        """
        return dot_interaction_of_levels(
            vectors.map(lambda part: tf.cast(part, self.compute_dtype))
        )

    def compute_output_shape(self, dense_features_shape, sparse_features_shape=None):
        batch, dim = dense_features_shape
        return (batch, dim + choose(self.num_sparse_features + 1, 2))

    def get_config(self):
        return {**super().get_config(), "num_sparse_features": self.num_sparse_features}


def dot_interaction(dense, sparse):
    """The dense vectors, then the dot products of all pairs above the diagonal.

    Args:
        dense: `(batch, D)`.
        sparse: `(batch, F, D)`.

    Returns:
        `(batch, D + F (F + 1) / 2)`.
    """
    stacked = tf.concat([dense[:, tf.newaxis], sparse], axis=1)
    return tf.concat([dense, _pair_products(stacked)], axis=1)


def dot_interaction_of_levels(vectors):
    """`dot_interaction` of two levels.

    Args:
        vectors: `TwoLevels` of the dense vector, column 0, and the embeddings.

    Returns:
        `TwoLevels` of D + F (F + 1) / 2 columns.
    """
    dim = vectors.candidate.shape[2]
    rows, columns = np.triu_indices(
        len(vectors.request_columns) + len(vectors.candidate_columns), k=1
    )
    position = {
        pair: dim + number
        for number, pair in enumerate(zip(rows.tolist(), columns.tolist(), strict=True))
    }
    parts, places = {}, {}
    for level, part, numbers in (
        ("request", vectors.request, list(vectors.request_columns)),
        ("candidate", vectors.candidate, list(vectors.candidate_columns)),
    ):
        parts[level], places[level] = [], []
        if 0 in numbers:
            parts[level].append(part[:, numbers.index(0)])
            places[level] += range(dim)
        if len(numbers) > 1:
            parts[level].append(_few_pair_products(part))
            firsts, seconds = np.triu_indices(len(numbers), k=1)
            pairs = [(numbers[i], numbers[j]) for i, j in zip(firsts, seconds, strict=True)]
            places[level] += [position[min(pair), max(pair)] for pair in pairs]
    if vectors.request_columns and vectors.candidate_columns:
        parts["candidate"].append(_cross_products(vectors))
        places["candidate"] += [
            position[min(ours, theirs), max(ours, theirs)]
            for theirs in vectors.candidate_columns
            for ours in vectors.request_columns
        ]
    request = parts["request"] or [vectors.request[:, :0, 0]]
    return TwoLevels(
        tf.concat(request, 1),
        tf.concat(parts["candidate"], 1),
        places["request"],
        places["candidate"],
        vectors.request_of,
    )


def _few_pair_products(stacked):
    """`_pair_products`, pair by pair where there are few.

    A product of two small matrices for each example takes several times as long, and has each pair
    twice.
    """
    size = stacked.shape[1]
    if size > MOST_VECTORS_BY_PAIR:
        return _pair_products(stacked)
    vectors = tf.unstack(stacked, axis=1)
    pairs = zip(*np.triu_indices(size, k=1), strict=True)
    return tf.stack([tf.reduce_sum(vectors[i] * vectors[j], axis=1) for i, j in pairs], axis=1)


def _cross_products(vectors):
    """Dot products of each vector of a candidate with each of its request: (C, n m)."""
    ours, theirs = vectors.request, vectors.candidate
    num_pairs, dim = ours.shape[1] * theirs.shape[1], theirs.shape[2]

    def with_one_request():
        products = tf.matmul(tf.reshape(theirs, [-1, dim]), ours[0], transpose_b=True)
        return tf.reshape(products, [-1, num_pairs])

    def with_several():
        products = tf.matmul(theirs, vectors.of_candidates(ours), transpose_b=True)
        return tf.reshape(products, [-1, num_pairs])

    # One product of all candidates takes a fraction of one product for each.
    return vectors.for_one_request(with_one_request, with_several)


def _pair_products(stacked):
    """The dot products of all pairs of rows of (B, N, D): (B, N (N - 1) / 2).

    For XLA its gradient is `_pair_products_gradient`, looked up by name: `tf.custom_gradient` would
    register a function for each trace, which TensorFlow keeps permanently with all it captures.
    """
    pairs = _pairs(stacked)
    if tf.executing_eagerly() or not current().uses_xla:
        return pairs
    with tf.Graph.gradient_override_map(pairs.graph, {"IdentityN": "TfrecPairIdentity"}):
        return tf.identity_n([pairs, stacked])[0]


def _pairs(stacked):
    size = stacked.shape[1]
    rows, columns = np.triu_indices(size, k=1)
    products = tf.matmul(stacked, stacked, transpose_b=True)
    return tf.gather(tf.reshape(products, [-1, size * size]), rows * size + columns, axis=1)


@tf.RegisterGradient("TfrecPairIdentity")
def _pair_products_gradient(identity, upstream, stacked_upstream):
    """The gradient of `_pair_products` in one batched product with a symmetric matrix.

    TensorFlow's own takes two, one of them transposed, which XLA runs several times slower, after
    a scatter.
    """
    if identity is None:
        # A SavedModel is being written, whose gradients are functions of upstream gradients alone.
        # NaN, as XLA drops assertions: a loaded interaction cannot be trained.
        return None, tf.fill(tf.shape(stacked_upstream), tf.constant(np.nan, upstream.dtype))
    stacked = identity.inputs[1]
    size = stacked.shape[1]
    rows, columns = np.triu_indices(size, k=1)
    # Where in the pairs each element of the symmetric matrix is; the diagonal is a zero behind
    # them.
    position = np.full((size, size), len(rows))
    position[rows, columns] = position[columns, rows] = np.arange(len(rows))
    padded = tf.pad(upstream, [[0, 0], [0, 1]])
    symmetric = tf.gather(padded, position.reshape(-1), axis=1)
    return None, tf.matmul(tf.reshape(symmetric, [-1, size, size]), stacked)


@tf.RegisterGradient("TfrecPairProductsGradient")
def _gradient_of_the_gradient(op, *upstream):
    """That of the stock operations: the kernels have one of the first order."""
    dense, sparse, products_upstream = op.inputs
    with tf.GradientTape() as outer:
        outer.watch(op.inputs)
        with tf.GradientTape() as inner:
            inner.watch([dense, sparse])
            stacked = tf.concat([dense[:, tf.newaxis], sparse], axis=1)
            products = tf.concat([dense, _pairs(stacked)], axis=1)
        gradients = inner.gradient(products, [dense, sparse], products_upstream)
    return outer.gradient(gradients, [dense, sparse, products_upstream], upstream)


def check_interaction_shapes(layer, dense, sparse):
    """Raises ValueError unless dense is (B, D) and sparse (B, F, D)."""
    if len(dense.shape) != 2 or len(sparse.shape) != 3:
        raise ValueError(
            f"{type(layer).__name__} takes dense features (batch, D) and sparse features "
            f"(batch, F, D), received shapes {tuple(dense.shape)} and {tuple(sparse.shape)}."
        )
    if sparse.shape[1] != layer.num_sparse_features:
        raise ValueError(
            f"{type(layer).__name__} was made for num_sparse_features="
            f"{layer.num_sparse_features}, received {sparse.shape[1]} in shape "
            f"{tuple(sparse.shape)}."
        )
    if None not in (dense.shape[1], sparse.shape[2]) and dense.shape[1] != sparse.shape[2]:
        raise ValueError(
            f"{type(layer).__name__} needs dense and sparse features of one width D, received "
            f"shapes {tuple(dense.shape)} and {tuple(sparse.shape)}."
        )
    if None not in (dense.shape[0], sparse.shape[0]) and dense.shape[0] != sparse.shape[0]:
        raise ValueError(
            f"{type(layer).__name__} needs as many examples of dense as of sparse features, "
            f"received shapes {tuple(dense.shape)} and {tuple(sparse.shape)}."
        )
