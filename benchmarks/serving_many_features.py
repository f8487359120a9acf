"""Many features and small batches, by eight threads: latency and memory of two signatures.

    python benchmarks/serving_many_features.py [--seconds 60] [--json FILE]

A DLRM with 167 features of one id and tables of 167 x 1,000 rows of 16 columns is asked by eight
threads for batches of 50, by `serving_packed` and by `serving_default`: through TensorFlow's C API
in a process that has no Python TensorFlow, as a server would, and from Python. The first request,
for which TensorFlow optimizes the graph and which warm-up requests take from a server's users, is
timed by itself. Latencies are in milliseconds, p50, p99 and p99.9; memory is resident memory.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

from c_api import Session, signature_tensors  # isort: skip
from serving import DENSE, load  # isort: skip

FEATURES, ROWS, DIM, BATCH = 167, 1000, 16, 50
SIGNATURES = ("serving_packed", "serving_default")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="default: %(default)s")
    parser.add_argument("--json", metavar="FILE", help="write the results here as well")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        print(json.dumps(measure("C API", through_c_api(arguments.serve), arguments.seconds)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = export_model(folder)
        (path / "tensors.json").write_text(json.dumps(signature_tensors(path)))
        command = [sys.executable, __file__, "--seconds", str(arguments.seconds)]
        command += ["--serve", str(path)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        results = json.loads(done.stdout)
        results |= measure("Python", from_python(path), arguments.seconds)
    print(json.dumps(results, indent=2))
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(results, indent=2) + "\n")


def export_model(folder):
    """Exports a DLRM with many features and returns the path of its version."""
    from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig
    from tfrec_models.serving import export

    tables = [
        EmbeddingBagConfig(ROWS, DIM, f"t_{number}", feature_names=[f"cat_{number}"])
        for number in range(FEATURES)
    ]
    return export(DLRM(EmbeddingBagCollection(tables), DENSE, [64, DIM], [64, 1]), folder)


def measure(way, ask, seconds):
    """Asks by each signature.

    Args:
        way: str, the name in the results.
        ask: function of a signature and its inputs.
        seconds: float.
    """
    results = {}
    for signature in SIGNATURES:
        inputs = request(signature)
        start = time.perf_counter()
        ask(signature, inputs)
        first = time.perf_counter() - start
        loaded = load(lambda inputs, to=signature: ask(to, inputs), {BATCH: inputs}, seconds)
        results[f"{way}, {signature}"] = {"first_request_s": round(first, 3), **loaded}
    return results


def through_c_api(path):
    """A function that asks an export through the C API."""
    tensors = json.loads(pathlib.Path(path, "tensors.json").read_text())
    return Session(path, {signature: tensors[signature] for signature in SIGNATURES}).run


def from_python(path):
    """A function that asks an export loaded by `tf.saved_model.load`."""
    import tensorflow as tf

    signatures = tf.saved_model.load(path).signatures

    def ask(signature, inputs):
        tensors = {name: tf.constant(array) for name, array in inputs.items()}
        signatures[signature](**tensors)["logits"].numpy()

    return ask


def request(signature):
    """The inputs of one batch."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, ROWS, [FEATURES, BATCH])
    inputs = {"dense_features": rng.standard_normal((BATCH, DENSE)).astype(np.float32)}
    if signature == "serving_packed":
        return inputs | {"values": ids.reshape(-1), "lengths": np.ones(ids.size, np.int64)}
    for number, values in enumerate(ids):
        inputs[f"cat_{number}_values"] = values
        inputs[f"cat_{number}_lengths"] = np.ones(BATCH, np.int64)
    return inputs


if __name__ == "__main__":
    main()
