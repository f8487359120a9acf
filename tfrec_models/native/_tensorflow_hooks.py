"""The private parts of TensorFlow that native kernels need, all in one place.

Tested on TensorFlow 2.21, the only minor version the package installs with.
"""

import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.eager.record import could_possibly_record
from tensorflow.python.framework import ops
from tensorflow.python.framework.auto_control_deps_utils import register_read_only_resource_op
from tensorflow.python.ops import control_flow_util
from tensorflow.python.ops.resource_variable_ops import variable_accessed

__all__ = [
    "could_possibly_record",
    "in_xla",
    "own_task",
    "register_read_only_resource_op",
    "variable_accessed",
]


def in_xla():
    """Whether a function is being traced for `jit_compile=True`."""
    return control_flow_util.GraphOrParentsInXlaContext(ops.get_default_graph())


def own_task():
    """The job and the number of this process in its cluster; ("localhost", 0) in none."""
    spec = tf.DeviceSpec.from_string(context.context().host_address_space())
    return spec.job, spec.task
