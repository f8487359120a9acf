"""What a request costs from Python, by the signature it is sent to.

    python benchmarks/serving_requests.py [--rounds 300] [--json FILE]

Small requests: a DLRM with 26 features, 13 dense features and tables of 26 x 4,000 rows of 64
columns is asked for batches of 1 and 64, one id a bag, by `serving_default` (53 inputs) and by
`serving_packed` (three), NumPy arrays in and NumPy arrays out.

Candidates: a DLRM with six features is asked for 500 candidates of one user, whose three features
have bags of 100 ids, by `serving_candidates` and as 500 rows that repeat the user by
`serving_packed`; of the 13 dense columns 3 are the user's, then all of them. Request bytes are
those of the serialized `PredictRequest`.

Both ways take turns, so that a busy machine slows them alike. Milliseconds, p50 and p99.
"""

import argparse
import json
import pathlib
import tempfile
import time

import keras
import numpy as np
import tensorflow as tf

from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig
from tfrec_models.serving import RequestWriter, export

ROWS, DIM, DENSE, FEATURES = 4000, 64, 13, 26
CANDIDATES, BAG = 500, 100
USER, ITEM = ["user_0", "user_1", "user_2"], ["item_0", "item_1", "item_2"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=300, help="default: %(default)s")
    parser.add_argument("--json", metavar="FILE", help="write the results here as well")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = small_requests(f"{folder}/small", arguments.rounds)
        for number in (3, DENSE):
            name = f"candidates, {number} dense columns of the user"
            results[name] = candidates(f"{folder}/{number}", arguments.rounds, number)
    print(json.dumps(results, indent=2))
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(results, indent=2) + "\n")


def make(features):
    """A DLRM with a table for each feature."""
    keras.utils.set_random_seed(0)
    tables = [EmbeddingBagConfig(ROWS, DIM, f"t_{name}", feature_names=[name]) for name in features]
    return DLRM(EmbeddingBagCollection(tables), DENSE, [256, DIM], [256, 128, 1])


def small_requests(folder, rounds):
    """Batches of 1 and 64 by both signatures."""
    features = [f"cat_{number}" for number in range(FEATURES)]
    path = export(make(features), folder)
    writer, results = RequestWriter(path), {}
    rng = np.random.default_rng(0)
    for batch_size in (1, 64):
        batch = {
            "dense_features": tf.constant(rng.normal(size=[batch_size, DENSE]), tf.float32),
            "sparse_features": tf.constant(rng.integers(0, ROWS, [batch_size, FEATURES])),
        }
        requests = {name: (name, batch) for name in ("serving_default", "serving_packed")}
        results[f"batch {batch_size}"] = take_turns(path, writer, requests, rounds)
    return results


def candidates(folder, rounds, number):
    """One user, with the first dense columns, and many candidates: once and repeated."""
    path = export(make(USER + ITEM), folder, request_features=USER, request_dense=range(number))
    rng = np.random.default_rng(0)
    user = {name: tf.constant(rng.integers(0, ROWS, [1, BAG])) for name in USER}
    items = {name: tf.constant(rng.integers(0, ROWS, CANDIDATES)) for name in ITEM}
    dense = rng.normal(size=[CANDIDATES, DENSE]).astype(np.float32)
    dense[:, :number] = dense[0, :number]
    once = {
        "request": {"dense_features": tf.constant(dense[:1, :number]), "sparse_features": user},
        "candidates": {"sparse_features": items},
        "num_candidates": [CANDIDATES],
    }
    if number < DENSE:
        once["candidates"]["dense_features"] = tf.constant(dense[:, number:])
    repeated = {name: tf.repeat(ids, CANDIDATES, 0) for name, ids in user.items()} | items
    rows = {"dense_features": tf.constant(dense), "sparse_features": repeated}
    requests = {
        "once": ("serving_candidates", once),
        "repeated": ("serving_packed", rows),
    }
    return take_turns(path, RequestWriter(path), requests, rounds)


def take_turns(path, writer, requests, rounds):
    """Latencies, bytes and the ratios of the first way to the second.

    Args:
        path: path of the export.
        writer: its `RequestWriter`.
        requests: dict from name to (signature, batch), two of them, of the same answers.
        rounds: int.
    """
    signatures = tf.saved_model.load(path).signatures
    inputs = {name: writer.inputs(batch, of) for name, (of, batch) in requests.items()}

    def ask(name):
        start = time.perf_counter()
        tensors = {key: tf.constant(array) for key, array in inputs[name].items()}
        logits = signatures[requests[name][0]](**tensors)["logits"].numpy()
        return time.perf_counter() - start, logits

    first, second = [ask(name)[1] for name in requests]
    np.testing.assert_allclose(first, second, atol=1e-6)
    times = {name: [] for name in requests}
    for turn in range(20 + rounds):
        for name in list(requests)[:: 1 if turn % 2 else -1]:
            times[name].append(ask(name)[0])
    results = {
        name: {
            "p50_ms": round(float(np.percentile(taken[20:], 50)) * 1e3, 3),
            "p99_ms": round(float(np.percentile(taken[20:], 99)) * 1e3, 3),
            "request_bytes": writer.predict_request(batch, of).ByteSize(),
        }
        for (name, (of, batch)), taken in zip(requests.items(), times.values(), strict=True)
    }
    one, other = results.values()
    ratios = {f"{what}_ratio": round(one[what] / other[what], 3) for what in one}
    return {**results, **ratios}


if __name__ == "__main__":
    main()
