"""One small model of each family."""

from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig
from tfrec_models.deepfm import DeepFMRanker, SimpleDeepFMNN
from tfrec_models.dlrm import DLRM_DCN, DLRM_Projection
from tfrec_models.experimental import DLRM_Transformer


def tables(sparse=2, rows=10, dim=4):
    """A collection with one feature for each of its tables."""
    return EmbeddingBagCollection(
        [EmbeddingBagConfig(rows, dim, f"t{i}", feature_names=[f"f{i}"]) for i in range(sparse)]
    )


def make(family, dense=3, sparse=2, rows=10, dim=4):
    """Returns a model of the family of that name."""
    ebc, ends = tables(sparse, rows, dim), ([16, dim], [16, 1])
    if family == "DLRM":
        return DLRM(ebc, dense, *ends)
    if family == "DLRM_DCN":
        return DLRM_DCN(ebc, dense, *ends, 2, 4)
    if family == "DLRM_Projection":
        return DLRM_Projection(ebc, dense, *ends, [16, 2 * dim], [16, 2 * dim])
    if family == "DLRM_Transformer":
        return DLRM_Transformer(ebc, dense, *ends, nhead=2, ntransformer_layers=1)
    if family == "SimpleDeepFMNN":
        return SimpleDeepFMNN(dense, ebc, 16, 4)
    return DeepFMRanker(ebc, dense, [16])


FAMILIES = (
    "DLRM",
    "DLRM_DCN",
    "DLRM_Projection",
    "DLRM_Transformer",
    "SimpleDeepFMNN",
    "DeepFMRanker",
)
