"""Layers the models are made of (as `torchrec.modules`)."""

from tfrec_models.embeddings.embedding_bag_collection import EmbeddingBagCollection
from tfrec_models.embeddings.embedding_bag_config import EmbeddingBagConfig
from tfrec_models.embeddings.embedding_collection import EmbeddingCollection
from tfrec_models.embeddings.embedding_config import EmbeddingConfig
from tfrec_models.embeddings.managed_ids import ManagedIds
from tfrec_models.embeddings.pooling_type import PoolingType
from tfrec_models.execution import is_xla_enabled, set_xla_enabled, xla_disabled
from tfrec_models.layers.crossnet import CrossNet
from tfrec_models.layers.deepfm import DeepFM
from tfrec_models.layers.factorization_machine import FactorizationMachine
from tfrec_models.layers.field_factorization_machine import FieldFactorizationMachine
from tfrec_models.layers.low_rank_crossnet import LowRankCrossNet
from tfrec_models.layers.low_rank_mixture_crossnet import LowRankMixtureCrossNet
from tfrec_models.layers.managed_ids_logger import ManagedIdsLogger
from tfrec_models.layers.mlp import MLP
from tfrec_models.layers.perceptron import Perceptron
from tfrec_models.layers.swish_layer_norm import SwishLayerNorm
from tfrec_models.layers.vector_crossnet import VectorCrossNet

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
    "ManagedIds",
    "ManagedIdsLogger",
    "Perceptron",
    "PoolingType",
    "SwishLayerNorm",
    "VectorCrossNet",
    "is_xla_enabled",
    "set_xla_enabled",
    "xla_disabled",
]
