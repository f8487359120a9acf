"""What a step costs on 2 workers and 2 parameter servers over one process, and the bytes it moves.

    python benchmarks/servers.py [--turns 3]

The model and batches of distribution.py, which also says what the columns mean. Each worker takes
whole batches of 1,024; seconds a step are those of the run over the steps of both workers. All five
processes share the cores of this machine. Bytes are those of the loopback device in a network of
their own (which takes root): everything that workers, servers and coordinator send each other.
The least that could do: each row that a batch touches is read once and its gradient sent once, each
dense weight too.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys

import distribution
from distribution import BATCH, DENSE, DIM, FEATURES, ROWS, STEPS, WARM_UP

TASKS = [("ps", 0), ("ps", 1), ("worker", 0), ("worker", 1), ("chief", 0)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--child", choices=["cluster", "process"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child == "cluster":
        run_cluster()
    elif options.child == "process":
        serve_or_measure()
    else:
        compare(options.turns)


def compare(turns):
    own_network = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    found = []
    for _ in range(turns):
        one = distribution.start_one_process("one")
        command = [*own_network, sys.executable, os.path.abspath(__file__), "--child", "cluster"]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        found.append((one["seconds"], distribution.last_line(run)))
    ratio = statistics.median(servers["seconds"] / one for one, servers in found)
    print(f"one process: {1e3 * statistics.median(one for one, _ in found):.1f} ms a step")
    print(f"2 workers + 2 servers: {ratio:.2f} times that")
    moved = statistics.median(servers["bytes"] for _, servers in found)
    least = found[0][1]["least"]
    print(f"bytes a step {moved:,.0f}, least necessary {least:,.0f}: {moved / least:.2f} times")


def run_cluster():
    """Starts all processes in this network, and passes on what the chief prints."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in TASKS]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    cluster = {"ps": addresses[:2], "worker": addresses[2:4], "chief": addresses[4:]}
    processes = []
    for job, index in TASKS:
        config = {"cluster": cluster, "task": {"type": job, "index": index}}
        environment = {**os.environ, "TF_CONFIG": json.dumps(config), "TF_CPP_MIN_LOG_LEVEL": "2"}
        command = [sys.executable, os.path.abspath(__file__), "--child", "process"]
        output = None if job == "chief" else subprocess.DEVNULL
        processes.append(subprocess.Popen(command, env=environment, stdout=output))
    code = processes[-1].wait()
    for process in processes[:-1]:
        process.kill()
    sys.exit(code)


def serve_or_measure():
    import time

    import keras
    import numpy as np
    import tensorflow as tf

    from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig
    from tfrec_models.distribute import fit_on_servers, run_server, server_strategy
    from tfrec_models.optimizers import SGD, CompositeOptimizer, RowWiseAdagrad

    if json.loads(os.environ["TF_CONFIG"])["task"]["type"] != "chief":
        run_server()
    strategy = server_strategy(
        lambda shape, dtype, axis=0: [2 if shape[0] > ROWS else 1] + [1] * (len(shape) - 1)
    )

    def data():
        def batch(seed):
            ids = tf.random.stateless_uniform((BATCH, FEATURES), [seed, 0], 0, ROWS, tf.int64)
            dense = tf.random.stateless_normal((BATCH, DENSE), [seed, 1])
            labels = tf.random.stateless_uniform((BATCH,), [seed, 2], 0, 2, tf.int32)
            inputs = {"dense_features": dense, "sparse_features": ids}
            return inputs, tf.cast(labels, tf.float32)

        return tf.data.Dataset.range(10).map(batch).cache()

    with strategy.scope():
        tables = [EmbeddingBagConfig(ROWS, DIM, f"t{i}") for i in range(FEATURES)]
        model = DLRM(EmbeddingBagCollection(tables), DENSE, [64, DIM], [64, 32, 1])
        model.compile(
            CompositeOptimizer(RowWiseAdagrad(0.01), SGD(0.01)),
            keras.losses.BinaryCrossentropy(from_logits=True),
        )
    seen = {}

    def note(batch, logs):
        seen[batch] = time.perf_counter(), distribution.received_on_loopback()

    clock = keras.callbacks.LambdaCallback(on_train_batch_end=note)
    steps = WARM_UP + 2 * STEPS
    fit_on_servers(model, data, steps_per_epoch=steps, callbacks=[clock], verbose=0)
    (start, sent_before), (end, sent_after) = seen[WARM_UP], seen[steps - 1]
    dense = [v for v in model.trainable_variables if "embedding_table" not in v.path]
    inputs = {"sparse_features": np.concatenate([b[0]["sparse_features"] for b in data()])}
    touched = distribution.touched_rows(inputs, 1, 10)
    weights = sum(int(np.prod(v.shape)) for v in dense)
    result = {
        "seconds": (end - start) / (steps - 1 - WARM_UP),
        "bytes": (sent_after - sent_before) / (steps - 1 - WARM_UP),
        "least": 2 * 4 * (touched * DIM + weights),
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
