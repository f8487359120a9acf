"""Answers the questions of `runners.Runner` where neither Keras nor this package is importable."""

import contextlib
import pathlib
import sys
import tempfile
from multiprocessing.connection import Connection

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry
from tensorflow.python.tools import saved_model_cli

# With None in its place, a module cannot be imported. TensorFlow itself loads Keras on first use.
sys.modules.update(dict.fromkeys(["keras", "tf_keras", "tfrec_models"]))


def main(handle):
    """Answers until the other end is closed."""
    pipe = Connection(int(handle))
    while True:
        try:
            number, path, _, cases = pipe.recv()
        except EOFError:
            return
        signatures = tf.saved_model.load(path).signatures
        answers = {"foreign": foreign_parts(path)} | {
            case: _run(signatures[signature], inputs) for case, (signature, inputs) in cases.items()
        }
        for case, (signature, inputs) in cases.items():
            if case[0] == "by the tool":
                answers[case] = _run_cli(path, signature, inputs)
        pipe.send((number, answers))


def foreign_parts(path):
    """What not every TensorFlow can run: ops it does not know, and what XLA must compile.

    This process never loaded an op library, so its registry holds TensorFlow's own ops alone.
    """
    saved_model = saved_model_pb2.SavedModel()
    saved_model.ParseFromString(pathlib.Path(path, "saved_model.pb").read_bytes())
    (graph,) = saved_model.meta_graphs
    nodes, functions = list(graph.graph_def.node), graph.graph_def.library.function
    compiled = [f.signature.name for f in functions if "_XlaMustCompile" in f.attr]
    for function in functions:
        nodes += function.node_def
    compiled += [node.name for node in nodes if "_XlaMustCompile" in node.attr]
    # A node may call a function of the export by its name.
    names = {function.signature.name for function in functions}
    unknown = {node.op for node in nodes if op_def_registry.get(node.op) is None} - names
    return {"ops": sorted(unknown), "compiled": compiled, "nodes": len(nodes)}


def _run(function, inputs):
    try:
        tensors = {name: _constant(array) for name, array in inputs.items()}
        return {name: output.numpy() for name, output in function(**tensors).items()}
    except (tf.errors.OpError, TypeError, ValueError) as error:
        return (getattr(error, "error_code", None), str(error))


def _constant(array):
    if array.dtype == object:
        return tf.constant(array.tolist(), tf.string, array.shape)
    return tf.constant(array)


def _run_cli(path, signature, inputs):
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/inputs.npz", **inputs)
        fed = ";".join(f"{name}={folder}/inputs.npz[{name}]" for name in inputs)
        arguments = ["run", "--dir", path, "--tag_set", "serve", "--signature_def", signature]
        sys.argv = ["saved_model_cli", *arguments, "--inputs", fed, "--outdir", folder]
        with contextlib.suppress(SystemExit):
            saved_model_cli.main()
        return {file.stem: np.load(file) for file in pathlib.Path(folder).glob("*.npy")}


if __name__ == "__main__":
    main(*sys.argv[1:])
