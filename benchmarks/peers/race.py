"""Peers that take turns on one workload, and what they measured."""

import dataclasses
import statistics
import sys

import numpy as np

from peers.process import Failed, Worker

FEWEST_STEPS, MOST_STEPS = 3, 400
LATENCY_BATCH = 64


@dataclasses.dataclass
class Entry:
    """One peer's job: milliseconds of each block, and of each request where they were timed."""

    peer: str
    job: str
    workload: object
    blocks_ms: list = dataclasses.field(default_factory=list)
    requests_ms: list = dataclasses.field(default_factory=list)
    peak_memory_gb: float = 0.0
    settings: dict = dataclasses.field(default_factory=dict)
    note: str = ""

    @property
    def median_ms(self):
        return statistics.median(self.blocks_ms)

    def percentile_ms(self, percent):
        return float(np.percentile(self.requests_ms, percent))

    def times_faster_than(self, other):
        """By round: how many of this job's steps fit in one of the other's."""
        return [b / a for a, b in zip(self.blocks_ms, other.blocks_ms, strict=True)]


def race(contestants, rounds, block_seconds):
    """Runs each job for `rounds` blocks, one peer at a time, in another order each round.

    Args:
        contestants: list of (`Peer`, `Workload`, list of jobs); all peers live at once.
        rounds: int.
        block_seconds: float, about how long a block takes.

    Returns:
        A list of `Entry`, one a job; those that could not run have a note and no times.
    """
    entries, turns, workers = [], [], []
    try:
        for peer, workload, names in contestants:
            jobs = [Entry(str(peer), name, workload) for name in names]
            entries += jobs
            try:
                reason = peer.missing(workload)
                if reason:
                    raise Failed(reason)
                _say(f"{workload}: {peer}")
                worker = Worker(peer, workload)
                workers.append(worker)
                turns += [(worker, job, _steps(worker, job.job, block_seconds)) for job in jobs]
            except Failed as failure:
                for job in jobs:
                    job.note = str(failure)
        for number in range(rounds):
            _say(f"round {number + 1} of {rounds}")
            shift = number % max(1, len(turns))
            for worker, job, steps in turns[shift:] + turns[:shift]:
                seconds = worker.run(job.job, steps)
                job.blocks_ms.append(1e3 * statistics.median(seconds))
                if len(seconds) > 1 and worker.workload.batch <= LATENCY_BATCH:
                    job.requests_ms += [1e3 * value for value in seconds]
                job.peak_memory_gb, job.settings = worker.peak_memory_gb, worker.settings
    finally:
        for worker in workers:
            worker.close()
    return entries


def _steps(worker, job, block_seconds):
    """Warms a job up and returns how many of its steps make a block."""
    worker.run(job, FEWEST_STEPS)
    worker.run(job, FEWEST_STEPS)
    step = statistics.median(worker.run(job, 2 * FEWEST_STEPS))
    return min(MOST_STEPS, max(FEWEST_STEPS, round(block_seconds / step)))


def _say(text):
    print(text, file=sys.stderr, flush=True)
