"""Serves exports through TensorFlow's C API: latency, memory under load, what fewer bits cost.

    python benchmarks/serving.py [--seconds 60] [--skip-auc] [--json FILE]

A DLRM with 26 features, 13 dense features and tables of 26 x 40,000 rows of 64 columns is exported
with float32, int8, int4 and bfloat16 tables. Each export is loaded in a fresh process that has no
Python TensorFlow, as a server would, and asked

- by eight threads at once, for the given time, alternately batches of 1 and 64;
- by one thread, all exports in turn in one process, so that a busy machine slows them alike:
  batches of 1, 64 and 2048, one id a bag.

Latencies are in milliseconds, p50 and p99, of threads p99.9 too. Memory is resident memory; that of
the tables is the growth while loading, less the growth for the same model with tables of 26 x 1
rows. Tables are in MB of 1e6 bytes. The AUC is that of a DLRM trained on the generated click log,
on 50,000 held-out rows, from each of its exports, one that computes in bfloat16 among them.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

from c_api import Session, signature_tensors  # isort: skip

FEATURES = [f"cat_{number}" for number in range(26)]
ROWS, DIM, DENSE = 40_000, 64, 13
TABLE_DTYPES = (None, "int8", "int4", "bfloat16")
THREADS = 8


def main():
    arguments = parse_arguments()
    if arguments.serve:
        print(json.dumps(serve(arguments.serve, arguments.seconds)))
        return
    with tempfile.TemporaryDirectory() as folder:
        results = measure(folder, arguments.seconds)
        if not arguments.skip_auc:
            results["auc"] = measure_auc(folder)
    for name, result in results.items():
        print(name, json.dumps(result, indent=2))
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(results, indent=2) + "\n")


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seconds", type=float, default=60, help="of the eight threads (default: %(default)s)"
    )
    parser.add_argument("--skip-auc", action="store_true", help="leave the training out")
    parser.add_argument("--json", metavar="FILE", help="write the results here as well")
    parser.add_argument("--serve", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(folder, seconds):
    """Exports, and serves each export in a process of its own, then all in one."""
    base = run_server([export_model(folder, 1, None)], 0)
    paths = [export_model(folder, ROWS, table_dtype) for table_dtype in TABLE_DTYPES]
    results = {}
    for table_dtype, path in zip(TABLE_DTYPES, paths, strict=True):
        result = run_server([path], seconds)
        result["file_mb"] = megabytes_of(path)
        result["table_memory_mb"] = result["loaded_mb"] - base["loaded_mb"]
        results[table_dtype or "float32"] = result
    alone = run_server(paths, 0)["alone"]
    for (name, result), times in zip(results.items(), alone, strict=True):
        result["alone"] = times
        if name == "float32":
            continue
        for what in ("file_mb", "table_memory_mb"):
            result[f"{what}_ratio"] = result[what] / results["float32"][what]
        for batch in times:
            result[f"p50_ratio_at_{batch}"] = times[batch][0] / alone[0][batch][0]
    return results


def export_model(folder, rows, table_dtype):
    """Exports a DLRM and returns the path of its version."""
    import keras

    from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig
    from tfrec_models.serving import export

    keras.utils.set_random_seed(0)
    tables = [EmbeddingBagConfig(rows, DIM, f"t_{name}", feature_names=[name]) for name in FEATURES]
    model = DLRM(EmbeddingBagCollection(tables), DENSE, [256, DIM], [256, 128, 1])
    return export(model, os.path.join(folder, f"{table_dtype}_{rows}"), table_dtype=table_dtype)


def megabytes_of(path):
    """The size of the variables' files."""
    return sum(file.stat().st_size for file in (path / "variables").iterdir()) / 1e6


