"""What a DLRM asks of its interaction."""

from typing import Any, Protocol


class Interaction(Protocol):
    """A Keras layer that crosses the dense vector with the embeddings of an example.

    `DLRM(inter_arch=...)` takes any layer of this form; a new model is a new interaction. With D
    the tables' embedding_dim and F the number of embeddings, the model calls it with the dense
    vector and the embeddings. n is the width of what the over arch takes.

    It may also have `call_levels`, as `InteractionArch` has, for exports that take a request once
    with many candidates; without it such an export repeats the request for each candidate.

    Input shape:
        `dense_features`: `(batch, D)`. `sparse_features`: `(batch, F, D)`.

    Output shape:
        `(batch, n)`.

    Example:

    >>> import keras
    >>> from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig
    >>> class Sum(keras.layers.Layer):
    ...     def build(self, dense_features_shape, sparse_features_shape):
    ...         self.built = True
    ...
    ...     def call(self, dense_features, sparse_features):
    ...         return dense_features + keras.ops.sum(sparse_features, axis=1)
    ...
    ...     def compute_output_shape(self, dense_features_shape, sparse_features_shape):
    ...         return dense_features_shape
    >>> table = EmbeddingBagConfig(100, 8, "t1", feature_names=["f1", "f2"])
    >>> model = DLRM(EmbeddingBagCollection([table]), 3, [8], [4, 1], inter_arch=Sum())
    >>> features = {"f1": keras.ops.array([1, 2]), "f2": keras.ops.array([3, 4])}
    >>> model(keras.ops.ones((2, 3)), features).shape
    TensorShape([2, 1])
    """

    def build(self, dense_features_shape: Any, sparse_features_shape: Any) -> None:
        """Makes the weights, for inputs of these shapes."""

    def call(self, dense_features: Any, sparse_features: Any) -> Any:
        """Returns the interaction, `(batch, n)`."""

    def compute_output_shape(self, dense_features_shape: Any, sparse_features_shape: Any) -> Any:
        """Returns `(batch, n)` for inputs of these shapes, before anything is built."""
