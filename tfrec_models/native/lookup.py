"""Pooled lookups in one operation, and their gradients."""

import tensorflow as tf

from tfrec_models._compat.tensorflow import (
    in_xla,
    own_task,
    register_read_only_resource_op,
    variable_accessed,
)
from tfrec_models.native.bag_gradient import BagGradient, transpose_bags
from tfrec_models.native.library import is_native_available, kernels, tell_once

DTYPES = (tf.float32, tf.bfloat16)

# They run at once with other reads, and where they are not used they do not run.
register_read_only_resource_op("TfrecPooledLookup")
register_read_only_resource_op("TfrecWeightGradients")


def serves(variable):
    """Whether the kernels can work on a variable, here and now.

    They do on matrices of float32 or bfloat16 on this machine's CPUs, outside XLA. A sharded
    variable, a variable of another process, float16, float64 and devices other than CPUs are left
    to TensorFlow's own operations.
    """
    if variable.shape.rank != 2 or in_xla():
        return False
    if hasattr(variable, "handle") and variable.dtype not in DTYPES:
        tell_once(f"they have no {variable.dtype.name} tables")
        return False
    return reaches(variable)


def reaches(variable):
    """Whether a variable lies on this machine's CPUs, where the kernels may be used."""
    if not hasattr(variable, "handle"):
        tell_once("a table lies in pieces")
        return False
    if isinstance(variable, tf.distribute.DistributedValues) and _in_cross_replica_context():
        return False
    if not _is_on_local_cpu(variable.device):
        tell_once("a table is not on a CPU of this process")
        return False
    return is_native_available()


def resolve_ids(ids, row_splits, dtype, by_example, num_ids, first_rows, policies):
    """Applies id policies and shifts ids to their table's rows, all in one pass.

    Args:
        ids: int32 or int64 tensor (n,).
        row_splits: int64 tensor (bags + 1,).
        dtype: that of the rows.
        by_example: bool, whether the bags come example by example or feature by feature.
        num_ids, first_rows: lists with an int for each feature: how many ids its table has, and
            where the table begins.
        policies: list with a str for each feature, the `id_policy` of its table.

    Returns:
        The rows, -1 where an id is dropped, and the position of the first id that its table
        refuses, or -1.
    """
    return kernels().tfrec_resolve_ids(
        ids=ids,
        row_splits=row_splits,
        Row=dtype,
        by_example=by_example,
        num_ids=num_ids,
        first_rows=first_rows,
        policies=policies,
    )


def pool_rows(variable, rows, row_splits, weights=None, mean=False, num_features=1):
    """Looks up rows and pools them.

    Args:
        variable: `tf.Variable` (num_rows, dim) that the kernels serve.
        rows: int32 or int64 tensor (n,); negative ones are left out of their bag.
        row_splits: int tensor (bags + 1,), or None where every row is a bag.
        weights: tensor (n,) or None.
        mean: bool, whether a bag's sum is divided by the number of its rows.
        num_features: int; if not 1, bags come feature by feature and go out example by example.

    Returns:
        Tensor (bags, dim) in the type of the variable.

    Raises:
        tf.errors.InvalidArgumentError: on rows outside the table and splits that do not fit.
    """
    variable_accessed(variable)
    if weights is not None:
        # Rounded as TensorFlow's lookup has them.
        weights = tf.cast(tf.cast(weights, variable.dtype), tf.float32)
    return kernels().tfrec_pooled_lookup(
        table=variable.handle,
        rows=rows,
        row_splits=[] if row_splits is None else [tf.cast(row_splits, tf.int64)],
        weights=[] if weights is None else [weights],
        T=variable.dtype,
        num_features=num_features,
        mean=mean,
    )


@tf.RegisterGradient("TfrecPooledLookup")
def _pooled_lookup_gradient(op, upstream):
    num_splits, num_features = op.get_attr("num_splits"), op.get_attr("num_features")
    table, rows, *rest = op.inputs
    # Of the type of a gather's, and of the zeros of a branch without a lookup.
    shape = tf.raw_ops.VariableShape(input=table, out_type=rows.dtype)
    if not rest and not num_splits:
        # A gather's gradient, repeats and all: every optimizer does with it what it does there.
        return [tf.IndexedSlices(upstream, rows, shape), None]
    splits, weights = rest[:num_splits], rest[num_splits:]
    transposed = transpose_bags(rows, splits, weights, num_features, op.get_attr("mean"))
    gradients = [BagGradient(*transposed, upstream, shape), None, *[None] * num_splits]
    if weights:
        gradients.append(
            kernels().tfrec_weight_gradients(
                table=table,
                rows=rows,
                row_splits=splits,
                upstream=upstream,
                num_features=num_features,
            )
        )
    return gradients


def _in_cross_replica_context():
    return tf.distribute.get_replica_context() is None


def _is_on_local_cpu(device):
    if not device:
        return not tf.config.list_logical_devices("GPU")
    spec = tf.DeviceSpec.from_string(device)
    if spec.device_type not in (None, "CPU"):
        return False
    return spec.job in (None, "localhost") or (spec.job, spec.task) == own_task()
