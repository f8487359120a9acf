"""Measures the three figures of README's end, and writes them to benchmarks/results.

    python benchmarks/headline.py --machine "AMD EPYC, 2 cores"        # about six minutes
    python benchmarks/headline.py auc --machine "AMD EPYC, 2 cores"    # one of the three

A DLRM training step beside TorchRec's fused row-wise Adagrad and beside stock Keras with Adagrad,
as in `compare.py --goals`, and the AUC of `examples/train_dlrm.py`. Figures that are not measured
again stay. Afterwards `python scripts/figures.py` writes them into README.
"""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

from peers.process import Peer
from peers.race import race
from peers.workload import Workload

from tfrec_models._files import atomic_path

ROOT = pathlib.Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "headline.json"
OURS = Peer("ours", "native")


def times_faster(peer, workload, rounds, seconds):
    """The ratio of a training step, taken in each round."""
    ours, other = race([(OURS, workload, ["train"]), (peer, workload, ["train"])], rounds, seconds)
    if ours.note or other.note:
        raise RuntimeError(f"{OURS}: {ours.note or 'measured'}; {peer}: {other.note or 'measured'}")
    ratios = ours.times_faster_than(other)
    return {
        "ratio": statistics.median(ratios),
        "by_round": ratios,
        "ours_ms": ours.median_ms,
        "other_ms": other.median_ms,
        "settings": {str(OURS): ours.settings, str(peer): other.settings},
    }


def torchrec(rounds, seconds):
    return times_faster(Peer("torchrec", "fused"), Workload(), rounds, seconds)


def stock_keras(rounds, seconds):
    workload = Workload(rows=1_000_000, features=16)
    return times_faster(Peer("stock_keras"), workload, rounds, seconds)


def auc(rounds, seconds):
    """What the example prints, and how long it takes."""
    script = ROOT / "examples" / "train_dlrm.py"
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        output = subprocess.run(
            [sys.executable, str(script), "--output", f"{folder}/dlrm.keras"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    took = time.monotonic() - begin
    found = [
        float(re.search(rf"{line} +(\d\.\d+)", output)[1])
        for line in ("AUC of DLRM", "best reachable AUC")
    ]
    return {"auc": found[0], "best": found[1], "seconds": took}


MEASURES = {measure.__name__: measure for measure in (torchrec, stock_keras, auc)}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figures", nargs="*", help=f"of {', '.join(MEASURES)}; all without")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a block")
    parser.add_argument("--machine", required=True, help="what it runs on, in words")
    options = parser.parse_args()
    if unknown := set(options.figures) - set(MEASURES):
        parser.error(f"figures must be of {', '.join(MEASURES)}, received {', '.join(unknown)}")
    for name in options.figures or MEASURES:
        result = MEASURES[name](options.rounds, options.seconds)
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        results[name] = {"machine": options.machine, **result}
        with atomic_path(RESULTS) as temporary:
            temporary.write_text(json.dumps(results, indent=1) + "\n")
        print(name, {key: value for key, value in result.items() if key != "settings"}, flush=True)


if __name__ == "__main__":
    main()
