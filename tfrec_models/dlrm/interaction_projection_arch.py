"""DLRM_Projection's interaction: dot products of learned mixtures of all embeddings."""

from typing import Any

import keras
import tensorflow as tf

from tfrec_models._checks.arguments import check_positive
from tfrec_models._serialization import DeserializesChildren
from tfrec_models.dlrm.interaction_arch import check_interaction_shapes
from tfrec_models.dlrm.interaction_dcn_arch import (
    build_over,
    check_is_layer,
    concat_features,
    concat_shape,
)
from tfrec_models.execution.compiled import Compiled


@keras.saving.register_keras_serializable("tfrec_models")
class InteractionProjectionArch(DeserializesChildren, keras.layers.Layer):
    """Dot products between F1 and F2 vectors that two layers make of all embeddings.

    Where `InteractionArch` takes all pairs of F + 1 vectors, this one projects them first, so that
    the number of products F1 F2 is chosen. With z the dense vector and the F embeddings side by
    side:

        Y = interaction_branch1(z) as F1 x D,  X = interaction_branch2(z) as D x F2
        y = [dense | Y X, row by row]

    The products are compiled with XLA.

    Args:
        num_sparse_features: int, F.
        interaction_branch1: a Keras layer over `(batch, (F + 1) D)`, such as `DenseArch`, with
            F1 D output columns.
        interaction_branch2: likewise, with F2 D output columns.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        dense_features `(batch, D)` and sparse_features `(batch, F, D)`.

    Output shape:
        `(batch, D + F1 F2)`.

    Raises:
        ValueError: on an F below 1; on a branch whose columns are no multiple of D; at a call on
            another number of sparse features.
        TypeError: if a branch is no Keras layer.

    Example:

    >>> import keras
    >>> from tfrec_models.dlrm import DenseArch, InteractionProjectionArch
    >>> interaction = InteractionProjectionArch(
    ...     num_sparse_features=2,
    ...     interaction_branch1=DenseArch(9, layer_sizes=[4, 6]),
    ...     interaction_branch2=DenseArch(9, layer_sizes=[5, 12]),
    ... )
    >>> interaction(keras.ops.ones((10, 3)), keras.ops.ones((10, 2, 3))).shape
    TensorShape([10, 11])
    """

    def __init__(
        self,
        num_sparse_features: int,
        interaction_branch1: keras.layers.Layer,
        interaction_branch2: keras.layers.Layer,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        num_sparse_features = check_positive("num_sparse_features", num_sparse_features)
        check_is_layer("interaction_branch1", interaction_branch1, "DenseArch")
        check_is_layer("interaction_branch2", interaction_branch2, "DenseArch")
        self.num_sparse_features = num_sparse_features
        self.interaction_branch1 = interaction_branch1
        self.interaction_branch2 = interaction_branch2
        self.products = Compiled(projected_products)

    def build(self, dense_features_shape=None, sparse_features_shape=None):
        if self.built:
            return
        for branch in (self.interaction_branch1, self.interaction_branch2):
            build_over(branch, self.num_sparse_features, dense_features_shape)
        self.built = True

    def call(self, dense_features, sparse_features):
        check_interaction_shapes(self, dense_features, sparse_features)
        self._num_vectors(dense_features.shape)
        concatenated = concat_features(dense_features, sparse_features)
        return self.products(
            dense_features,
            self.interaction_branch1(concatenated),
            self.interaction_branch2(concatenated),
        )

    def compute_output_shape(self, dense_features_shape, sparse_features_shape=None):
        num_rows, num_columns = self._num_vectors(dense_features_shape)
        return (dense_features_shape[0], dense_features_shape[1] + num_rows * num_columns)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "num_sparse_features": self.num_sparse_features,
            "interaction_branch1": serialize(self.interaction_branch1),
            "interaction_branch2": serialize(self.interaction_branch2),
        }

    def _num_vectors(self, dense_features_shape):
        """F1 and F2."""
        shape = concat_shape(self.num_sparse_features, tuple(dense_features_shape))
        counts = []
        for name in ("interaction_branch1", "interaction_branch2"):
            columns = getattr(self, name).compute_output_shape(shape)[-1]
            check_multiple(name, columns, dense_features_shape[1])
            counts.append(columns // dense_features_shape[1])
        return counts


def projected_products(dense, rows, columns):
    """The dense vectors, then Y X row by row.

    Args:
        dense: `(batch, D)`.
        rows: `(batch, F1 D)`, Y.
        columns: `(batch, D F2)`, X.

    Returns:
        `(batch, D + F1 F2)`.
    """
    dim = dense.shape[1]
    num_rows, num_columns = rows.shape[1] // dim, columns.shape[1] // dim
    products = tf.matmul(
        tf.reshape(rows, [-1, num_rows, dim]), tf.reshape(columns, [-1, dim, num_columns])
    )
    return tf.concat([dense, tf.reshape(products, [-1, num_rows * num_columns])], axis=1)


def check_multiple(branch, columns, dim):
    """Raises ValueError unless a branch's output divides into vectors of `dim` columns."""
    if columns % dim:
        fitting = columns + dim - columns % dim
        raise ValueError(
            f"{branch} must end in a multiple of the embedding_dim D = {dim}, received {columns} "
            f"output columns. Use {fitting}, say."
        )
