"""Every form of sparse features beside TorchRec, and beside our fastest form."""

import statistics

from peers.process import Peer
from peers.race import race

NATIVE, STOCK = Peer("ours", "native"), Peer("ours", "stock")
FUSED, PLAIN = Peer("torchrec", "fused"), Peer("torchrec", "plain")
RAGGED = "dict of ragged"
# Bag to the goals of stock training and of `predict`.
GOALS = {"1": (1.3, 1.2), "3": (None, 1.2), "10": (1.0, 1.2)}


def form_rows(workload, rounds, seconds):
    """Measures a workload in each form.

    Args:
        workload: `Workload`.
        rounds: int.
        seconds: float, about how long a block takes.

    Returns:
        A list of dicts, one a row.
    """
    trainings = ["train", f"train, {RAGGED}"]
    answers = [f"{call}, {form}" for call in ("evaluate", "predict") for form in ("fast", RAGGED)]
    # Without the kernels too: as on a machine without a compiler.
    contestants = [
        (NATIVE, workload, [*trainings, *answers]),
        (STOCK, workload, [*trainings, f"predict, {RAGGED}"]),
        (FUSED, workload, ["train", "forward"]),
        (PLAIN, workload, ["forward"]),
    ]
    entries = race(contestants, rounds, seconds)
    failed = [f"{entry.peer}: {entry.note}" for entry in entries if entry.note]
    if failed:
        raise SystemExit("\n".join(failed))
    found = {(entry.peer, entry.job): entry for entry in entries}
    forward = min(
        found[str(FUSED), "forward"], found[str(PLAIN), "forward"], key=lambda e: e.median_ms
    )
    stock_goal, predict_goal = GOALS.get(workload.bag, (None, None))
    rows = []
    for (peer, job), entry in found.items():
        if not peer.startswith("ours"):
            continue
        other = found[str(FUSED), "train"] if job.startswith("train") else forward
        goal = None
        if job.endswith(RAGGED):
            goals = {("ours stock", "train"): stock_goal, ("ours native", "predict"): predict_goal}
            goal = goals.get((peer, job.partition(",")[0]))
        rows.append(_row(entry, other, other.blocks_ms, entry.blocks_ms, goal))
    for peer, goal in ((NATIVE, 1.05), (STOCK, 1.15)):
        fast, ragged = found[str(peer), "train"], found[str(peer), f"train, {RAGGED}"]
        at_most = goal if workload.bag == "1" else None
        rows.append(_row(ragged, fast, ragged.blocks_ms, fast.blocks_ms, at_most, at_most=True))
    return rows


def _row(entry, other, above, below, goal, at_most=False):
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    return {
        "work": f"{entry.workload}: {entry.job}",
        "peer": entry.peer,
        "against": f"{other.peer}, {other.job}",
        "ratio": round(statistics.median(ratios), 3),
        "lowest": round(min(ratios), 3),
        "highest": round(max(ratios), 3),
        "goal": goal,
        "at_most": at_most,
        "ms": [round(entry.median_ms, 2), round(other.median_ms, 2)],
        "peak_gb": [round(entry.peak_memory_gb, 2), round(other.peak_memory_gb, 2)],
    }
