"""DeepFM, TorchRec's and the paper's, and their parts (as `torchrec.models.deepfm`)."""

from tfrec_models.deepfm.deepfm_ranker import DeepFMRanker
from tfrec_models.deepfm.dense_arch import DenseArch
from tfrec_models.deepfm.fm_interaction_arch import FMInteractionArch
from tfrec_models.deepfm.over_arch import OverArch
from tfrec_models.deepfm.simple_deepfm_nn import SimpleDeepFMNN
from tfrec_models.deepfm.sparse_arch import SparseArch

__all__ = [
    "DeepFMRanker",
    "DenseArch",
    "FMInteractionArch",
    "OverArch",
    "SimpleDeepFMNN",
    "SparseArch",
]
