"""Base class of the sparse halves of rankers."""

import abc

import keras

from tfrec_models._serialization import DeserializesChildren
from tfrec_models.embeddings.embedding_bag_collection import EmbeddingBagCollection


class BaseSparseArch(DeserializesChildren, keras.layers.Layer, abc.ABC):
    """Base of layers that hold a model's `EmbeddingBagCollection`.

    Args:
        embedding_bag_collection: `EmbeddingBagCollection`.
        **kwargs: those of `keras.layers.Layer`.
    """

    def __init__(self, embedding_bag_collection, **kwargs):
        super().__init__(**kwargs)
        self.supports_jit = False
        check_is_collection(embedding_bag_collection)
        self.embedding_bag_collection = embedding_bag_collection

    @abc.abstractmethod
    def call(self, features):
        """Returns the pooled embeddings of one batch."""

    @property
    def sparse_feature_names(self):
        """The features looked up: the order of packed input."""
        return self.embedding_bag_collection.sparse_feature_names

    def build(self, input_shape=None):
        if self.built:
            return
        if not self.embedding_bag_collection.built:
            self.embedding_bag_collection.build()
        self.built = True

    def get_config(self):
        return {
            **super().get_config(),
            "embedding_bag_collection": keras.saving.serialize_keras_object(
                self.embedding_bag_collection
            ),
        }


def check_is_collection(embedding_bag_collection):
    """Raises TypeError unless it is an `EmbeddingBagCollection`."""
    if not isinstance(embedding_bag_collection, EmbeddingBagCollection):
        raise TypeError(
            "embedding_bag_collection must be an EmbeddingBagCollection, received "
            f"{type(embedding_bag_collection).__name__}."
        )


def count_and_dim(embedding_bag_collection):
    """Returns F, the number of embeddings per example, and D, the one dim of all tables.

    Raises:
        TypeError: if it is no `EmbeddingBagCollection`.
        ValueError: if its tables differ in embedding_dim.
    """
    check_is_collection(embedding_bag_collection)
    dims = {table.name: table.embedding_dim for table in embedding_bag_collection.tables}
    if len(set(dims.values())) > 1:
        raise ValueError(
            f"All EmbeddingBagConfigs must have the same embedding_dim, received {dims}."
        )
    embedding_dims = embedding_bag_collection.embedding_dims
    return len(embedding_dims), embedding_dims[0]
