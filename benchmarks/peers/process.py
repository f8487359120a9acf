"""The parent's side: a peer in a process of its own that runs only when told to."""

import dataclasses
import importlib
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent.parent


class Failed(Exception):
    """A peer that could not be built or run, and why."""


@dataclasses.dataclass(frozen=True)
class Peer:
    """A module of this package and the variant of it."""

    module: str
    variant: str = ""

    def __str__(self):
        return f"{self.module} {self.variant}".strip()

    @property
    def forward_job(self):
        """The name of the job that answers requests."""
        return self._module().FORWARD

    def missing(self, workload):
        """Why it cannot take part, or None."""
        module = self._module()
        imports, command = module.REQUIRES
        for name in imports:
            if importlib.util.find_spec(name) is None:
                return f"missing: no module {name!r}; {command}"
        if self.module == "ours" and self.variant == "native" and not has_native():
            return "missing: this checkout has no tfrec_models.native"
        if workload.model not in module.MODELS:
            return f"has no {workload.model}"
        if workload.precision not in module.PRECISIONS:
            return f"measured in {' and '.join(module.PRECISIONS)} only"
        return None

    def _module(self):
        return importlib.import_module(f"peers.{self.module}")


def has_native():
    """Whether this checkout has the native kernels."""
    package = importlib.util.find_spec("tfrec_models")
    if package is None:
        return False
    # `find_spec("tfrec_models.native")` would import TensorFlow into the parent.
    finder = importlib.machinery.PathFinder
    return finder.find_spec("native", package.submodule_search_locations) is not None


class Worker:
    """A running peer.

    Args:
        peer: `Peer`.
        workload: `Workload`.
        python: str, the interpreter that runs it.

    Raises:
        Failed: with the child's error, in the constructor too.
    """

    def __init__(self, peer, workload, python=sys.executable):
        self.peer, self.workload = peer, workload
        self.peak_memory_gb = 0.0
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115, closed in `close`
        threads = str(workload.threads)
        environment = dict(
            os.environ,
            TF_CPP_MIN_LOG_LEVEL="2",
            OMP_NUM_THREADS=threads,
            MKL_NUM_THREADS=threads,
            TF_USE_LEGACY_KERAS="1" if peer.module == "tfrs" else "0",
            PYTHONPATH=os.pathsep.join(
                [str(FOLDER), str(FOLDER.parent), os.environ.get("PYTHONPATH", "")]
            ),
        )
        if peer.variant == "stock":
            environment["TFREC_MODELS_NATIVE"] = "0"
        spec = json.dumps(dataclasses.asdict(workload))
        self.process = subprocess.Popen(
            [python, "-m", "peers.worker", peer.module, peer.variant, spec],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=environment,
        )
        self.settings = self._answer()["settings"]

    def run(self, job, steps):
        """Runs one job and returns the seconds of its steps."""
        print(json.dumps({"job": job, "steps": steps}), file=self.process.stdin, flush=True)
        answer = self._answer()
        self.peak_memory_gb = answer["peak_memory_gb"]
        return answer["seconds"]

    def close(self):
        self.process.kill()
        self.process.communicate()
        self.log.close()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"failed: ended with status {self.process.wait()}. {self._last_words()}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(f"failed: {answer['error']}")
        return answer

    def _last_words(self):
        self.log.seek(0)
        return self.log.read()[-300:].strip()
