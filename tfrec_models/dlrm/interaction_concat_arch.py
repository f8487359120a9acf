"""An interaction that leaves all crossing to the over arch."""

from typing import Any

import keras

from tfrec_models._checks.arguments import check_not_negative
from tfrec_models.dlrm.interaction_arch import check_interaction_shapes
from tfrec_models.dlrm.interaction_dcn_arch import concat_features, concat_shape


@keras.saving.register_keras_serializable("tfrec_models")
class InteractionConcatArch(keras.layers.Layer):
    """Puts the dense vector and the F embeddings side by side.

        y = [dense | f_0 | .. | f_(F-1)]

    The over arch alone crosses them: DLRM is then an MLP over embeddings, which is what the BARS
    benchmark's best DLRM is (its `interaction_op="cat"`). It has no weights.

    Paper: Naumov et al., Deep Learning Recommendation Model for Personalization and
    Recommendation Systems, https://arxiv.org/abs/1906.00091, whose code has it as
    `--arch-interaction-op=cat`.

    Args:
        num_sparse_features: int, F.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        dense_features `(batch, D)` and sparse_features `(batch, F, D)`.

    Output shape:
        `(batch, (F + 1) D)`.

    Raises:
        ValueError: on a negative F, or at a call on another number of sparse features.

    Example:

    >>> import keras
    >>> from tfrec_models.dlrm import InteractionConcatArch
    >>> interaction = InteractionConcatArch(num_sparse_features=2)
    >>> interaction(keras.ops.ones((10, 3)), keras.ops.ones((10, 2, 3))).shape
    TensorShape([10, 9])
    """

    def __init__(self, num_sparse_features: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_sparse_features = check_not_negative("num_sparse_features", num_sparse_features)

    def build(self, dense_features_shape=None, sparse_features_shape=None):
        self.built = True

    def call(self, dense_features, sparse_features):
        check_interaction_shapes(self, dense_features, sparse_features)
        return concat_features(dense_features, sparse_features)

    def compute_output_shape(self, dense_features_shape, sparse_features_shape=None):
        return concat_shape(self.num_sparse_features, dense_features_shape)

    def get_config(self):
        return {**super().get_config(), "num_sparse_features": self.num_sparse_features}
