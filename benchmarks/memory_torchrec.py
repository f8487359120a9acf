"""Peak memory of training, bag 1, beside TorchRec's, each in its own environment.

    python benchmarks/memory_torchrec.py [--ours PYTHON] [--torchrec PYTHON] [--steps 100]

Keras imports pandas, scikit-learn, matplotlib and IPython where they are installed, 0.12 GB of
memory which training does not need: `--ours` is the interpreter of an environment with
`pip install .` and nothing else, `--torchrec` that of one with TorchRec. Both train the DLRM of
`compare.py` and nothing besides. Written to benchmarks/results/memory_torchrec.json.
"""

import argparse
import json
import pathlib
import sys

from peers.machine import commit, machine
from peers.process import Peer, Worker
from peers.workload import Workload

RESULTS = pathlib.Path(__file__).parent / "results" / "memory_torchrec.json"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--ours", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--torchrec", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--steps", type=int, default=100, help="default: %(default)s")
    arguments = parser.parse_args()
    pythons = {
        Peer("ours", "native"): arguments.ours,
        Peer("ours", "stock"): arguments.ours,
        Peer("torchrec", "fused"): arguments.torchrec,
    }
    peaks = {}
    for peer, python in pythons.items():
        worker = Worker(peer, Workload(threads=2), python)
        worker.run("train", arguments.steps)
        peaks[str(peer)] = worker.peak_memory_gb
        worker.close()
        print(f"{peer}: {peaks[str(peer)]:.2f} GB", flush=True)
    over = {peer: round(peak / peaks["torchrec fused"], 2) for peer, peak in peaks.items()}
    print("over torchrec fused:", over)
    found = {"peak_gb": peaks, "over_torchrec": over, "machine": machine(), "commit": commit()}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
