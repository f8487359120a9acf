"""Layers the models are made of (as `torchrec.modules`)."""

from tfrec_models.layers.activation import SwishLayerNorm
from tfrec_models.layers.embedding_bag_collection import EmbeddingBagCollection
from tfrec_models.layers.embedding_configs import EmbeddingBagConfig, PoolingType
from tfrec_models.layers.mlp import MLP, Perceptron
from tfrec_models.layers.xla import is_xla_enabled, set_xla_enabled, xla_disabled

__all__ = [
    "MLP",
    "EmbeddingBagCollection",
    "EmbeddingBagConfig",
    "Perceptron",
    "PoolingType",
    "SwishLayerNorm",
    "is_xla_enabled",
    "set_xla_enabled",
    "xla_disabled",
]
