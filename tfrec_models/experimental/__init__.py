"""Models that may change or go (as `torchrec.models.experimental`)."""

from tfrec_models.experimental.dlrm_transformer import DLRM_Transformer
from tfrec_models.experimental.interaction_transformer_arch import InteractionTransformerArch

__all__ = ["DLRM_Transformer", "InteractionTransformerArch"]
