"""TorchRec's models, native to Keras 3 and TensorFlow."""

from tfrec_models.dlrm import DLRM, DLRMTrain
from tfrec_models.layers import (
    EmbeddingBagCollection,
    EmbeddingBagConfig,
    PoolingType,
    set_xla_enabled,
    xla_disabled,
)
from tfrec_models.sparse import JaggedTensor, KeyedJaggedTensor, KeyedTensor

__all__ = [
    "DLRM",
    "DLRMTrain",
    "EmbeddingBagCollection",
    "EmbeddingBagConfig",
    "JaggedTensor",
    "KeyedJaggedTensor",
    "KeyedTensor",
    "PoolingType",
    "set_xla_enabled",
    "xla_disabled",
]
