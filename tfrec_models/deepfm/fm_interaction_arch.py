"""SimpleDeepFMNN's interaction: a dense layer and a factorization machine side by side."""

from collections.abc import Sequence
from typing import Any

import keras

from tfrec_models._checks.arguments import check_positive
from tfrec_models.layers.deepfm import DeepFM
from tfrec_models.layers.factorization_machine import FactorizationMachine
from tfrec_models.layers.perceptron import Perceptron


@keras.saving.register_keras_serializable("tfrec_models.deepfm")
class FMInteractionArch(keras.layers.Layer):
    """Joins the dense vector, one deep layer over everything, and the second-order term.

    With z the dense vector and the named embeddings side by side:

        y = [dense | ReLU(W z + b) | sum over i < j of z_i z_j]

    The last term crosses single numbers, as TorchRec's does: see `FactorizationMachine`.

    Paper: Guo et al., DeepFM: A Factorization-Machine based Neural Network for CTR Prediction,
    https://arxiv.org/abs/1703.04247.

    Args:
        fm_in_features: int, the number of columns of z.
        sparse_feature_names: list of str, which embeddings take part, in order.
        deep_fm_dimension: int, the number of columns of the deep layer.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        dense_features `(batch, D)` and sparse_features, a `KeyedTensor`.

    Output shape:
        `(batch, D + deep_fm_dimension + 1)`.

    Raises:
        ValueError: on sizes that are not positive, or no names; at a call on inputs that do not
            add up to fm_in_features columns.
        KeyError: at a call on a `KeyedTensor` without one of the names.

    Example:

    >>> import keras
    >>> from tfrec_models.deepfm import FMInteractionArch
    >>> from tfrec_models.sparse import KeyedTensor
    >>> interaction = FMInteractionArch(
    ...     fm_in_features=9, sparse_feature_names=["f1", "f2"], deep_fm_dimension=4
    ... )
    >>> embeddings = KeyedTensor(["f1", "f2"], [3, 3], keras.ops.ones((10, 6)))
    >>> interaction(keras.ops.ones((10, 3)), embeddings).shape
    TensorShape([10, 8])
    """

    def __init__(
        self,
        fm_in_features: int,
        sparse_feature_names: Sequence[str],
        deep_fm_dimension: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        fm_in_features = check_positive("fm_in_features", fm_in_features)
        deep_fm_dimension = check_positive("deep_fm_dimension", deep_fm_dimension)
        if isinstance(sparse_feature_names, str) or not sparse_feature_names:
            raise ValueError(
                "sparse_feature_names must be a list of at least one name, received "
                f"{sparse_feature_names!r}."
            )
        self.fm_in_features = fm_in_features
        self.sparse_feature_names = list(sparse_feature_names)
        self.deep_fm_dimension = deep_fm_dimension
        policy = self.dtype_policy
        dense_module = Perceptron(fm_in_features, deep_fm_dimension, dtype=policy, name="deep")
        self.deep_fm = DeepFM(dense_module, dtype=policy, name="deep_fm")
        self.fm = FactorizationMachine(dtype=policy, name="fm")

    def build(self, dense_features_shape=None, sparse_features_shape=None):
        if self.built:
            return
        self.deep_fm.build()
        self.fm.build()
        self.built = True

    def get_build_config(self):
        # What the layer is built from is in its config; the shapes Keras would keep hold a
        # KeyedTensor, which has no JSON form.
        return {"input_shape": None}

    def call(self, dense_features, sparse_features):
        if sparse_features.keys() == self.sparse_feature_names:
            # Side by side already. Taken apart, each part's gradient would be as wide as the whole.
            parts = [sparse_features.values()]
        else:
            parts = [sparse_features[name] for name in self.sparse_feature_names]
        embeddings = [dense_features, *parts]
        return keras.ops.concatenate(
            [dense_features, self.deep_fm(embeddings), self.fm(embeddings)], axis=1
        )

    def compute_output_spec(self, dense_features, sparse_features):
        batch, dim = dense_features.shape
        return keras.KerasTensor((batch, dim + self.deep_fm_dimension + 1), self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "fm_in_features": self.fm_in_features,
            "sparse_feature_names": self.sparse_feature_names,
            "deep_fm_dimension": self.deep_fm_dimension,
        }
