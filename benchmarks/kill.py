"""SIGKILL at random moments of a run with checkpoints, then the weights at its end.

    python benchmarks/kill.py [one] [managed] [workers] [--moments 10] [--seed 0]

Each scenario trains once without a kill and once in another directory with kills, each at a random
moment after the first step of a start; then everything is started again. Checkpoints are written
at every step, so that most kills fall into a save. Printed are the moments, what lay in the
directory then, whether the other processes ended by themselves, and whether the weights at the
end, optimizer state included, equal those of the run that was left alone to the bit.

  one       one process
  managed   one process, on tables with managed ids of which many are evicted
  workers   two processes under MultiWorkerMirroredStrategy; one of them, drawn anew, is killed
"""

import argparse
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time

EPOCHS, STEPS, BATCH, FEATURES, ROWS, DIM = 4, 200, 64, 8, 20_000, 16
# A kill comes within so many seconds of the first step.
LATEST = 2.0
# A process whose peer was killed must have ended by itself after so many.
PATIENCE = 60


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenarios", nargs="*", default=list(SCENARIOS), metavar="SCENARIO")
    parser.add_argument("--moments", type=int, default=10, help="kills (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        train(*options.child)
        return
    unknown = set(options.scenarios) - set(SCENARIOS)
    if unknown:
        parser.error(f"there is no scenario {sorted(unknown)}; there are {list(SCENARIOS)}")
    failed = [
        name
        for name in options.scenarios
        if not survives(name, SCENARIOS[name], options.moments, random.Random(options.seed))
    ]
    sys.exit(f"Not equal to the bit: {failed}" if failed else 0)


def survives(name, start, moments, rng):
    """Prints what happened in one scenario; returns whether the weights are equal at the end."""
    with tempfile.TemporaryDirectory() as scratch:
        whole, killed = pathlib.Path(scratch, "whole"), pathlib.Path(scratch, "killed")
        finish(start(whole))
        print(f"{name}: {EPOCHS} epochs of {STEPS} steps, a checkpoint at each", flush=True)
        passed_over = done = 0
        while done < moments:
            processes = start(killed)
            if not wait_for_first_step(processes):
                finish(processes)
                print("  the run ended before all kills", flush=True)
                break
            moment = rng.uniform(0, LATEST)
            time.sleep(moment)
            victim = rng.randrange(len(processes))
            processes[victim].send_signal(signal.SIGKILL)
            began = time.monotonic()
            outputs = [end(process) for process in processes]
            done += 1
            print(
                f"  {moment:4.2f} s: process {victim} killed, exit codes "
                f"{[process.returncode for process in processes]} after "
                f"{time.monotonic() - began:.1f} s; {left_behind(killed)}",
                flush=True,
            )
            passed_over += sum("passed over" in output for output in outputs)
        outputs = finish(start(killed))
        passed_over += sum("passed over" in output for output in outputs)
        equal = same_weights(whole / "weights.npz", killed / "weights.npz")
        print(f"  damaged checkpoints found and passed over: {passed_over}")
        print(f"  weights at the end equal to the bit: {equal}", flush=True)
    return equal


def start_one(directory):
    return [child(directory, None)]


def start_managed(directory):
    return [child(directory, None, managed=True)]


def start_workers(directory):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    workers = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return [
        child(directory, {"cluster": {"worker": workers}, "task": {"type": "worker", "index": i}})
        for i in range(2)
    ]


# Name to a function that starts the processes of a run, or starts them again, in a directory. One
# for parameter servers belongs here.
SCENARIOS = {"one": start_one, "managed": start_managed, "workers": start_workers}


def child(directory, tf_config, managed=False):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    if tf_config:
        environment["TF_CONFIG"] = json.dumps(tf_config)
    directory.mkdir(exist_ok=True)
    ids = "managed" if managed else "numbered"
    files = [directory / "run", directory / "weights.npz"]
    command = [sys.executable, __file__, "--child", *files, ids]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, env=environment, **pipes)


def wait_for_first_step(processes):
    """Whether there is a first step, which every process says by a line."""
    return all(any(line == "step\n" for line in process.stdout) for process in processes)


def end(process):
    """Returns the rest of what a process printed; kills it if it does not end."""
    try:
        return process.communicate(timeout=PATIENCE)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[0] + f"\nhung for {PATIENCE} s"


def finish(processes):
    outputs = [process.communicate()[0] for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        if process.returncode:
            sys.exit(output[-3000:])
    return outputs


def left_behind(directory):
    """What a kill left besides whole checkpoints."""
    names = {path.name for path in (directory / "run").glob("ckpt-*")}
    indices = {name.removesuffix(".index") for name in names if name.endswith(".index")}
    halves = sorted(name for name in names if name.partition(".")[0] not in indices)
    return f"left half-written: {halves or 'nothing'}"


def same_weights(one, other):
    import numpy as np

    one, other = np.load(one), np.load(other)
    return one.files == other.files and all(np.array_equal(one[n], other[n]) for n in one.files)


def train(directory, weights, ids):
    """What every process of a run does."""
    import tensorflow as tf

    from tfrec_models import distribute

    strategy = tf.distribute.get_strategy()
    if "TF_CONFIG" in os.environ:
        strategy = distribute.multi_worker_strategy(timeout_seconds=PATIENCE)
    # TensorFlow must not have made a tensor before the strategy is there.
    import keras
    import numpy as np

    from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig, xla_disabled
    from tfrec_models.optimizers import CompositeOptimizer, LazyAdam, RowWiseAdagrad

    class SaysFirstStep(keras.callbacks.Callback):
        said = False

        def on_train_batch_end(self, batch, logs=None):
            if logs and not self.said:
                self.said = True
                print("step", flush=True)

    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    examples = STEPS * BATCH
    inputs = {
        "dense_features": rng.normal(size=(examples, 4)).astype(np.float32),
        # Of few ids, so that they repeat in a batch.
        "sparse_features": rng.integers(0, 300, (examples, FEATURES)),
    }
    labels = rng.integers(0, 2, examples).astype(np.float32)
    dataset = tf.data.Dataset.from_tensor_slices((inputs, labels))
    dataset = dataset.shuffle(examples, seed=1).batch(BATCH)
    with strategy.scope(), xla_disabled():
        rows, policy = (100, "managed") if ids == "managed" else (ROWS, "error")
        tables = [EmbeddingBagConfig(rows, DIM, f"t{i}", id_policy=policy) for i in range(FEATURES)]
        model = DLRM(EmbeddingBagCollection(tables), 4, [16, DIM], [16, 1])
        model.compile(
            CompositeOptimizer(RowWiseAdagrad(0.05), LazyAdam(0.01)),
            keras.losses.BinaryCrossentropy(from_logits=True),
        )
    with xla_disabled():
        distribute.fit(
            model,
            dataset,
            directory,
            epochs=EPOCHS,
            save_every=1,
            callbacks=[SaysFirstStep()],
            verbose=0,
        )
    if strategy.extended.should_checkpoint:
        variables = distribute.training_variables(model)
        np.savez(weights, **{name: value.numpy() for name, value in variables.items()})


if __name__ == "__main__":
    main()
