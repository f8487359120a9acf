"""A function of tensors compiled with XLA, forward and backward."""

import functools
import types
import uuid

import tensorflow as tf

from tfrec_models._compat.tensorflow import has_op_callbacks, in_xla
from tfrec_models._processor import multiplies_bfloat16
from tfrec_models.execution.execution import current

# Batch sizes that one trace compiles for: a full batch, a smaller last one, and two more.
MAX_BATCH_SIZES = 4


class Compiled:
    """A function of tensors that runs as one XLA program, forward and backward.

    XLA compiles again for every shape it receives, so a layer compiles what has fixed shapes but
    for the batch size, and passes all variables as tensors: no lookup, no ragged input. Where a
    trace leaves the batch size open, its first `MAX_BATCH_SIZES` sizes are compiled; batches of
    further sizes run the same function by TensorFlow's own operations, which differ in the last
    bits. The sizes belong to the trace: another one, such as that of another model, has its own.

    TensorFlow's own operations run it too while `tf.debugging.enable_check_numerics` watches them,
    as XLA has no kernel for what that adds, and in bfloat16 where all devices are processors with
    products of bfloat16: there XLA multiplies in float32, and takes twice the time.

    A plain function has one program in the process, as if `tf.function` decorated it: what XLA
    compiled for one layer serves every other of the same shapes and types, those of models made
    later too. A method or a lambda has a program for each `Compiled`.

    The program is held in here because Keras and TensorFlow would otherwise find a `tf.function`
    among a layer's attributes and write it, XLA and all, into every SavedModel.

    Args:
        function: function of tensors; the first axis of its first tensor is the batch.
    """

    def __init__(self, function):
        self.function = function
        self._program = _shared_program(function) if _is_plain(function) else _own(function)
        self._by_size = tf.function(self._choose, reduce_retracing=True, autograph=False)

    def __call__(self, *args):
        if not current().uses_xla or has_op_callbacks() or _is_widened_by_xla(args):
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
        """How often the program was traced, for all layers that share it."""
        return self._program.experimental_get_tracing_count()


def _is_plain(function):
    """Whether a function is made once, with its module: no method, lambda or closure."""
    return isinstance(function, types.FunctionType) and "<" not in function.__qualname__


def _own(function):
    return tf.function(function, jit_compile=True, reduce_retracing=True, autograph=False)


@functools.cache
def _shared_program(function):
    # Without `reduce_retracing`: the width of one layer would become unknown beside another's.
    return tf.function(function, jit_compile=True, autograph=False)


def _is_widened_by_xla(args):
    return (
        any(tensor.dtype == tf.bfloat16 for tensor in tf.nest.flatten(args))
        and multiplies_bfloat16()
        and not tf.config.list_logical_devices("GPU")
    )


def _is_compiled_for(shape):
    """Whether the first size is among the first `MAX_BATCH_SIZES` that the trace receives.

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
