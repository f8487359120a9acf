"""Rows a second and memory of `convert` on a generated log of Criteo's format, and SIGKILLs.

    python benchmarks/converting.py --folder DIR [--gigabytes 5] [--kills 10] [--out FILE.json]

The log is written to the folder once. It is converted once without a kill: rows per second of the
whole command, its start included, and the largest memory of all its processes together, by pages
that are resident (those that are shared counted in each process) and by their proportional share
of these. With `--kills` it is converted once more into another folder, by processes that end by
SIGKILL at random moments, the leading one alone or all, in turn, and are started again; then the
SHA-256 of each file is compared. `--runner DirectRunner` converts a third time on Apache Beam.
"""

import argparse
import hashlib
import json
import os
import pathlib
import platform
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

NUM_DENSE, NUM_SPARSE = 13, 26
_ROWS = 1 << 18
_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)


def hexadecimal(numbers):
    """Numbers below 2**32 as texts of eight digits."""
    shifts = np.arange(28, -1, -4)
    text = _DIGITS[(numbers[:, None] >> shifts) & 15].tobytes()
    fixed = pa.Array.from_buffers(pa.binary(8), len(numbers), [None, pa.py_buffer(text)])
    return fixed.cast(pa.binary()).cast(pa.string())


def rows_of(rng):
    """Rows of the log: a tenth of the integers and a twentieth of the ids are missing."""
    columns = [pa.array(rng.integers(0, 2, _ROWS).astype(np.int8))]
    for _ in range(NUM_DENSE):
        values = rng.integers(-2, 1000, _ROWS).astype(np.int32)
        columns.append(pa.array(values, mask=rng.random(_ROWS) < 0.1))
    for i in range(NUM_SPARSE):
        ids = (rng.pareto(0.3, _ROWS).clip(max=1e12).astype(np.int64) % 10 ** (2 + i % 5)) * 7919
        present = pa.array(rng.random(_ROWS) >= 0.05)
        columns.append(pc.if_else(present, hexadecimal(ids % 2**32), None))
    return pa.table(columns, [str(i) for i in range(len(columns))])


def write_log(path, num_bytes):
    """Writes the log where it is not there; returns its rows."""
    count = path.with_suffix(".rows")
    if not count.exists():
        rng, rows = np.random.default_rng(0), 0
        options = pyarrow.csv.WriteOptions(
            include_header=False, delimiter="\t", quoting_style="none"
        )
        with open(path, "wb") as file:
            while file.tell() < num_bytes:
                pyarrow.csv.write_csv(rows_of(rng), file, options)
                rows += _ROWS
        count.write_text(str(rows))
    return int(count.read_text())


def command(log, schema, out, *options):
    """A conversion of the log."""
    start = [sys.executable, "-m", "tfrec_models.datasets", "convert", str(log)]
    return [*start, "--schema", str(schema), "--out", str(out), "--quiet", *options]


def started(arguments):
    """A process that leads a group of its own."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(arguments, env=environment, start_new_session=True)


def memory_of(group):
    """Bytes of all processes of a group: resident ones, and by proportional share."""
    resident = proportional = 0
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if int((process / "stat").read_text().rpartition(")")[2].split()[2]) != group:
                continue
            lines = (process / "smaps_rollup").read_text().splitlines()
        except (OSError, IndexError):
            continue
        sizes = {line.split()[0]: line.split()[1] for line in lines[1:]}
        resident += int(sizes["Rss:"]) * 1024
        proportional += int(sizes["Pss:"]) * 1024
    return resident, proportional


def measured(arguments):
    """Seconds, seconds of processor time and largest memory of a command."""
    before, start = os.times(), time.perf_counter()
    process, largest = started(arguments), (0, 0)
    while process.poll() is None:
        time.sleep(0.2)
        largest = tuple(map(max, largest, memory_of(process.pid)))
    seconds, after = time.perf_counter() - start, os.times()
    if process.returncode:
        sys.exit(f"{arguments} ended with {process.returncode}.")
    return {
        "seconds": round(seconds, 1),
        "processor_seconds": round(sum(after[2:4]) - sum(before[2:4]), 1),
        "resident_bytes": largest[0],
        "proportional_bytes": largest[1],
    }


def killed(arguments, kills, longest, rng):
    """Runs a command with kills, each at a random moment; returns the moments that hit one."""
    moments = []
    while len(moments) < kills:
        process = started(arguments)
        moment = rng.uniform(0, longest)
        try:
            process.wait(moment)
            break
        except subprocess.TimeoutExpired:
            pass
        if len(moments) % 2:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        wait_for_end(process.pid)
        moments.append(round(moment, 1))
    process = started(arguments)
    if process.wait():
        sys.exit(f"{arguments} ended with {process.returncode}.")
    return moments


def wait_for_end(group):
    """Waits for the processes of a group, which end where the one that leads them does."""
    while memory_of(group)[0]:
        time.sleep(0.1)


def checksums(folder):
    """The SHA-256 of each file of a folder."""
    sums = {}
    for path in sorted(folder.iterdir()):
        with open(path, "rb") as file:
            sums[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return sums


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--gigabytes", type=float, default=5)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--runner", help="of Apache Beam: a third conversion")
    parser.add_argument("--only-write", action="store_true", help="write the log and end")
    parser.add_argument("--out", type=pathlib.Path, help="a JSON file for the results")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    log = options.folder / f"log-{options.gigabytes:g}.tsv"
    rows = write_log(log, options.gigabytes * 1e9)
    if options.only_write:
        return
    report = {
        "processor": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "bytes": log.stat().st_size,
        "rows": rows,
    }
    schema = options.folder / "schema.yaml"
    # TensorFlow is not needed in this process, whose memory is not measured.
    write_schema = (
        "from tfrec_models.datasets import criteo_schema;"
        f"criteo_schema(num_ids=100_000).save({str(schema)!r})"
    )
    subprocess.run([sys.executable, "-c", write_schema], check=True)
    whole = options.folder / "whole"
    if not whole.exists():
        report["undisturbed"] = measured(command(log, schema, whole))
        report["undisturbed"]["rows_per_s"] = round(rows / report["undisturbed"]["seconds"])
        print(report, flush=True)
        (options.folder / "undisturbed.json").write_text(json.dumps(report["undisturbed"]))
    else:
        report["undisturbed"] = json.loads((options.folder / "undisturbed.json").read_text())
    expected = checksums(whole)
    if options.kills:
        out = options.folder / "killed"
        shutil.rmtree(out, ignore_errors=True)
        longest = report["undisturbed"]["seconds"] / options.kills * 2
        rng = random.Random(options.seed)
        moments = killed(command(log, schema, out), options.kills, longest, rng)
        report["kills"] = {"moments": moments, "files": len(expected)}
        report["kills"]["equal"] = checksums(out) == expected
        print(report["kills"], flush=True)
    if options.runner:
        out = options.folder / "beam"
        shutil.rmtree(out, ignore_errors=True)
        of_runner = (
            "--runner",
            options.runner,
            "--runner-option=--direct_running_mode=multi_processing",
            "--runner-option=--direct_num_workers=2",
        )
        report["beam"] = {"runner": options.runner} | measured(
            command(log, schema, out, *of_runner)
        )
        report["beam"]["equal"] = checksums(out) == expected
        print(report["beam"], flush=True)
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
