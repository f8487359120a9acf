"""Where the milliseconds of a DLRM's step go: training and `predict`, float32 and bfloat16.

    python benchmarks/breakdown.py [--cells train_1_float32 ...] [--threads 2] [--show 30]

TensorFlow's profiler times every operation of the model and batches of `compare.py`, one at a
time, so that times add up; what is left of a step is waiting, the profiler's own work included.
The cells measured are written to benchmarks/results/breakdown.json beside those that are there,
from which `python scripts/figures.py` makes the table of benchmarks/README.md. `--show` prints the
operations that took longest.
"""

import argparse
import collections
import json
import pathlib
import re
import tempfile

import tensorflow as tf
from peers import ours
from peers.machine import commit, machine
from peers.workload import Workload
from tensorflow.tsl.profiler.protobuf import xplane_pb2

RESULTS = pathlib.Path(__file__).parent / "results" / "breakdown.json"
JOBS = {"train": "train", "predict": "predict, fast"}
CELLS = {
    f"{job}_{bag}_{precision}": (job, bag, precision)
    for precision in ("float32", "bfloat16")
    for job in JOBS
    for bag in ("1", "10")
}
WARM_UP = 3
# They hold the time of others.
_CALLS = ("PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf", "While", "XlaLaunch")
# Functions of TensorFlow's own that count: what XLA has compiled, and the wait for a batch.
_FUNCTIONS = {
    "CpuExecutable::ExecuteAsyncOnStream": "Xla",
    "IteratorGetNextOp::DoCompute": "IteratorGetNext",
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--steps", type=int, default=8, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="operations to print")
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in arguments.cells:
        found = measure(*CELLS[name], arguments)
        print(name, json.dumps(found), flush=True)
        # A process has one number of threads: another takes a call of its own.
        results[name if arguments.threads == 2 else f"{name}_{arguments.threads}"] = found
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def measure(job, bag, precision, arguments):
    """The milliseconds of each part of a step."""
    workload = Workload(
        bag=bag, precision=precision, threads=arguments.threads, operations_at_once=1
    )
    _, jobs = ours.make(workload, "native")
    run = jobs[JOBS[job]]()
    run(WARM_UP)
    run(WARM_UP)
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        (seconds,) = run(arguments.steps)
        tf.profiler.experimental.stop()
        spent = operations(folder)
    parts = collections.Counter()
    for (name, kind), milliseconds in spent.items():
        parts[part_of(name, kind)] += milliseconds / arguments.steps
    for (name, kind), milliseconds in spent.most_common(arguments.show):
        shown = f"{milliseconds / arguments.steps:8.2f} ms {part_of(name, kind)}"
        print(f"{shown}: {kind} {name}")
    step = 1e3 * seconds
    return {
        "machine": machine(),
        "commit": commit(),
        "threads": arguments.threads,
        "step_ms": round(step, 2),
        "parts_ms": {part: round(milliseconds, 2) for part, milliseconds in parts.items()},
        "waiting_ms": round(step - parts.total(), 2),
    }


def operations(folder):
    """The milliseconds of each operation, by name and type, of a profile."""
    spent = collections.Counter()
    for file in pathlib.Path(folder).rglob("*.xplane.pb"):
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
        for plane in space.planes:
            for line in plane.lines:
                for event in line.events:
                    event_name = plane.event_metadata[event.metadata_id].name
                    if event_name in _FUNCTIONS:
                        spent["", _FUNCTIONS[event_name]] += event.duration_ps / 1e9
                        continue
                    found = re.fullmatch(r"(.*[^:]):(_?[A-Z]\w+)", event_name)
                    if found and "::" not in event_name and found[2] not in _CALLS:
                        spent[found[1], found[2]] += event.duration_ps / 1e9
    return spent


def part_of(name, kind):
    """The part of a step that an operation belongs to."""
    if kind.startswith("Iterator"):
        return "feeding"
    if kind == "Cast":
        return "casts"
    if kind == "Xla" or "PairProducts" in kind or "inter_arch" in name:
        return "interaction"
    if "row_wise_adagrad" in name or kind == "TfrecTransposeBags":
        return "table update"
    if kind.startswith("Tfrec") or kind == "ResourceGather" or "sparse_arch" in name:
        return "lookup"
    if "MatMul" in kind:
        return "products"
    if kind.startswith("Assign") or re.search(r"\bsgd", name):
        return "dense update"
    return "other dense"


if __name__ == "__main__":
    main()
