"""A process that converts parts of a log: `python -m tfrec_models.datasets._convert_worker`.

A process of its own, started by name, since `multiprocessing` would run the caller's script once
more, and a fork of a process that runs TensorFlow may hang. Its input is a pickled `Job` and then
numbers of parts, its output an answer to each as a line of JSON. It ends with its input, so that
no process outlives a conversion that is killed.
"""

import contextlib
import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading

from tfrec_models.datasets._convert_part import ERRORS, PartConverter, kind_of


class Worker:
    """The other end: a process that converts parts for a job.

    Args:
        job: `Job`.
        on_rows: function of the number of rows that were read.
    """

    def __init__(self, job, on_rows):
        self._on_rows = on_rows
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        environment = {
            **os.environ,
            "PYTHONPATH": paths,
            # Nothing here is for an accelerator, whose memory belongs to who trains.
            "CUDA_VISIBLE_DEVICES": "-1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 It is closed by `end`.
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
        )
        with contextlib.suppress(BrokenPipeError):
            pickle.dump(job, self._process.stdin)
            self._process.stdin.flush()

    def convert(self, number):
        """The record of a part.

        Raises:
            RuntimeError: where the process ended.
            ValueError, OSError: what the part's conversion raised.
        """
        for line in self._process.stdout:
            answer = json.loads(line)
            if "record" in answer:
                return answer["record"]
            if "error" in answer:
                raise ERRORS.get(answer["kind"], RuntimeError)(answer["error"])
            if "is_ready" in answer:
                self._send(number)
            else:
                self._on_rows(answer["rows"])
        code = self._process.wait()
        self._log.seek(0)
        last = self._log.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise RuntimeError(
            f"The process that converts part {number} ended with code {code} ({last!r}); it may "
            "have run out of memory. What is finished stays: run the conversion again, with fewer "
            "num_processes."
        )

    def _send(self, number):
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(b"%d\n" % number)
            self._process.stdin.flush()

    def end(self):
        """Ends the process."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._log.close()


def _read_numbers(numbers):
    for line in sys.stdin.buffer:
        numbers.put(int(line))
    # The input ends where the process at its other end does, be it killed.
    signal.raise_signal(signal.SIGTERM)


def main():
    """Runs the process."""
    # What libraries print must not stand between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**values):
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    job = pickle.load(sys.stdin.buffer)
    numbers = queue.Queue()
    threading.Thread(target=_read_numbers, args=(numbers,), daemon=True).start()
    converter = None
    while True:
        # A part is asked for once it can be converted at once: a process that was still starting
        # when the conversion was killed must not begin one.
        answer(is_ready=True)
        number = numbers.get()
        try:
            converter = converter or PartConverter(job, lambda rows: answer(rows=rows))
            answer(record=converter.convert(number))
        except (ValueError, OSError) as error:
            answer(error=str(error), kind=kind_of(error))


if __name__ == "__main__":
    main()
