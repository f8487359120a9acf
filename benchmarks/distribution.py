"""What each strategy costs a step over one process, and what two workers send each other.

    python benchmarks/distribution.py

DLRM on random data: 26 features, 100,000 rows each, D = 16, one id each, 1,024 examples a step over
all replicas, row-wise Adagrad on the tables. The strategies take turns, each in processes of their
own, and each turn gives the median time of its steps; printed are the medians over the turns as
ratios to one process. Two processes share the cores of one machine here: the ratio is what the
strategy costs, not what a second machine adds.

Bytes are those of the loopback device in a network namespace of the two workers' own (which takes
root; otherwise of the machine's, with whatever else it carries). Beside them stands the least that
could do: each worker sends the gradient of each table row that its part of the batch touches, D x 4
bytes, and of each dense weight, 4 bytes. distribution.md goes on from these numbers.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time

BATCH, FEATURES, ROWS, DIM, DENSE = 1024, 26, 100_000, 16, 13
WARM_UP, STEPS = 20, 100


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=3, help="of each strategy")
    parser.add_argument("--child", choices=STRATEGIES, help=argparse.SUPPRESS)
    parser.add_argument("--workers", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.workers:
        run_workers(options.workers)
    if options.child:
        print(json.dumps(measure(options.child)))
        return
    found = {name: [] for name in STRATEGIES}
    for _ in range(options.turns):
        for name, start in STRATEGIES.items():
            found[name].append(start(name))
    one = [turn["seconds"] for turn in found["one"]]
    print(f"{'strategy':<38} {'ms a step':>9} {'over one process':>17}")
    for name, turns in found.items():
        seconds = [turn["seconds"] for turn in turns]
        # Each turn against the turn of one process beside it.
        ratio = statistics.median(s / o for s, o in zip(seconds, one, strict=True))
        print(f"{LABELS[name]:<38} {1e3 * statistics.median(seconds):>9.1f} {ratio:>17.2f}")
    sent = statistics.median(turn["sent"] for turn in found["workers"])
    least = found["workers"][0]["least"]
    print(f"\nTwo workers, bytes each sends a step: {sent:,.0f}")
    for what, size in least.items():
        print(f"  {what:<52} {size:>9,.0f}")
    print(f"  sent / least {sent / sum(least.values()):.2f}")


def start_one_process(name):
    return last_line(start(name))


def start_workers(name):
    """Two workers, where it is allowed in a network that nobody else uses."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    workers = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    own_network = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    is_allowed = subprocess.run([*own_network, "true"], capture_output=True, check=False)
    network = own_network if is_allowed.returncode == 0 else []
    return last_line(start(name, network, ["--workers", *workers]))


def run_workers(workers):
    """Runs both workers, in the network this process is in, and passes on what the chief prints."""
    cluster = {"worker": workers}
    processes = []
    for index in range(2):
        task = {"type": "worker", "index": index}
        environment = {**os.environ, "TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}
        command = [sys.executable, os.path.abspath(__file__), "--child", "workers"]
        output = subprocess.DEVNULL if index else None
        processes.append(subprocess.Popen(command, env=environment, stdout=output))
    sys.exit(max(abs(process.wait()) for process in processes))


def start(name, prefix=(), arguments=()):
    script = [sys.executable, os.path.abspath(__file__)]
    command = [*prefix, *script, *(arguments or ("--child", name))]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def last_line(run):
    if run.returncode:
        sys.exit(run.stderr[-3000:])
    return json.loads(run.stdout.splitlines()[-1])


# A row for parameter servers belongs here.
STRATEGIES = {
    "one": start_one_process,
    "mirrored": start_one_process,
    "host": start_one_process,
    "workers": start_workers,
}
LABELS = {
    "one": "one process, one device",
    "mirrored": "MirroredStrategy, 2 CPU devices",
    "host": "CentralStorageStrategy, 2 CPU devices",
    "workers": "MultiWorkerMirrored, 2 processes",
}


def measure(name):
    """Trains under one strategy; returns what a step took, sent, and had to send."""
    import tensorflow as tf

    from tfrec_models.distribute import multi_worker_strategy

    strategy, replicas = tf.distribute.get_strategy(), 1
    if name in ("mirrored", "host"):
        cpu = tf.config.list_physical_devices("CPU")[0]
        devices = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, devices)
        make = {
            "mirrored": tf.distribute.MirroredStrategy,
            "host": tf.distribute.experimental.CentralStorageStrategy,
        }
        strategy = make[name](["CPU:0", "CPU:1"])
    elif name == "workers":
        strategy = multi_worker_strategy(timeout_seconds=60)
        replicas = 2
    # TensorFlow must not have made a tensor before the strategy is there.
    import keras
    import numpy as np

    from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig
    from tfrec_models.optimizers import CompositeOptimizer, RowWiseAdagrad

    class Clock(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.times, self.bytes = [], []

        def on_train_batch_end(self, batch, logs=None):
            if batch >= WARM_UP:
                self.times.append(time.perf_counter())
                self.bytes.append(received_on_loopback())

    rng = np.random.default_rng(0)
    batches = 10
    inputs = {
        "dense_features": rng.normal(size=(batches * BATCH, DENSE)).astype(np.float32),
        "sparse_features": rng.integers(0, ROWS, (batches * BATCH, FEATURES)),
    }
    labels = rng.integers(0, 2, batches * BATCH).astype(np.float32)
    dataset = tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(BATCH).cache().repeat()
    with strategy.scope():
        tables = [EmbeddingBagConfig(ROWS, DIM, f"t{i}") for i in range(FEATURES)]
        model = DLRM(EmbeddingBagCollection(tables), DENSE, [64, DIM], [64, 32, 1])
        model.compile(
            CompositeOptimizer(RowWiseAdagrad(0.01), keras.optimizers.SGD(0.01)),
            keras.losses.BinaryCrossentropy(from_logits=True),
        )
    clock = Clock()
    model.fit(dataset, steps_per_epoch=WARM_UP + STEPS, callbacks=[clock], shuffle=False, verbose=0)
    dense_weights = sum(
        int(np.prod(v.shape)) for v in model.trainable_variables if "embedding_table" not in v.path
    )
    return {
        "seconds": float(np.median(np.diff(clock.times))),
        # What both received is what both sent.
        "sent": (clock.bytes[-1] - clock.bytes[0]) / (len(clock.bytes) - 1) / replicas,
        "least": {
            "touched rows x D x 4": touched_rows(inputs, replicas, batches) * DIM * 4,
            "dense weights x 4": dense_weights * 4,
        },
    }


def touched_rows(inputs, replicas, batches):
    """The rows that the part of one replica touches, mean over batches."""
    import numpy as np

    rows = inputs["sparse_features"] + ROWS * np.arange(FEATURES)
    parts = rows.reshape(batches * replicas, -1)
    return float(np.mean([len(np.unique(part)) for part in parts]))


def received_on_loopback():
    with open("/proc/net/dev") as file:
        line = next(line for line in file if line.lstrip().startswith("lo:"))
    return int(line.split(":")[1].split()[0])


if __name__ == "__main__":
    main()
