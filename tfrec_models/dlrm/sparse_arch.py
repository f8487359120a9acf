"""The sparse half of DLRM: pooled embeddings, one vector per feature."""

from typing import Any

import keras

from tfrec_models.embeddings.base_sparse_arch import BaseSparseArch, count_and_dim
from tfrec_models.embeddings.embedding_bag_collection import EmbeddingBagCollection


@keras.saving.register_keras_serializable("tfrec_models")
class SparseArch(BaseSparseArch):
    """Pools the embeddings of F features and stacks them.

    Args:
        embedding_bag_collection: `EmbeddingBagCollection` whose tables all have the same
            embedding_dim D.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        What `EmbeddingBagCollection` takes.

    Output shape:
        `(batch, F, D)`, the embeddings in table order. A feature looked up in two tables counts
        twice.

    Raises:
        ValueError: if the tables differ in embedding_dim.
        TypeError: if `embedding_bag_collection` is something else.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig
    >>> from tfrec_models.dlrm import SparseArch
    >>> sparse_arch = SparseArch(
    ...     EmbeddingBagCollection(
    ...         tables=[
    ...             EmbeddingBagConfig(
    ...                 name="t1", embedding_dim=3, num_embeddings=10, feature_names=["f1"]
    ...             ),
    ...             EmbeddingBagConfig(
    ...                 name="t2", embedding_dim=3, num_embeddings=10, feature_names=["f2"]
    ...             ),
    ...         ]
    ...     )
    ... )
    >>> sparse_arch({"f1": tf.constant([1, 2]), "f2": tf.ragged.constant([[], [3, 4]])}).shape
    TensorShape([2, 2, 3])
    """

    def __init__(self, embedding_bag_collection: EmbeddingBagCollection, **kwargs: Any) -> None:
        super().__init__(embedding_bag_collection, **kwargs)
        # F, the number of embeddings per example, and D, their number of columns.
        self.num_sparse_features, self.embedding_dim = count_and_dim(embedding_bag_collection)

    def call(self, features):
        pooled = self.embedding_bag_collection(features)
        return keras.ops.reshape(
            pooled.values(), (-1, self.num_sparse_features, self.embedding_dim)
        )

    def compute_output_shape(self, input_shape=None):
        return (None, self.num_sparse_features, self.embedding_dim)

    def compute_output_spec(self, features):
        return keras.KerasTensor(self.compute_output_shape(), self.compute_dtype)
