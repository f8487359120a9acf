"""Weights and models to and from TorchRec."""

from tfrec_models.interop.torchrec.state_dict import load_torchrec_state_dict, torchrec_state_dict

__all__ = ["load_torchrec_state_dict", "torchrec_state_dict"]
