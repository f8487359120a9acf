"""Layers the models are made of (as `torchrec.modules`)."""

from tfrec_models.layers.activation import SwishLayerNorm
from tfrec_models.layers.crossnet import CrossNet, LowRankCrossNet, VectorCrossNet
from tfrec_models.layers.deepfm import (
    DeepFM,
    FactorizationMachine,
    FieldFactorizationMachine,
)
from tfrec_models.layers.embedding_bag_collection import EmbeddingBagCollection
from tfrec_models.layers.embedding_collection import EmbeddingCollection
from tfrec_models.layers.embedding_configs import (
    EmbeddingBagConfig,
    EmbeddingConfig,
    PoolingType,
)
from tfrec_models.layers.forward_only import forward_only
from tfrec_models.layers.mixture_crossnet import LowRankMixtureCrossNet
from tfrec_models.layers.mlp import MLP, Perceptron
from tfrec_models.layers.xla import is_xla_enabled, set_xla_enabled, xla_disabled

__all__ = [
    "MLP",
    "CrossNet",
    "DeepFM",
    "EmbeddingBagCollection",
    "EmbeddingBagConfig",
    "EmbeddingCollection",
    "EmbeddingConfig",
    "FactorizationMachine",
    "FieldFactorizationMachine",
    "LowRankCrossNet",
    "LowRankMixtureCrossNet",
    "Perceptron",
    "PoolingType",
    "SwishLayerNorm",
    "VectorCrossNet",
    "is_xla_enabled",
    "set_xla_enabled",
    "forward_only",
    "xla_disabled",
]
