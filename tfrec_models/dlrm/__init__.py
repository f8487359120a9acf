"""DLRM and its parts (as `torchrec.models.dlrm`)."""

from tfrec_models.dlrm.dense_arch import DenseArch
from tfrec_models.dlrm.interaction_arch import InteractionArch, choose
from tfrec_models.dlrm.model import DLRM
from tfrec_models.dlrm.over_arch import OverArch
from tfrec_models.dlrm.sparse_arch import SparseArch
from tfrec_models.dlrm.train import DLRMTrain

__all__ = ["DLRM", "DLRMTrain", "DenseArch", "InteractionArch", "OverArch", "SparseArch", "choose"]
