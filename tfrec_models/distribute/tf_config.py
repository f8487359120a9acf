"""The cluster and the task that TF_CONFIG names, and waiting until its members answer."""

import dataclasses
import json
import socket
import time


@dataclasses.dataclass(frozen=True)
class Task:
    """What TF_CONFIG says of a process.

    Args:
        cluster: dict from a job to the list of its addresses, host:port.
        job: str, the job of this process.
        index: int, which of its job's tasks it is.
    """

    cluster: dict[str, list[str]]
    job: str
    index: int

    @property
    def address(self) -> str:
        """The address of this process."""
        return self.cluster[self.job][self.index]


def read_task(tf_config: str | None, example: str, jobs: tuple[str, ...]) -> Task:
    """Returns what TF_CONFIG says.

    Args:
        tf_config: the environment variable's value, or None.
        example: str, what it may look like, for messages.
        jobs: the jobs to read, in order.

    Raises:
        ValueError: if it is missing, no JSON, or names no task of its cluster.
    """
    if not tf_config:
        raise ValueError(f"TF_CONFIG is not set. Set it on each machine, for instance to {example}")
    try:
        config = json.loads(tf_config)
        cluster = {job: [str(a) for a in config["cluster"].get(job, [])] for job in jobs}
        task = dict(config.get("task") or {})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"TF_CONFIG must be JSON such as {example}, received {tf_config}"
        ) from error
    if "type" not in task or "index" not in task:
        raise ValueError(
            "TF_CONFIG must have a task with a type and an index, such as "
            f'"task": {{"type": "worker", "index": 0}}; received {task}.'
        )
    job, index = task["type"], task["index"]
    if (
        isinstance(index, bool)
        or not isinstance(index, int)
        or index not in range(len(cluster.get(job, [])))
    ):
        counts = {name: len(addresses) for name, addresses in cluster.items()}
        raise ValueError(
            f"TF_CONFIG says that this is task {index!r} of job {job!r}, but its cluster has "
            f"{counts}. Tasks are numbered from 0."
        )
    for address in [address for addresses in cluster.values() for address in addresses]:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError(f"TF_CONFIG has the address {address!r}; it must be host:port.")
    return Task(cluster, job, index)


def wait_for(addresses: list[str], timeout_seconds: float, advice: str) -> None:
    """Returns once something listens at every address.

    Args:
        addresses: list of str, host:port.
        timeout_seconds: float.
        advice: str, what to do about one that does not answer.

    Raises:
        TimeoutError: if one does not answer in time.
    """
    deadline = time.monotonic() + timeout_seconds
    missing = list(addresses)
    while missing:
        missing = [address for address in missing if not answers(address)]
        if missing and time.monotonic() > deadline:
            raise TimeoutError(
                f"No answer from {missing} within {timeout_seconds:g} seconds. {advice}"
            )
        time.sleep(0.1 if missing else 0)


def answers(address: str) -> bool:
    """Whether something listens at an address, host:port."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=1).close()
    except OSError:
        return False
    return True
