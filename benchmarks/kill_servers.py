"""Kills a worker or a server of a parameter-server run at random moments, and counts the updates.

    python benchmarks/kill_servers.py [--moments 10] [--steps 600] [--jobs worker ps]

Two workers, two servers and a coordinator run as processes on 127.0.0.1. Every step moves the
same rows and the bias by the same amount, so the weights at the end say how often each was updated.
After SIGKILL a worker is started again while the run goes on: every step must be there, and at most
one, that of the killed worker, twice. After SIGKILL of a server the coordinator must end with
ConnectionError; everything is started again and goes on from the last checkpoint: every step must
be there once.
"""

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

TASKS = [("ps", 0), ("ps", 1), ("worker", 0), ("worker", 1)]
SAVE_EVERY = 50
TIMEOUT_S = 180


def coordinate(directory, steps):
    """The chief: trains, then prints how far each row has gone, in steps."""
    import keras
    import tensorflow as tf

    from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig
    from tfrec_models.distribute import fit_on_servers, server_strategy
    from tfrec_models.optimizers import SGD

    class Sums(keras.Model):
        def __init__(self):
            super().__init__()
            config = EmbeddingBagConfig(40, 4, "t", feature_names=["f"], init_fn=tf.zeros)
            self.tables = EmbeddingBagCollection([config])
            self.bias = self.add_weight(name="bias", shape=(1,), initializer="zeros")

        def build(self, input_shape=None):
            self.tables.build()
            self.built = True

        def call(self, ids):
            rows = self.tables({"f": ids}).values()
            return tf.reduce_sum(rows, 1, keepdims=True) + self.bias

        def compute_output_spec(self, ids):
            return keras.KerasTensor((None, 1))

    def cut_tables(shape, dtype, axis=0):
        return [2 if shape[0] > 40 else 1] + [1] * (len(shape) - 1)

    strategy = server_strategy(cut_tables, timeout_seconds=60)
    with strategy.scope():
        model = Sums()
        model.build()
        model.compile(SGD(1.0), loss=lambda y_true, y_pred: y_pred)
    say = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: print("step", batch, flush=True)
    )
    fit_on_servers(
        model,
        lambda: tf.data.Dataset.from_tensors((tf.range(32), tf.zeros((32, 1)))),
        steps_per_epoch=steps,
        checkpoint_directory=directory,
        save_every=SAVE_EVERY,
        callbacks=[say],
        verbose=0,
    )
    rows = model.tables.read_table("t").numpy()[:32]
    moved = [float(-32 * rows.max()), float(-32 * rows.min()), float(-model.bias.numpy()[0])]
    print("RESULT", json.dumps(moved), flush=True)


class Cluster:
    """The processes of one run."""

    def __init__(self, directory, steps):
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(5)]
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
        for each in sockets:
            each.close()
        self._cluster = {"chief": addresses[4:], "ps": addresses[:2], "worker": addresses[2:4]}
        self.processes = {}
        for task in TASKS:
            self.start(*task)
        self._lines = []
        self.chief = self._process("chief", 0, "--coordinate", directory, "--steps", str(steps))
        threading.Thread(target=self._read, daemon=True).start()

    def _process(self, job, index, *arguments):
        config = {"cluster": self._cluster, "task": {"type": job, "index": index}}
        environment = {**os.environ, "TF_CONFIG": json.dumps(config), "TF_CPP_MIN_LOG_LEVEL": "3"}
        return subprocess.Popen(
            [sys.executable, __file__, *arguments],
            env=environment,
            text=True,
            stdout=subprocess.PIPE if job == "chief" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT if job == "chief" else subprocess.DEVNULL,
        )

    def _read(self):
        for line in self.chief.stdout:
            self._lines.append(line)

    def start(self, job, index):
        self.processes[job, index] = self._process(job, index, "--serve")

    def kill(self, job, index):
        process = self.processes[job, index]
        process.send_signal(signal.SIGKILL)
        process.wait()

    def wait_for_step(self, step):
        deadline = time.monotonic() + TIMEOUT_S
        while not any(line.startswith(f"step {step}\n") for line in self._lines[-400:]):
            if self.chief.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Step {step} was not reached:\n{''.join(self._lines[-30:])}")
            time.sleep(0.01)

    def wait(self):
        """The seconds until the coordinator ended, its result if any, and its last words."""
        start = time.monotonic()
        self.chief.wait(TIMEOUT_S)
        time.sleep(0.2)
        found = [line for line in self._lines if line.startswith("RESULT")]
        result = json.loads(found[0].split(" ", 1)[1]) if found else None
        first = next((line for line in self._lines if line.startswith("step")), "step -1")
        return time.monotonic() - start, result, int(first.split()[1]), "".join(self._lines[-400:])

    def stop(self):
        for process in [*self.processes.values(), self.chief]:
            process.kill()
            process.wait()


def kill_once(job, steps, rng):
    """One run with one kill, and how it ended."""
    step, index = rng.randrange(5, steps - 30), rng.randrange(2)
    with tempfile.TemporaryDirectory() as directory:
        cluster = Cluster(directory, steps)
        try:
            cluster.wait_for_step(step)
            time.sleep(rng.uniform(0, 0.03))
            cluster.kill(job, index)
            if job == "worker":
                cluster.start(job, index)
            seconds, moved, _, words = cluster.wait()
            found = {"killed": f"{job} {index}", "at_step": step, "then_s": round(seconds, 1)}
            if job == "ps":
                ended = "ConnectionError" in words and moved is None
                if not ended:
                    print(words[-3000:], file=sys.stderr)
                cluster.stop()
                cluster = Cluster(directory, steps)
                _, moved, first, words = cluster.wait()
                found |= {"ended_with_error": ended, "went_on_at_step": first}
                good = ended and first % SAVE_EVERY == 0 and step - SAVE_EVERY - 16 <= first
                good = good and moved == [steps] * 3
            else:
                good = moved is not None and all(steps <= m <= steps + 1 for m in moved)
            if moved is None:
                print(words, file=sys.stderr)
            return {**found, "steps_in_rows_and_bias": moved, "good": good}
        finally:
            cluster.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--moments", type=int, default=10)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--jobs", nargs="+", default=["worker", "ps"], choices=["worker", "ps"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--coordinate", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        from tfrec_models.distribute import run_server

        run_server()
    elif options.coordinate:
        coordinate(options.coordinate, options.steps)
    else:
        rng = random.Random(options.seed)
        results = []
        for moment in range(options.moments):
            for job in options.jobs:
                results.append(kill_once(job, options.steps, rng))
                print(moment, json.dumps(results[-1]), flush=True)
        bad = sum(not result["good"] for result in results)
        print(f"{len(results)} kills, {bad} of them lost updates or did not go on")
        sys.exit(bad != 0)


if __name__ == "__main__":
    main()
