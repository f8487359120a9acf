"""DLRM, its variants and their parts (as `torchrec.models.dlrm`).

TorchRec's `DLRMWrapper` has no class here: its predictions are `DLRM`'s, and its loss is what `fit`
and `evaluate` take after `compile(loss=keras.losses.BinaryCrossentropy(from_logits=True))`.
"""

from tfrec_models.dlrm.dense_arch import DenseArch
from tfrec_models.dlrm.dlrm import DLRM
from tfrec_models.dlrm.dlrm_dcn import DLRM_DCN
from tfrec_models.dlrm.dlrm_projection import DLRM_Projection
from tfrec_models.dlrm.dlrm_train import DLRMTrain
from tfrec_models.dlrm.interaction import Interaction
from tfrec_models.dlrm.interaction_arch import InteractionArch, choose
from tfrec_models.dlrm.interaction_concat_arch import InteractionConcatArch
from tfrec_models.dlrm.interaction_dcn_arch import InteractionDCNArch
from tfrec_models.dlrm.interaction_parallel_dcn_arch import InteractionParallelDCNArch
from tfrec_models.dlrm.interaction_projection_arch import InteractionProjectionArch
from tfrec_models.dlrm.over_arch import OverArch
from tfrec_models.dlrm.sparse_arch import SparseArch

__all__ = [
    "DLRM",
    "DLRM_DCN",
    "DLRMTrain",
    "DLRM_Projection",
    "DenseArch",
    "Interaction",
    "InteractionArch",
    "InteractionConcatArch",
    "InteractionDCNArch",
    "InteractionParallelDCNArch",
    "InteractionProjectionArch",
    "OverArch",
    "SparseArch",
    "choose",
]
