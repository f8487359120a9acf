"""Graphs as Grappler leaves them, and the reads of whole tables in them."""

import contextlib

from tensorflow.python.eager import context

# Operations that pass a resource on.
_PASS_ON = ("Identity", "Enter", "Switch", "RefSwitch", "Merge", "_SwitchN")


@contextlib.contextmanager
def recorded_graphs():
    """Within it, graphs are recorded as they run; yields a list that is full afterwards."""
    graphs = []
    context.enable_run_metadata()
    try:
        yield graphs
        metadata = context.export_run_metadata()
        graphs += [function.post_optimization_graph for function in metadata.function_graphs]
    finally:
        context.disable_run_metadata()


def whole_reads(graphs, num_rows):
    """The names of operations that read a variable of at least `num_rows` rows as a whole."""
    return [
        node.name
        for graph in graphs
        for node in graph.node
        if node.op == "ReadVariableOp"
        and _rows_of_source(node.input[0], {n.name: n for n in graph.node}) >= num_rows
    ]


def _rows_of_source(name, nodes):
    node = nodes.get(name.lstrip("^").split(":")[0])
    if node is None:
        return 0
    if node.op in _PASS_ON:
        return max(_rows_of_source(each, nodes) for each in node.input)
    for attribute in ("_handle_shapes", "shape"):
        if attribute in node.attr:
            value = node.attr[attribute]
            shape = value.list.shape[0] if value.list.shape else value.shape
            return shape.dim[0].size if shape.dim else 0
    return 0
