"""What every operation of an export waits for, followed through its functions."""

import dataclasses

import tensorflow as tf

CALLS = ("PartitionedCall", "StatefulPartitionedCall")
BRANCHES = ("If", "StatelessIf")


@dataclasses.dataclass(frozen=True)
class Check:
    """An assertion: its message, and the names of features or inputs that it may show."""

    message: str
    names: frozenset


@dataclasses.dataclass(frozen=True)
class Source:
    """Where data comes from: a variable, or an argument of one of the traced functions."""

    kind: str
    name: str


@dataclasses.dataclass
class Operation:
    """One operation as it runs in the end.

    Args:
        kind, name: str, as in the graph.
        path: tuple of str, the functions it lies in, outermost first.
        waits_for: frozenset of the `Check`s and `Source`s it waits for.
        inputs: list of frozenset, what each of its inputs waited for.
    """

    kind: str
    name: str
    path: tuple
    waits_for: frozenset
    inputs: list


def operations(graph_def):
    """Returns every `Operation` of a graph, those of a function once for each call.

    An operation waits for its inputs and its control inputs and nothing else, wherever they lie:
    a body does not wait for arguments it does not use, and a branch waits for its condition.
    What a branch gives has passed the checks of both branches: the one that fails gives nothing.
    """
    functions = {function.signature.name: function for function in graph_def.library.function}
    seen = []
    _Body(functions, seen, (), graph_def.node, {}, frozenset()).run_all()
    return seen


class _Body:
    """The nodes of a graph or of one call of a function."""

    def __init__(self, functions, seen, path, nodes, arguments, context):
        self.functions, self.seen, self.path = functions, seen, path
        self.nodes = {node.name: node for node in nodes}
        self.arguments, self.context = arguments, context
        self.results = {}

    def run_all(self):
        for name in self.nodes:
            self.result(name)

    def result(self, name):
        """What each output of a node, and the end of the node itself, waited for."""
        if name not in self.results:
            self.results[name] = self._run(self.nodes[name])
        return self.results[name]

    def waits_for(self, tensor):
        """What one input, such as `node:output:0`, waited for."""
        if tensor in self.arguments:
            return self.arguments[tensor]
        name, *position = tensor.split(":")
        outputs, _ = self.result(name)
        index = int(position[-1]) if position else 0
        return outputs[index] if len(outputs) > 1 else outputs[0]

    def _run(self, node):
        controls = [text[1:] for text in node.input if text.startswith("^")]
        inputs = [self.waits_for(text) for text in node.input if not text.startswith("^")]
        context = self.context.union(*(self.result(name)[1] for name in controls))
        if node.op in CALLS:
            return self._call(node.attr["f"].func.name, inputs, context)
        if node.op in BRANCHES:
            branches = [
                self._call(node.attr[branch].func.name, inputs[1:], context | inputs[0])
                for branch in ("then_branch", "else_branch")
            ]
            (first, first_end), (second, second_end) = branches
            outputs = [one | other for one, other in zip(first, second, strict=True)]
            return outputs, first_end | second_end
        waits_for = context.union(*inputs)
        self.seen.append(Operation(node.op, node.name, self.path, waits_for, inputs))
        if node.op == "Assert":
            waits_for |= {Check(*self._message(node))}
        elif node.op == "VarHandleOp":
            waits_for |= {Source("variable", node.attr["shared_name"].s.decode())}
        return [waits_for], waits_for

    def _call(self, name, inputs, context):
        function = self.functions[name]
        names = [argument.name for argument in function.signature.input_arg]
        arguments = {
            argument: context | waited for argument, waited in zip(names, inputs, strict=True)
        }
        if name.startswith("__inference_"):
            for argument in names:
                arguments[argument] |= {Source("argument", argument)}
        body = _Body(
            self.functions, self.seen, (*self.path, name), function.node_def, arguments, context
        )
        body.run_all()
        outputs = [
            body.waits_for(function.ret[output.name]) for output in function.signature.output_arg
        ]
        ends = [body.result(node)[1] for node in function.control_ret.values()]
        return outputs, context.union(*outputs, *ends)

    def _message(self, node):
        """The text of an assertion, and all strings that it may show."""
        template, names, pending = "", set(), list(node.input[1:])
        while pending:
            name = pending.pop().split(":")[0]
            # Where an edge that is no data leads, another check may be.
            if name.startswith("^") or name not in self.nodes:
                continue
            source = self.nodes[name]
            if source.op == "StringFormat":
                template = template or source.attr["template"].s.decode()
            elif source.op == "Const" and source.attr["dtype"].type == tf.string.as_datatype_enum:
                strings = tf.make_ndarray(source.attr["value"].tensor).ravel()
                names |= {string.decode() for string in strings}
            pending += source.input
        return template or " ".join(sorted(names)), frozenset(names)
