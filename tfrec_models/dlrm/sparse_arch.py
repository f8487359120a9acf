"""The sparse half of DLRM: pooled embeddings, one vector per feature."""

import keras

from tfrec_models.layers.embedding_bag_collection import EmbeddingBagCollection


@keras.saving.register_keras_serializable("tfrec_models")
class SparseArch(keras.layers.Layer):
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

    def __init__(self, embedding_bag_collection, **kwargs):
        super().__init__(**kwargs)
        self.supports_jit = False
        check_equal_dims(embedding_bag_collection)
        self.embedding_bag_collection = embedding_bag_collection

    @property
    def sparse_feature_names(self):
        """The features looked up: the order of packed input."""
        return self.embedding_bag_collection.sparse_feature_names

    @property
    def num_sparse_features(self):
        """F, the number of embeddings per example."""
        return len(self.embedding_bag_collection.embedding_names)

    @property
    def embedding_dim(self):
        """D, the number of columns of each embedding."""
        return self.embedding_bag_collection.embedding_dims[0]

    def build(self, input_shape=None):
        if not self.embedding_bag_collection.built:
            self.embedding_bag_collection.build()
        self.built = True

    def call(self, features):
        pooled = self.embedding_bag_collection(features)
        return keras.ops.reshape(
            pooled.values(), (-1, self.num_sparse_features, self.embedding_dim)
        )

    def compute_output_shape(self, input_shape=None):
        return (None, self.num_sparse_features, self.embedding_dim)

    def compute_output_spec(self, features):
        return keras.KerasTensor(self.compute_output_shape(), self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "embedding_bag_collection": keras.saving.serialize_keras_object(
                self.embedding_bag_collection
            ),
        }

    @classmethod
    def from_config(cls, config):
        collection = keras.saving.deserialize_keras_object(config["embedding_bag_collection"])
        return super().from_config({**config, "embedding_bag_collection": collection})


def check_equal_dims(embedding_bag_collection):
    """Raises unless it is an `EmbeddingBagCollection` whose tables have one embedding_dim."""
    if not isinstance(embedding_bag_collection, EmbeddingBagCollection):
        raise TypeError(
            "embedding_bag_collection must be an EmbeddingBagCollection, received "
            f"{type(embedding_bag_collection).__name__}."
        )
    dims = {table.name: table.embedding_dim for table in embedding_bag_collection.tables}
    if len(set(dims.values())) > 1:
        raise ValueError(
            f"All EmbeddingBagConfigs must have the same embedding_dim, received {dims}."
        )
