"""What a graph would do on a GPU, read from TensorFlow's list of its kernels.

TensorFlow's Linux wheel is built with CUDA, and lists the kernels for GPUs on any machine.
"""

import collections
import dataclasses
import functools

import tensorflow as tf
from tensorflow.python.framework import kernels, op_def_registry

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_BRANCHES = ("If", "StatelessIf", "Case", "StatelessCase")
_LOOPS = ("While", "StatelessWhile")
# They take what they are given, wherever it is.
_PLACED_ANYWHERE = ("Placeholder", "NoOp", *_CALLS)
# What functions, branches and loops hand over in the host's memory.
_HANDED_ON_HOST = (tf.int32, tf.string, tf.resource, tf.variant)
# Their kernels wait until the host knows how long the result is.
_SIZED_ON_HOST = ("Where", "Unique", "UniqueV2", "DynamicPartition", "SegmentSum", "SegmentMean")


@dataclasses.dataclass
class OnGpu:
    """What one graph would do on a GPU.

    Args:
        without_kernel: list of str, the operations without a kernel there, each with its types.
            Those of strings are none, unless they read what is computed there.
        host_inputs: int, how many inputs of operations are read from the host's memory.
        waits: Counter of the operations at which the host waits for the GPU, because they read in
            its memory what is computed there, or to learn the length of their result.
        whole_reads: list of str, the operations that read a whole table.
    """

    without_kernel: list = dataclasses.field(default_factory=list)
    host_inputs: int = 0
    waits: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    whole_reads: list = dataclasses.field(default_factory=list)

    def __str__(self):
        waits = ", ".join(f"{count} {op}" for op, count in self.waits.most_common())
        return (
            f"{len(self.without_kernel)} operations without a kernel, {self.host_inputs} inputs in "
            f"the host's memory, {len(self.whole_reads)} reads of whole tables, "
            f"{sum(self.waits.values())} waits ({waits})"
        )


def lists_gpu_kernels():
    """Whether this TensorFlow was built for GPUs."""
    return any(kernel.device_type == "GPU" for kernel in _kernels_of("MatMul"))


def on_gpu(graph, tables=()):
    """Walks a graph and the functions that it calls, each as often as it is called.

    Branches that refuse an input are left out, as they end the step, and so are functions that XLA
    compiles.

    Args:
        graph: `FuncGraph`.
        tables: list of `tf.Variable`.

    Returns:
        `OnGpu`.
    """
    found = OnGpu()
    definition = graph.as_graph_def()
    functions = {function.signature.name: function for function in definition.library.function}

    def walk(nodes, given, tables):
        """Visits nodes; `given` is the dtype of each argument, `tables` are those with a table."""
        nodes_by_name = {node.name: node for node in nodes}
        for node in nodes:
            called = [value.func.name for value in node.attr.values() if value.HasField("func")]
            called = [functions[name] for name in called]
            handed = node.input[1:] if node.op in _BRANCHES else node.input
            for function in [] if _is_compiled(node, called) else called:
                if not _refuses(function):
                    arguments = function.signature.input_arg
                    walk(
                        function.node_def,
                        {argument.name: tf.as_dtype(argument.type) for argument in arguments},
                        {a.name for a, of in zip(arguments, handed, strict=False) if of in tables},
                    )
            if node.op not in _PLACED_ANYWHERE:
                visit(node, nodes_by_name, given, tables)

    def visit(node, nodes_by_name, given, tables):
        kernel = _gpu_kernel(node)
        if _is_on_cpu(node):
            inputs = [source for source in node.input if not source.startswith("^")]
            found.host_inputs += len(inputs)
            if any(_is_on_gpu(source, nodes_by_name, given) for source in inputs):
                found.waits[node.op] += 1
            return
        if kernel is None:
            if _has_strings(node):
                inputs = [source for source in node.input if not source.startswith("^")]
                if not any(_is_on_gpu(source, nodes_by_name, given) for source in inputs):
                    return
            types = [dtype.name for _, dtype in _arguments(node, "input_arg")]
            found.without_kernel.append(f"{node.op} of {', '.join(types)}: {node.name}")
            return
        if node.op == "ReadVariableOp" and node.input[0] in tables:
            found.whole_reads.append(node.name)
        read_there = [
            source
            for source, (name, dtype) in zip(
                node.input, _arguments(node, "input_arg"), strict=False
            )
            if name in kernel.host_memory_arg and dtype != tf.resource
        ]
        found.host_inputs += len(read_there)
        waits = any(_is_on_gpu(source, nodes_by_name, given) for source in read_there)
        if waits or node.op in _SIZED_ON_HOST:
            found.waits[node.op] += 1

    handles = {id(variable.handle) for variable in tables}
    walk(
        definition.node,
        {},
        {inner.op.name for outer, inner in graph.captures if id(outer) in handles},
    )
    return found


def _is_on_gpu(source, nodes_by_name, given):
    """Whether what a node reads is in a GPU's memory when it is made."""
    name, *place = source.split(":")
    if name not in nodes_by_name:
        return given[name] not in _HANDED_ON_HOST
    node = nodes_by_name[name]
    if node.op == "Const" or _is_on_cpu(node):
        # A small one is kept on the host where it is read there.
        return False
    if node.op == "Placeholder":
        return tf.as_dtype(node.attr["dtype"].type) not in _HANDED_ON_HOST
    outputs = _arguments(node, "output_arg")
    if len(place) == 2:
        # Within a function an output has the name of its argument and a number among these.
        outputs = [output for output in outputs if output[0] == place[0]]
    argument, dtype = outputs[int(place[-1]) if place else 0]
    if node.op in (*_CALLS, *_BRANCHES, *_LOOPS):
        return dtype not in _HANDED_ON_HOST
    kernel = _gpu_kernel(node)
    return kernel is not None and argument not in kernel.host_memory_arg


def _is_on_cpu(node):
    return tf.DeviceSpec.from_string(node.device).device_type == "CPU"


def _gpu_kernel(node):
    """The kernel of a node on a GPU, or None."""
    fitting = [
        kernel
        for kernel in _kernels_of(node.op)
        if kernel.device_type in ("GPU", "DEFAULT")
        and not kernel.label
        and all(_allows(constraint, node) for constraint in kernel.constraint)
    ]
    return max(
        fitting, key=lambda kernel: (kernel.device_type == "GPU", kernel.priority), default=None
    )


def _allows(constraint, node):
    value = node.attr[constraint.name]
    return set(value.list.type or [value.type]) <= set(constraint.allowed_values.list.type)


def _arguments(node, which):
    """The name and the dtype of each input or output of a node, flat."""
    found = []
    for argument in getattr(op_def_registry.get(node.op), which):
        if argument.type_list_attr:
            types = list(node.attr[argument.type_list_attr].list.type)
        else:
            count = node.attr[argument.number_attr].i if argument.number_attr else 1
            types = [argument.type or node.attr[argument.type_attr].type] * count
        found += [(argument.name, tf.as_dtype(dtype)) for dtype in types]
    return found


def _has_strings(node):
    arguments = _arguments(node, "input_arg") + _arguments(node, "output_arg")
    return any(dtype == tf.string for _, dtype in arguments)


def _refuses(function):
    """Whether a branch writes a message and ends the step with it."""
    return {"StringFormat", "Assert"} <= {node.op for node in function.node_def}


def _is_compiled(node, called):
    return any(holder.attr["_XlaMustCompile"].b for holder in [node, *called])


@functools.cache
def _kernels_of(op):
    return list(kernels.get_registered_kernels_for_op(op).kernel)
