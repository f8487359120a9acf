"""Processes that run exports where there is no Keras, no tfrec_models or no Python TensorFlow."""

import multiprocessing
import os
import pathlib
import subprocess
import sys

FOLDER = pathlib.Path(__file__).parent
RUNNERS = ("run_with_c_api", "run_without_keras")


class Runner:
    """One process, which is asked about one export after another.

    Args:
        script: str, one of `RUNNERS`.
        output: path of a file for all that the process writes.
    """

    def __init__(self, script, output):
        self._output, self._asked = output, 0
        self._pipe, theirs = multiprocessing.Pipe()
        with theirs, open(output, "wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, FOLDER / f"{script}.py", str(theirs.fileno())],
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join([str(FOLDER.parents[1]), *sys.path]),
                },
                pass_fds=[theirs.fileno()],
                stdout=file,
                stderr=file,
            )

    def ask(self, path, tensors, cases):
        """Asks about one export; `answers` waits for what it says.

        Args:
            path: str, the version's directory.
            tensors: what `benchmarks.c_api.signature_tensors` gives for it.
            cases: dict from case to (signature, inputs).
        """
        self._asked += 1
        self._pipe.send((self._asked, path, tensors, cases))

    def answers(self):
        """Returns a dict from case to the outputs, or to (code, message) of the error.

        Those to the last question: a test that failed may have left others unread.

        Raises:
            RuntimeError: if the process has ended.
        """
        try:
            answered, answers = 0, {}
            while answered != self._asked:
                answered, answers = self._pipe.recv()
            return answers
        except EOFError:
            code = self._process.wait()
            text = pathlib.Path(self._output).read_text(errors="replace")[-2000:]
            raise RuntimeError(f"The process ended with code {code}: {text}") from None

    def close(self):
        """Lets the process end."""
        self._pipe.close()
        self._process.wait()
