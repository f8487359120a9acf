"""Ours against TorchRec, stock Keras, TFRS and keras-rs, in one run on the same data.

    python benchmarks/compare.py                 # DLRM, bag 1: all peers (under 3 minutes)
    python benchmarks/compare.py --goals         # the project's goals (under 20 minutes)
    python benchmarks/compare.py --bags 1 10 --ids zipf --batches 1 64 --peers ours torchrec
    python benchmarks/compare.py --forms 1 3 10  # a dict of ragged tensors beside the fast form
    python benchmarks/compare.py --full          # every value on every axis: many hours

Every peer is a process that builds the model, warms up and waits; the parent lets one at a time run
a block of steps, in another order each round, so that a busy machine slows all alike. Ratios are
taken round by round. How to read the tables, and what limits each row: benchmarks/README.md.
"""

import argparse
import dataclasses
import itertools
import json
import os
import pathlib
import statistics
import sys

from peers.form_rows import form_rows
from peers.goals import goal_races
from peers.machine import commit, machine
from peers.process import Peer
from peers.race import race
from peers.workload import BAGS, DIM, MODELS, PRECISIONS, Workload

PEERS = {
    "ours": [Peer("ours", "native"), Peer("ours", "stock")],
    "torchrec": [Peer("torchrec", "fused"), Peer("torchrec", "plain")],
    "stock_keras": [Peer("stock_keras")],
    "keras_rs": [Peer("keras_rs")],
    "tfrs": [Peer("tfrs")],
}
TABLE_BYTES = 2.1e9
ROWS = [10_000, 100_000, 1_000_000, 4_000_000]
BATCHES = [1, 64, 2048, 16384]
IDS = ["uniform", "zipf"]


FORMS_FILE = pathlib.Path(__file__).parent / "results" / "forms.json"


def main():
    arguments = parse()
    if arguments.forms:
        measure_forms(arguments)
        return
    print(f"{arguments.threads} threads for each peer, of {os.cpu_count()} on this machine.\n")
    settings, entries, goals = {}, [], []
    if arguments.goals:
        races = goal_races(arguments.rounds, arguments.seconds, arguments.threads, shares_of_sgemm)
    else:
        races = ((cell(workload, arguments), []) for workload in grid(arguments))
    markdown = []
    for found, decided in races:
        for entry in found:
            if entry.settings:
                settings.setdefault(entry.peer, entry.settings)
        entries += found
        goals += decided
        markdown += ["", *table(found)]
        print("\n".join(table(found)), "\n", flush=True)
    if goals:
        markdown = [*goal_table(goals), *markdown]
        print("\n".join(goal_table(goals)), "\n")
    described = describe(settings, arguments.threads)
    print("\n".join(described))
    if arguments.json:
        with open(arguments.json, "w") as file:
            result = {"settings": settings, "threads": arguments.threads}
            result["entries"] = [dataclasses.asdict(entry) for entry in entries]
            result["goals"] = [dataclasses.asdict(goal) for goal in goals]
            json.dump(result, file, indent=1)
    if arguments.markdown:
        with open(arguments.markdown, "w") as file:
            file.write("\n".join([*described, "", *markdown]) + "\n")


def measure_forms(arguments):
    """Writes the rows of some bags beside those that the file has of others."""
    results = json.loads(FORMS_FILE.read_text()) if FORMS_FILE.exists() else {}
    for bag in arguments.forms:
        workload = Workload(bag=bag, threads=arguments.threads)
        results[bag] = {
            "machine": machine(),
            "commit": commit(),
            "rounds": arguments.rounds,
            "rows": form_rows(workload, arguments.rounds, arguments.seconds),
        }
        FORMS_FILE.write_text(json.dumps(results, indent=1) + "\n")
        print(json.dumps(results[bag], indent=1), flush=True)


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    preset = parser.add_mutually_exclusive_group()
    preset.add_argument("--goals", action="store_true", help="the rows the project set itself")
    preset.add_argument("--forms", nargs="+", choices=BAGS, help="bags, in each form of features")
    preset.add_argument("--full", action="store_true", help="every value on every axis")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["dlrm"])
    parser.add_argument("--bags", nargs="+", choices=BAGS, default=["1"])
    parser.add_argument("--ids", nargs="+", choices=IDS, default=["uniform"])
    parser.add_argument("--rows", nargs="+", type=int, default=[100_000])
    parser.add_argument("--batches", nargs="+", type=int, default=[2048])
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="of products")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=None, help="5, or 9 with --goals")
    parser.add_argument("--seconds", type=float, default=None, help="of a block: 1, or 2.5 there")
    parser.add_argument("--json", help="also write every number to this file")
    parser.add_argument("--markdown", help="also write the tables to this file")
    arguments = parser.parse_args()
    if arguments.full:
        arguments.models, arguments.bags, arguments.ids = MODELS, BAGS, IDS
        arguments.rows, arguments.batches = ROWS, BATCHES
    if arguments.goals and arguments.precision != "float32":
        parser.error("The goals are for float32; leave --precision or --goals out.")
    arguments.rounds = arguments.rounds or (9 if arguments.goals else 5)
    arguments.seconds = arguments.seconds or (2.5 if arguments.goals else 1.0)
    return arguments


