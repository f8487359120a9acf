"""TorchRec's models, native to Keras 3 and TensorFlow."""

from tfrec_models._compat.backend import check_backend

check_backend()

# ruff: noqa: E402, I001, nothing of Keras may be imported before the check.
# Registers what a `.keras` file may be compiled with.
import tfrec_models.metrics  # noqa: F401
from tfrec_models._version import __version__
from tfrec_models.deepfm import DeepFMRanker, SimpleDeepFMNN
from tfrec_models.dlrm import DLRM, DLRM_DCN, DLRM_Projection, DLRMTrain
from tfrec_models.layers import (
    EmbeddingBagCollection,
    EmbeddingBagConfig,
    PoolingType,
    set_xla_enabled,
    xla_disabled,
)
from tfrec_models.multi_task_ranker import MultiTaskRanker
from tfrec_models.ranking_model import RankingModel
from tfrec_models.resize_tables import resize_tables
from tfrec_models.sparse import JaggedTensor, KeyedJaggedTensor, KeyedTensor
from tfrec_models.warm_start import WarmStart, warm_start

__all__ = [
    "RankingModel",
    "__version__",
    "DLRM",
    "DLRM_DCN",
    "DLRMTrain",
    "DLRM_Projection",
    "DeepFMRanker",
    "EmbeddingBagCollection",
    "EmbeddingBagConfig",
    "JaggedTensor",
    "KeyedJaggedTensor",
    "KeyedTensor",
    "MultiTaskRanker",
    "PoolingType",
    "SimpleDeepFMNN",
    "WarmStart",
    "resize_tables",
    "set_xla_enabled",
    "warm_start",
    "xla_disabled",
]
