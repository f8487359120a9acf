"""Dot products of all pairs of vectors in one operation, and their gradients."""

import tensorflow as tf

from tfrec_models._compat.tensorflow import in_xla
from tfrec_models._rows.sharding import on_servers
from tfrec_models.native.library import is_native_available, kernels
from tfrec_models.native.lookup import DTYPES


def serves_vectors(vectors):
    """Whether the kernel may multiply these vectors, here and now.

    It does so for float32 and bfloat16 where this process has CPUs alone, outside XLA. A step for
    parameter servers is sent to workers, which may not have the kernels.
    """
    if vectors.dtype not in DTYPES or None in vectors.shape[1:] or in_xla() or on_servers():
        return False
    return not tf.config.list_logical_devices("GPU") and is_native_available()


def pair_products(dense, sparse):
    """The dense vectors, then the dot products of every two of dense and sparse vectors.

    Args:
        dense: tensor (batch, dim) of a type that `serves_vectors` takes.
        sparse: tensor (batch, num_sparse, dim) of the same type.

    Returns:
        Tensor (batch, dim + num_sparse (num_sparse + 1) / 2), row by row as in `InteractionArch`.
    """
    products = kernels().tfrec_pair_products(dense=dense, sparse=sparse)
    num_sparse, dim = sparse.shape[1:]
    return tf.ensure_shape(products, [dense.shape[0], dim + num_sparse * (num_sparse + 1) // 2])


@tf.RegisterGradient("TfrecPairProducts")
def _pair_products_gradient(op, upstream):
    dense, sparse = op.inputs
    return list(
        kernels().tfrec_pair_products_gradient(dense=dense, sparse=sparse, upstream=upstream)
    )
