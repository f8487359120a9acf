"""Training of a DLRM straight from Parquet, beside the same batches held in memory.

    python benchmarks/training_from_files.py --folder DIR [--out FILE.json]

Files of 13 dense and 26 sparse features, ids below 100,000, single or lists with a mean of three;
tables of 100,000 x 64, dense arch [512, 256, 64], over arch [512, 512, 256, 1], batches of 2,048.
Each round trains one epoch by `model.fit` over `read` of the file and one over its batches from
`Dataset.cache`, in another order each time. A ratio is the time from memory by that from the file,
in one round; 1 where reading costs nothing. `processor` is the same ratio of processor seconds, of
all threads: on a machine that is shared it tells more, and where a step keeps all cores busy it is
the ratio of the times.
"""

import argparse
import json
import os
import pathlib
import platform
import time

import keras
import numpy as np
from reading import NUM_DENSE, schema, write

from tfrec_models import DLRM
from tfrec_models.datasets import read
from tfrec_models.optimizers import CompositeOptimizer, RowWiseAdagrad

BATCH_SIZE, DIM = 2048, 64
CASES = {
    # name: (kind of file, how values become ids, is_list)
    "single integers, as they are": ("ids", "integer", False),
    "single integers, hashed": ("ids", "hash", False),
    "lists of integers, as they are": ("lists", "integer", True),
    "lists of integers, hashed": ("lists", "hash", True),
}


def model_of(of):
    """A compiled model."""
    model = DLRM(of.collection(DIM, pooling="mean"), NUM_DENSE, [512, 256, DIM], [512, 512, 256, 1])
    model.compile(
        CompositeOptimizer(RowWiseAdagrad(0.01), keras.optimizers.SGD(0.01)),
        keras.losses.BinaryCrossentropy(from_logits=True),
    )
    return model


def ratios(path, of, rounds, shuffle):
    """Seconds and processor seconds, (rounds, 2, 2), of an epoch from the file and from memory."""
    from_file = read(
        path, of, BATCH_SIZE, shuffle=shuffle, seed=0 if shuffle else None, drop_remainder=True
    )
    in_memory = read(path, of, BATCH_SIZE, drop_remainder=True).cache()
    model = model_of(of)
    for dataset in (from_file, in_memory):
        model.fit(dataset, verbose=0)
    seconds = []
    for number in range(rounds):
        both = {}
        for name in ("file", "memory")[:: 1 if number % 2 else -1]:
            start, busy = time.perf_counter(), time.process_time()
            model.fit(from_file if name == "file" else in_memory, verbose=0)
            both[name] = time.perf_counter() - start, time.process_time() - busy
        seconds.append((both["file"], both["memory"]))
    return np.array(seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--steps", type=int, default=64, help="of an epoch")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cases", nargs="*", default=list(CASES), help="beginnings of their names")
    parser.add_argument("--in-order", action="store_true", help="do not shuffle the file's rows")
    parser.add_argument("--only-write", action="store_true", help="write the files and end")
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    results = {}
    for name, (kind, ids, is_list) in CASES.items():
        if not name.startswith(tuple(options.cases)):
            continue
        path = write(options.folder, kind, "parquet", options.steps * BATCH_SIZE)
        if options.only_write:
            continue
        seconds = ratios(path, schema(is_list, ids), options.rounds, not options.in_order)
        of_rounds, processor = (seconds[:, 1] / seconds[:, 0]).T
        results[name] = {
            "ratio": round(float(np.median(of_rounds)), 3),
            "lowest": round(float(of_rounds.min()), 3),
            "highest": round(float(of_rounds.max()), 3),
            "processor": round(float(np.median(processor)), 3),
            "ms_a_step": [
                round(ms, 1) for ms in np.median(seconds[:, :, 0], axis=0) / options.steps * 1e3
            ],
        }
        print(name, results[name], flush=True)
    if options.out:
        report = {
            "processor": platform.processor() or platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
            "load": os.getloadavg()[0],
            "batch_size": BATCH_SIZE,
            "steps": options.steps,
            "shuffle": not options.in_order,
            "results": results,
        }
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
