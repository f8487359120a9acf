"""Models that may change or go (as `torchrec.models.experimental`)."""

from tfrec_models.experimental.transformerdlrm import (
    DLRM_Transformer,
    InteractionTransformerArch,
)

__all__ = ["DLRM_Transformer", "InteractionTransformerArch"]
