"""The sparse half of SimpleDeepFMNN: pooled embeddings by name."""

import keras

from tfrec_models.embeddings.base_sparse_arch import BaseSparseArch


# DLRM has archs of the same names, so these are registered under a package of their own.
@keras.saving.register_keras_serializable("tfrec_models.deepfm")
class SparseArch(BaseSparseArch):
    """Pools the embeddings of all features.

    Args:
        embedding_bag_collection: `EmbeddingBagCollection`.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        What `EmbeddingBagCollection` takes.

    Output shape:
        A `KeyedTensor` with `(batch, embedding_dim)` columns for each embedding.

    Raises:
        TypeError: if `embedding_bag_collection` is something else.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig
    >>> from tfrec_models.deepfm import SparseArch
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
    >>> sparse_arch({"f1": tf.constant([1, 2]), "f2": tf.ragged.constant([[], [3, 4]])})
    KeyedTensor(keys=['f1', 'f2'], length_per_key=[3, 3])
    """

    def call(self, features):
        return self.embedding_bag_collection(features)

    def compute_output_spec(self, features):
        return self.embedding_bag_collection.compute_output_spec(features)
