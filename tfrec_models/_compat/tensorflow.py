"""Private parts of TensorFlow, each behind an accessor with a name of our own.

Nothing else in the package reads a private attribute of TensorFlow.
"""

import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import ops
from tensorflow.python.framework.auto_control_deps_utils import register_read_only_resource_op
from tensorflow.python.ops import control_flow_util
from tensorflow.python.ops.resource_variable_ops import variable_accessed

__all__ = [
    "ragged_from_variant",
    "ragged_to_variant",
    "complete_spec",
    "decompose_indexed_slices",
    "has_failed",
    "in_xla",
    "num_workers",
    "own_task",
    "register_read_only_resource_op",
    "server_addresses",
    "variable_accessed",
]


def in_xla():
    """Whether a function is being traced for `jit_compile=True`."""
    return control_flow_util.GraphOrParentsInXlaContext(ops.get_default_graph())


def own_task():
    """The job and the number of this process in its cluster; ("localhost", 0) in none."""
    spec = tf.DeviceSpec.from_string(context.context().host_address_space())
    return spec.job, spec.task


def num_workers(strategy):
    """The number of workers of a ParameterServerStrategy, which it has no public name for."""
    return strategy.extended._num_workers


def server_addresses(strategy):
    """The addresses of the parameter servers of a ParameterServerStrategy."""
    return strategy._cluster_resolver.cluster_spec().job_tasks("ps")


def has_failed(remote_value):
    """Whether a `RemoteValue` keeps an error, so that it will never have a value."""
    return remote_value._error is not None


def decompose_indexed_slices(sharded_variable, slices):
    """Splits a sparse gradient among the pieces of a `ShardedVariable`."""
    return sharded_variable._decompose_indexed_slices(slices)


def ragged_to_variant(ragged, batched_input):
    """Encodes a RaggedTensor as variants; only the decoded value has a public form."""
    return ragged._to_variant(batched_input=batched_input)


def ragged_from_variant(variant, dtype, output_ragged_rank, row_splits_dtype):
    """Decodes what `ragged_to_variant` made."""
    return tf.RaggedTensor._from_variant(
        variant, dtype, output_ragged_rank=output_ragged_rank, row_splits_dtype=row_splits_dtype
    )


def complete_spec(spec_class, make_empty):
    """Gives the spec of an ExtensionType what strategies and tf.data ask of specs of their own.

    A strategy asks for a value without examples, for replicas that have none left;
    `Dataset.scan`, `reduce` and `window` ask for dtype, shape and class apart.

    Args:
        spec_class: class of the spec, with properties `shape` and `dtype`.
        make_empty: function from a spec to its value without examples.
    """
    spec_class._create_empty_value = make_empty
    spec_class._to_legacy_output_types = lambda spec: spec.dtype
    spec_class._to_legacy_output_shapes = lambda spec: spec.shape
    spec_class._to_legacy_output_classes = lambda spec: spec


class LazyIndexedSlices(tf.IndexedSlices):
    """IndexedSlices whose `values` are computed by `compute_values` when something asks for them.

    `tf.IndexedSlices` keeps its values in a private attribute that it reads and sets.
    """

    def __init__(self, indices, dense_shape):
        self._computed = None
        super().__init__(None, indices, dense_shape)

    def compute_values(self):
        raise NotImplementedError

    @property
    def _values(self):
        if self._computed is None:
            self._computed = self.compute_values()
        return self._computed

    @_values.setter
    def _values(self, values):
        pass
