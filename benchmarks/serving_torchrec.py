"""Forward passes through `serving_packed` beside TorchRec's, the faster of plain and fused.

    python benchmarks/serving_torchrec.py [--cells bag_1 ...] [--rounds 7] [--json FILE]

The same DLRM, batches and processes as in `compare.py`: 26 tables of 100,000 x 64. Ours is an
export loaded by `tf.saved_model.load` and asked by `serving_packed`; TorchRec runs under `eval()`
and `no_grad()`. One peer at a time runs a block of calls, in another order each round; a ratio is
taken in each round, to the faster of TorchRec's two collections over all rounds. Of batches of 1
and 64 each call is timed. Results are added to those in FILE, so that cells may be run one by one.
Needs TorchRec, as benchmarks/README.md says.
"""

import argparse
import json
import os
import pathlib
import statistics

from peers.process import Peer
from peers.race import race
from peers.workload import Workload

CELLS = {
    "bag_1": ({}, 1.25),
    "bag_1_bfloat16": ({"precision": "bfloat16"}, 1.5),
    "bag_3": ({"bag": "3"}, 1.2),
    "bag_10": ({"bag": "10"}, 1.2),
    "batch_1": ({"batch": 1}, 1.1),
    "batch_64": ({"batch": 64}, 1.1),
}
OURS = Peer("ours", "native")
THEIRS = [Peer("torchrec", "fused"), Peer("torchrec", "plain")]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a block, %(default)s")
    parser.add_argument("--threads", type=int, default=2, help="of each peer, %(default)s")
    parser.add_argument("--json", metavar="FILE", help="add the results to this file")
    arguments = parser.parse_args()
    file = pathlib.Path(arguments.json) if arguments.json else None
    results = json.loads(file.read_text()) if file and file.exists() else {}
    for name in arguments.cells:
        results[name] = measure(name, arguments)
        print(name, json.dumps(results[name], indent=2), flush=True)
        if file:
            file.write_text(json.dumps(results, indent=2) + "\n")


def measure(name, arguments):
    """The ratios of one cell, and what every peer took."""
    axes, goal = CELLS[name]
    workload = Workload(threads=arguments.threads, **axes)
    peers = [OURS, *THEIRS]
    entries = race(
        [(peer, workload, [peer.forward_job]) for peer in peers],
        arguments.rounds,
        arguments.seconds,
    )
    failed = [entry.note for entry in entries if entry.note]
    if failed:
        raise SystemExit("\n".join(failed))
    ours, *theirs = entries
    faster = min(theirs, key=lambda entry: entry.median_ms)
    ratios = ours.times_faster_than(faster)
    return {
        "workload": str(workload),
        "goal": goal,
        "times_faster": round(statistics.median(ratios), 3),
        "lowest": round(min(ratios), 3),
        "highest": round(max(ratios), 3),
        "against": faster.peer,
        "cores": os.cpu_count(),
        "ms": {entry.peer: round(entry.median_ms, 3) for entry in entries},
        "p50_p99_ms": {
            entry.peer: [round(entry.percentile_ms(percent), 3) for percent in (50, 99)]
            for entry in entries
            if entry.requests_ms
        },
        "versions": {entry.peer: entry.settings["versions"] for entry in entries},
    }


if __name__ == "__main__":
    main()
