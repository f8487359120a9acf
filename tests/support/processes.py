"""Runs a test's module in processes of their own, as the workers of a cluster on 127.0.0.1."""

import json
import os
import socket
import subprocess
import sys

# No process may outlive its test, whatever TensorFlow waits for.
TIMEOUT = 600


def free_ports(count):
    """Ports that nobody listens at now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def run(module, *arguments, workers=1):
    """Runs `python -m module arguments`, once for each worker, and waits for all.

    Returns:
        A list with the `subprocess.CompletedProcess` of each worker.
    """
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(workers)]}
    command = [sys.executable, "-m", module, *map(str, arguments)]
    processes = []
    for index in range(workers):
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
        if workers > 1:
            task = {"type": "worker", "index": index}
            environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        processes.append(subprocess.Popen(command, env=environment, text=True, **pipes))
    try:
        outputs = [process.communicate(timeout=TIMEOUT)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [
        subprocess.CompletedProcess(command, process.returncode, output)
        for process, output in zip(processes, outputs, strict=True)
    ]
