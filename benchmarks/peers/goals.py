"""The ratios the project set itself, each measured in a race of its own."""

import dataclasses

from peers.process import Peer, has_native
from peers.race import race
from peers.workload import Workload

NATIVE, STOCK, FUSED = Peer("ours", "native"), Peer("ours", "stock"), Peer("torchrec", "fused")


@dataclasses.dataclass
class Goal:
    """One row: what was measured each round, and what it should be at least (or at most)."""

    work: str
    against: str
    goal: float
    at_most: bool = False
    values: list = dataclasses.field(default_factory=list)
    note: str = ""


def ours():
    """Native kernels, or the stock operations where there are none yet."""
    return NATIVE if has_native() else STOCK


def goal_races(rounds, block_seconds, threads, sgemm_share):
    """Runs every race; yields its entries and the goals it decides."""
    base = Workload(threads=threads)
    best = ours()

    def run(*contestants):
        entries = race(contestants, rounds, block_seconds)
        by_name = {(e.peer, e.job, e.workload): e for e in entries}

        def find(peer, job, workload=base):
            return by_name[str(peer), job, workload]

        return entries, find

    def compared(work, goal, mine, other):
        return _goal(Goal(work, other.peer, goal), [mine, other], mine.times_faster_than)

    entries, find = run(
        (best, base, ["train", "bare_loop", "dense_half", "saved_model", "sgemm"]),
        (FUSED, base, ["train", "forward"]),
        *([(STOCK, base, ["train"])] if best is NATIVE else []),
    )
    train, fused = find(best, "train"), find(FUSED, "train")
    bare, dense, sgemm = (find(best, job) for job in ("bare_loop", "dense_half", "sgemm"))
    yield (
        entries,
        [
            compared(f"DLRM training, bag 1, {best}", 1.8, train, fused),
            compared("DLRM training, bag 1, ours stock", 1.4, find(STOCK, "train"), fused),
            compared(
                f"DLRM forward, bag 1, SavedModel, {best}",
                2.2,
                find(best, "saved_model"),
                find(FUSED, "forward"),
            ),
            _goal(
                Goal(f"lookup and optimizer in a step, bag 1, {best}", "whole step", 0.2, True),
                [bare, dense],
                lambda _: [
                    1 - half / whole
                    for half, whole in zip(dense.blocks_ms, bare.blocks_ms, strict=True)
                ],
            ),
            _goal(
                Goal(f"share of the sgemm rate, DLRM training, bag 1, {best}", "itself", 0.6),
                [train, sgemm],
                lambda _: sgemm_share(train, sgemm, base),
            ),
            _goal(
                Goal(f"model.fit over a bare loop, {best}", "itself", 1.05, True),
                [bare, train],
                lambda _: bare.times_faster_than(train),
            ),
        ],
    )

    for bag, ids, goal in (("10", "uniform", 1.7), ("10", "zipf", 1.7), ("mlperf", "uniform", 1.5)):
        workload = dataclasses.replace(base, bag=bag, ids=ids)
        entries, find = run((best, workload, ["train"]), (FUSED, workload, ["train"]))
        mine, other = find(best, "train", workload), find(FUSED, "train", workload)
        yield entries, [compared(f"DLRM training, bag {bag} {ids}, {best}", goal, mine, other)]

    workload = dataclasses.replace(base, model="dlrm_dcn")
    entries, find = run(
        (best, workload, ["train", "saved_model"]), (FUSED, workload, ["train", "forward"])
    )
    train, forward = find(best, "train", workload), find(best, "saved_model", workload)
    yield (
        entries,
        [
            compared(f"DLRM_DCN training, {best}", 1.6, train, find(FUSED, "train", workload)),
            compared(f"DLRM_DCN forward, {best}", 1.6, forward, find(FUSED, "forward", workload)),
        ],
    )

    workload = dataclasses.replace(base, model="deepfm")
    entries, find = run((best, workload, ["train"]), (FUSED, workload, ["train"]))
    mine, other = find(best, "train", workload), find(FUSED, "train", workload)
    yield entries, [compared(f"DeepFM training, {best}", 1.5, mine, other)]

    few, many = (dataclasses.replace(base, rows=rows, features=8) for rows in (10_000, 4_000_000))
    entries, find = run((best, few, ["train"]), (best, many, ["train"]))
    short, long = find(best, "train", few), find(best, "train", many)
    yield (
        entries,
        [
            _goal(
                Goal(f"step at 4e6 over 1e4 rows, 8 features, {best}", "itself", 1.15, True),
                [short, long],
                lambda _: short.times_faster_than(long),
            )
        ],
    )

    # As many features as fit in 24 GB beside the dense gradients of Keras.
    workload = dataclasses.replace(base, rows=1_000_000, features=16)
    keras = Peer("stock_keras")
    entries, find = run((best, workload, ["train"]), (keras, workload, ["train"]))
    mine, other = find(best, "train", workload), find(keras, "train", workload)
    yield entries, [compared(f"DLRM training, 1e6 rows, 16 features, {best}", 20, mine, other)]


def _goal(goal, needed, values):
    """Fills a goal in, or says which of its entries is missing."""
    notes = [f"{entry.peer}: {entry.note}" for entry in needed if entry.note]
    goal.note = "; ".join(notes)
    if not notes:
        goal.values = values(needed[-1])
    return goal