def grid(arguments):
    """The workloads; where tables would pass 2.1 GB they have fewer features."""
    axes = (arguments.models, arguments.bags, arguments.ids, arguments.rows, arguments.batches)
    for model, bag, ids, rows, batch in itertools.product(*axes):
        features = min(26, max(1, int(TABLE_BYTES / (rows * DIM * 4))))
        yield Workload(
            model, bag, ids, rows, batch, features, arguments.threads, arguments.precision
        )


def cell(workload, arguments):
    """All peers on one workload: training, and what each has for a forward pass."""
    contestants = []
    for peer in itertools.chain.from_iterable(PEERS[name] for name in arguments.peers):
        jobs = ["train", peer.forward_job]
        if peer.module == "ours":
            jobs += ["predict_on_batch", "sgemm"]
        contestants.append((peer, workload, jobs))
    return race(contestants, arguments.rounds, arguments.seconds)


def shares_of_sgemm(entry, sgemm, workload):
    """By round: the rate of a job's matrix products over that of one product alone."""
    flops = workload.training_flops() if entry.job == "train" else workload.forward_flops()
    one_product = 2 * 2048 * 512 * 512
    return [
        flops / step / (one_product / product)
        for step, product in zip(entry.blocks_ms, sgemm.blocks_ms, strict=True)
    ]


def table(entries):
    """Markdown: a line for each job of one race."""
    lines = [
        "| work | peer | ms (spread) | p50 / p99, ms | its ms over ours | sgemm share | peak GB |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for entry in entries:
        work = f"{entry.workload}: {entry.job}"
        if entry.note:
            lines.append(f"| {work} | {entry.peer} | {entry.note} | | | | |")
            continue
        latency = ""
        if entry.requests_ms:
            latency = f"{entry.percentile_ms(50):.2f} / {entry.percentile_ms(99):.2f}"
        lines.append(
            f"| {work} | {entry.peer} | {spread(entry.blocks_ms, '.2f')} | {latency} "
            f"| {ratio_to_ours(entry, entries)} | {share(entry, entries)} "
            f"| {entry.peak_memory_gb:.2f} |"
        )
    return lines


def ratio_to_ours(entry, entries):
    """How many of our steps fit in one of a peer's."""
    kind = "train" if entry.job == "train" else "saved_model"
    if entry.peer.startswith("ours"):
        return ""
    for ours in entries:
        same = ours.job == kind and ours.workload == entry.workload
        if same and ours.peer.startswith("ours") and ours.blocks_ms:
            return spread(ours.times_faster_than(entry), ".2f")
    return ""


def share(entry, entries):
    """The share of the sgemm rate of one of our jobs."""
    sgemm = next((e for e in entries if e.job == "sgemm" and e.blocks_ms), None)
    if sgemm is None or entry.job not in ("train", "forward", "saved_model", "predict_on_batch"):
        return ""
    return f"{statistics.median(shares_of_sgemm(entry, sgemm, entry.workload)):.0%}"


def spread(values, form):
    """The median, and the lowest and highest."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def goal_table(goals):
    """Markdown: goal, ratio, reached or not."""
    lines = ["| work | against | goal | measured | reached |", "|---|---|---:|---:|---|"]
    for goal in goals:
        wanted = f"{'at most' if goal.at_most else 'at least'} {goal.goal:g}"
        if goal.note:
            lines.append(f"| {goal.work} | {goal.against} | {wanted} | {goal.note} | |")
            continue
        middle = statistics.median(goal.values)
        reached = middle <= goal.goal if goal.at_most else middle >= goal.goal
        lines.append(
            f"| {goal.work} | {goal.against} | {wanted} | {spread(goal.values, '.3g')} "
            f"| {'yes' if reached else 'no'} |"
        )
    return lines


def describe(settings, threads):
    """Markdown: every setting of every peer."""
    lines = [f"Settings ({threads} threads each):", ""]
    for peer, values in settings.items():
        lines.append(f"- {peer}: " + "; ".join(f"{name}: {what}" for name, what in values.items()))
    return lines


if __name__ == "__main__":
    sys.exit(main())