def run_server(paths, seconds):
    """Runs `serve` in a fresh process."""
    for path in paths:
        (path / "tensors.json").write_text(json.dumps(signature_tensors(path)))
    command = [sys.executable, __file__, "--seconds", str(seconds), "--serve", *map(str, paths)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def serve(paths, seconds):
    """Loads exports and measures them. Runs where no Python TensorFlow is imported."""
    rows = 1 if pathlib.Path(paths[0]).parent.name.endswith("_1") else ROWS
    requests = {batch: request(batch, rows) for batch in (1, 64, 2048)}
    before = resident_megabytes()
    sessions = []
    for path in paths:
        tensors = json.loads(pathlib.Path(path, "tensors.json").read_text())
        sessions.append(Session(path, {"serving_default": tensors["serving_default"]}))
        for inputs in requests.values():
            sessions[-1].run("serving_default", inputs)
    result = {"loaded_mb": resident_megabytes() - before}
    if seconds:
        small = {batch: requests[batch] for batch in (1, 64)}
        result["threads"] = load(
            lambda inputs: sessions[0].run("serving_default", inputs), small, seconds
        )
    elif len(sessions) > 1:
        result["alone"] = take_turns(sessions, requests)
    return result


def take_turns(sessions, requests):
    """Latencies of each session, by batch size."""
    latencies = [{} for _ in sessions]
    for batch, inputs in requests.items():
        times = [
            [timed(session, inputs) for session in sessions]
            for _ in range(300 if batch < 2048 else 60)
        ]
        for latency, values in zip(latencies, zip(*times, strict=True), strict=True):
            latency[batch] = percentiles(values)
    return latencies


def request(batch, rows):
    """The inputs of `serving_default` for bags of one id."""
    rng = np.random.default_rng(batch)
    inputs = {"dense_features": rng.standard_normal((batch, DENSE)).astype(np.float32)}
    for name in FEATURES:
        inputs[f"{name}_values"] = rng.integers(0, rows, batch)
        inputs[f"{name}_lengths"] = np.ones(batch, np.int64)
    return inputs


def timed(session, inputs):
    """The milliseconds of one request."""
    start = time.perf_counter()
    session.run("serving_default", inputs)
    return (time.perf_counter() - start) * 1e3


def load(ask, requests, seconds):
    """Lets eight threads send requests in turn, and watches the memory.

    Args:
        ask: function that takes the inputs of a request and waits for its answer.
        requests: dict from batch size to inputs.
        seconds: float.
    """
    batches, errors, memory = list(requests), [], []
    # Of this size from the start: lists that grow would be part of the memory watched. No thread
    # sends so many requests a second.
    times = np.full((THREADS, len(batches), round(2000 * seconds)), np.nan)
    start = time.perf_counter()

    def client(times):
        for turn in range(times.shape[1]):
            if time.perf_counter() - start > seconds:
                return
            for kind, batch in enumerate(batches):
                try:
                    before = time.perf_counter()
                    ask(requests[batch])
                    times[kind, turn] = (time.perf_counter() - before) * 1e3
                except Exception as error:
                    errors.append(str(error))

    threads = [threading.Thread(target=client, args=(mine,)) for mine in times]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        memory.append((time.perf_counter() - start, resident_megabytes()))
        time.sleep(0.5)
    after_ten = [megabytes for second, megabytes in memory if second >= min(10, seconds / 2)]
    return {
        "seconds": seconds,
        "requests": int(np.isfinite(times).sum()),
        "errors": len(errors),
        "latency": {
            batch: percentiles(times[:, kind][np.isfinite(times[:, kind])], (50, 99, 99.9))
            for kind, batch in enumerate(batches)
        },
        "memory_after_10_s_mb": after_ten[0],
        "highest_memory_after_that_mb": max(after_ten),
        "memory_at_the_end_mb": after_ten[-1],
    }


def percentiles(times, percents=(50, 99)):
    """p50, p99 and so on."""
    return [round(float(np.percentile(times, percent)), 3) for percent in percents]


def resident_megabytes():
    """The resident memory of this process."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure_auc(folder):
    """Trains on the generated click log; the AUC of each export on held-out rows."""
    import keras
    import tensorflow as tf

    from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig
    from tfrec_models.datasets import ClickLog
    from tfrec_models.metrics import auc
    from tfrec_models.optimizers import RowWiseAdagrad
    from tfrec_models.serving import RequestWriter, export

    log = ClickLog(num_train=200_000, num_validation=0, num_test=50_000)
    keras.utils.set_random_seed(0)
    tables = [
        EmbeddingBagConfig(log.table_sizes[name], DIM, f"t_{name}", feature_names=[name])
        for name in FEATURES
    ]
    model = DLRM(EmbeddingBagCollection(tables), DENSE, [128, DIM], [128, 64, 1])
    model.compile(RowWiseAdagrad(0.02), loss=keras.losses.BinaryCrossentropy(from_logits=True))
    model.fit(log.dataset("train", 1024), verbose=0)
    sample = next(iter(log.dataset("train", 1024)))[0]
    results = {}
    exports = {"float32": {}, "bfloat16 products": {"compute_dtype": "bfloat16"}}
    exports |= {name: {"table_dtype": name} for name in ("int8", "int4", "float16", "bfloat16")}
    for name, options in exports.items():
        path = export(model, os.path.join(folder, "auc"), sample=sample, **options)
        writer = RequestWriter(path)
        rank = tf.saved_model.load(path).signatures["serving_default"]
        scores = [
            rank(**{n: tf.constant(a) for n, a in writer.inputs(batch).items()})["logits"].numpy()
            for batch, _ in log.dataset("test", 5000)
        ]
        results[name] = {
            "auc": auc(log.labels("test"), np.concatenate(scores)[:, 0]),
            "accuracy_cost": writer.metadata.accuracy_cost,
        }
    return results


if __name__ == "__main__":
    main()
