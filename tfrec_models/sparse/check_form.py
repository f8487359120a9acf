"""The check that sparse features are of none of this package's types that a model does not take."""

from collections.abc import Mapping

from tfrec_models.sparse.jagged_tensor import JaggedTensor
from tfrec_models.sparse.keyed_tensor import KeyedTensor


def check_form(features):
    """Refuses a KeyedTensor, and a dict with a JaggedTensor in it.

    Raises:
        TypeError: on one of them.
    """
    if isinstance(features, KeyedTensor):
        raise TypeError(
            "sparse_features must be ids, received a KeyedTensor, which holds embeddings; give the "
            "ids that were looked up."
        )
    if isinstance(features, Mapping):
        for name, value in features.items():
            if isinstance(value, JaggedTensor):
                raise TypeError(
                    "sparse_features must be a KeyedJaggedTensor or a dict of tensors, received a "
                    f"JaggedTensor as {name!r}; make one of the dict with "
                    "KeyedJaggedTensor.from_jt_dict(...)."
                )
