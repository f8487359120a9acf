"""Private parts of TensorFlow, each behind an accessor with a name of our own.

Nothing else in the package reads a private attribute of TensorFlow.
"""

import contextlib

import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import op_callbacks, ops
from tensorflow.python.framework.auto_control_deps_utils import register_read_only_resource_op
from tensorflow.python.ops import control_flow_util
from tensorflow.python.ops.resource_variable_ops import variable_accessed

__all__ = [
    "ragged_from_variant",
    "ragged_to_variant",
    "complete_spec",
    "decompose_indexed_slices",
    "has_failed",
    "has_op_callbacks",
    "in_xla",
    "num_workers",
    "out_of_line",
    "own_task",
    "reductions_without_gradient",
    "register_read_only_resource_op",
    "server_addresses",
    "variable_accessed",
]


def in_xla():
    """Whether a function is being traced for `jit_compile=True`."""
    return control_flow_util.GraphOrParentsInXlaContext(ops.get_default_graph())


def has_op_callbacks():
    """Whether TensorFlow watches every operation, as `tf.debugging.enable_check_numerics` has it.

    What it adds to a graph for that has no XLA kernel. There is no public way to ask.
    """
    return op_callbacks.should_invoke_op_callbacks()


def out_of_line(branch):
    """A branch of `tf.cond` as one operation of the graph, for long branches that are rarely taken.

    TensorFlow copies both branches into the graph that holds them, and each run of it passes by all
    operations of the one that is not taken: for a request of one example more than those that run.
    The attribute that prevents the copy has no public name. Not for branches that raise, since the
    message would begin with the names of the functions it was raised in.

    Args:
        branch: function without arguments, traced as a graph; called as it is outside graphs.
    """
    if tf.executing_eagerly():
        return branch
    return tf.function(branch, autograph=False, experimental_attributes={"_noinline": True})


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


@contextlib.contextmanager
def reductions_without_gradient():
    """Within it, `all_reduce` of this replica has no gradient, as befits an optimizer.

    TensorFlow gives it one by `tf.custom_gradient` where every value is dense. That registers a
    function for each trace, permanently, and with it the graph of the step and the variables it
    reads: the tables of every model that was ever trained.
    """
    replica = tf.distribute.get_replica_context()
    if replica is None:
        yield
        return
    with _ReplicaOfOptimizer(replica):
        yield


class _ReplicaOfOptimizer(tf.distribute.ReplicaContext):
    """A replica as it is but for `all_reduce`."""

    def __init__(self, replica):
        super().__init__(replica.strategy, replica.replica_id_in_sync_group)
        self._replica = replica

    def merge_call(self, merge_fn, args=(), kwargs=None):
        if not tf.distribute.has_strategy():
            # TensorFlow's default replica lives as long as its thread, and on entry takes hold of
            # what was entered before it.
            return super().merge_call(merge_fn, args, kwargs)
        with self._replica:
            return self._replica.merge_call(merge_fn, args, kwargs)

    def all_reduce(self, reduce_op, value, options=None):
        if self.num_replicas_in_sync == 1:
            return value
        # TensorFlow defines no gradient where one of the values is sparse: a row of zeros is.
        row = tf.IndexedSlices(tf.zeros([1, 1]), tf.zeros([1], tf.int32), tf.constant([1, 1]))
        values = [*tf.nest.flatten(value), row]
        with self._replica:
            reduced = self._replica.all_reduce(reduce_op, values, options)
        return tf.nest.pack_sequence_as(value, reduced[:-1])
