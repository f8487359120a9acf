"""Weights, optimizer state and whole models to and from TorchRec."""

from tfrec_models.interop.torchrec.from_torchrec import from_torchrec
from tfrec_models.interop.torchrec.optimizer_state import (
    load_torchrec_optimizer_state,
    torchrec_optimizer_state,
)
from tfrec_models.interop.torchrec.read_checkpoint import read_checkpoint
from tfrec_models.interop.torchrec.state_dict import load_torchrec_state_dict, torchrec_state_dict

__all__ = [
    "from_torchrec",
    "load_torchrec_optimizer_state",
    "load_torchrec_state_dict",
    "read_checkpoint",
    "torchrec_optimizer_state",
    "torchrec_state_dict",
]
