"""A function of tensors compiled with XLA, forward and backward."""

import uuid

import tensorflow as tf

from tfrec_models._compat.tensorflow import has_op_callbacks, in_xla
from tfrec_models.execution.execution import current

# Batch sizes that one trace compiles for: a full batch, a smaller last one, and two more.
MAX_BATCH_SIZES = 4


class Compiled:
    """A function of tensors that runs as one XLA program, forward and backward.

    XLA compiles again for every shape it meets, so a layer compiles what has fixed shapes but for
    the batch size, and hands in all variables as tensors: no lookup, no ragged input. Where a
    trace leaves the batch size open, its first `MAX_BATCH_SIZES` sizes are compiled; batches of
    further sizes run the same function by TensorFlow's own operations, which differ in the last
    bits. The sizes belong to the trace: another one, such as that of another model, meets its own.

    TensorFlow's own operations run it too while `tf.debugging.enable_check_numerics` watches them,
    as XLA has no kernel for what that adds.

    The program is held in here because Keras and TensorFlow would otherwise find a `tf.function`
    among a layer's attributes and write it, XLA and all, into every SavedModel.

    Args:
        function: function of tensors; the first axis of its first tensor is the batch.
    """

    def __init__(self, function):
        self.function = function
        self._program = tf.function(
            function, jit_compile=True, reduce_retracing=True, autograph=False
        )
        self._by_size = tf.function(self._choose, reduce_retracing=True, autograph=False)

    def __call__(self, *args):
        if not current().uses_xla or has_op_callbacks():
            return self.function(*args)
        return self._by_size(*args)

    def _choose(self, *args):
        batch = tf.nest.flatten(args)[0]
        if batch.shape[0] is not None or in_xla():
            return self._program(*args)
        return tf.cond(
            _is_compiled_for(tf.shape(batch, tf.int64)),
            lambda: self._program(*args),
            lambda: self.function(*args),
        )

    @property
    def trace_count(self):
        """How often the function was traced."""
        return self._program.experimental_get_tracing_count()


def _is_compiled_for(shape):
    """Whether the first size is among the first `MAX_BATCH_SIZES` that the trace meets.

    The table of sizes is made where the trace first runs, by a name of its own: workers of a
    cluster, to which a trace is sent, keep theirs. All of it stays on the host, which knows shapes
    and asks for the answer.
    """
    with tf.device("CPU:0"):
        size = shape[0]
        sizes = tf.raw_ops.MutableHashTableV2(
            key_dtype=tf.int64,
            value_dtype=tf.int64,
            shared_name=f"tfrec_batch_sizes_{uuid.uuid4().hex}",
        )
        unknown = tf.constant(-1, tf.int64)
        found = tf.raw_ops.LookupTableFindV2(table_handle=sizes, keys=size, default_value=unknown)
        known = found == size
        with tf.control_dependencies([found]):
            count = tf.raw_ops.LookupTableSizeV2(table_handle=sizes)
        chosen = known | (count < MAX_BATCH_SIZES)

        def remember():
            return tf.raw_ops.LookupTableInsertV2(table_handle=sizes, keys=size, values=size)

        with tf.control_dependencies([tf.cond(chosen & ~known, remember, tf.no_op)]):
            return tf.identity(chosen)
