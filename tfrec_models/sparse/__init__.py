"""Sparse features: bags of ids for each example (as `torchrec.sparse.jagged_tensor`)."""

from tfrec_models.sparse import _kjt_dispatch  # noqa: F401, registers
from tfrec_models.sparse.jagged_tensor import JaggedTensor
from tfrec_models.sparse.keyed_jagged_tensor import KeyedJaggedTensor
from tfrec_models.sparse.keyed_tensor import KeyedTensor

__all__ = ["JaggedTensor", "KeyedJaggedTensor", "KeyedTensor"]
