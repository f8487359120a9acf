"""Counts the operations of a model's matrix products, from its graph."""

import math

import tensorflow as tf

# Each operation with the attributes that say which of its inputs are transposed.
_TRANSPOSED = {
    "MatMul": ("transpose_a", "transpose_b"),
    "BatchMatMulV2": ("adj_x", "adj_y"),
    "BatchMatMulV3": ("adj_x", "adj_y"),
}


def product_flops(function, *specs) -> int:
    """Multiplications and additions of a function's matrix products, for a batch of one.

    Args:
        function: Python function of tensors, whose matrix products are traced into one graph.
        *specs: `tf.TensorSpec` of each argument, with a batch of 1.
    """
    graph = tf.function(function, autograph=False).get_concrete_function(*specs).graph
    return sum(_flops(operation) for operation in graph.get_operations())


def _flops(operation):
    if operation.type not in _TRANSPOSED:
        return 0
    is_transposed = operation.get_attr(_TRANSPOSED[operation.type][0])
    # What is not known is the batch.
    first, output = (
        [1 if size is None else size for size in tensor.shape]
        for tensor in (operation.inputs[0], operation.outputs[0])
    )
    return 2 * math.prod(output) * first[-2 if is_transposed else -1]
