"""Answers the questions of `runners.Runner` where neither Keras nor this package is importable."""

import contextlib
import pathlib
import sys
import tempfile
from multiprocessing.connection import Connection

import numpy as np
import tensorflow as tf
from tensorflow.python.tools import saved_model_cli

# With None in its place, a module cannot be imported. TensorFlow itself loads Keras on first use.
sys.modules.update(dict.fromkeys(["keras", "tf_keras", "tfrec_models"]))


def main(handle):
    """Answers until the other end is closed."""
    pipe = Connection(int(handle))
    while True:
        try:
            path, _, cases = pipe.recv()
        except EOFError:
            return
        signatures = tf.saved_model.load(path).signatures
        answers = {
            case: _run(signatures[signature], inputs) for case, (signature, inputs) in cases.items()
        }
        for signature in signatures:
            if ("ragged", signature) in cases:
                request = cases["ragged", signature]
                answers[f"saved_model_cli {signature}"] = _run_cli(path, *request)
        pipe.send(answers)


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
