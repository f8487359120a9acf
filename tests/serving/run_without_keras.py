"""Runs the cases of test_outside_python where neither Keras nor this package can be imported."""

import contextlib
import pathlib
import pickle
import sys
import tempfile

import numpy as np
import tensorflow as tf
from tensorflow.python.tools import saved_model_cli

# With None in its place, a module cannot be imported. TensorFlow itself loads Keras on first use.
sys.modules.update(dict.fromkeys(["keras", "tf_keras", "tfrec_models"]))


def main(source, target):
    """Reads cases from one pickle, writes outputs or errors into another."""
    with open(source, "rb") as file:
        exports = pickle.load(file)
    results = {}
    for family, (path, _, cases) in exports.items():
        loaded = tf.saved_model.load(path)
        for case, (signature, inputs) in cases.items():
            results[family, case] = _run(loaded.signatures[signature], inputs)
        for signature in loaded.signatures:
            case = signature, cases["ragged", signature][1]
            results[family, f"saved_model_cli {signature}"] = _run_cli(path, *case)
    with open(target, "wb") as file:
        pickle.dump(results, file)


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
