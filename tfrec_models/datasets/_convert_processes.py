"""The parts of a conversion in processes of this machine."""

import concurrent.futures
import contextlib
import queue
import threading

from tfrec_models.datasets import _parts
from tfrec_models.datasets._convert_part import PartConverter
from tfrec_models.datasets._convert_worker import Worker
from tfrec_models.datasets._progress import Progress

_DONE = object()


class Processes:
    """Converts parts of a job in this process and some more.

    Args:
        job: `Job`.
        num_processes: int, parts that are converted at a time.
        is_shown: bool, whether to show progress.

    Raises:
        ValueError: where the schema is not fitted, or not of this log.
    """

    def __init__(self, job, num_processes, is_shown):
        self._job, self._num_processes, self._is_shown = job, num_processes, is_shown
        self._stopped = threading.Event()
        # Numbers of rows, (number, record) of finished parts, errors, and _DONE of each thread.
        self._messages = queue.SimpleQueue()
        self._converter = PartConverter(job, self._count_rows)

    def records(self, numbers):
        """Yields (number, record) of each part, as they are finished.

        Raises:
            ValueError, OSError, RuntimeError: what the first part that fails raised.
        """
        parts = self._job.parts
        left = queue.SimpleQueue()
        for number in numbers:
            left.put(number)
        size = sum(part.size for part in parts)
        size_left = sum(parts[number].size for number in numbers)
        # A process takes seconds to start, as long as it takes for a part or two.
        worth = max(size_left // (3 * _parts.PART_BYTES), 1)
        count = min(self._num_processes, len(numbers), worth)
        progress = Progress("convert", size, self._is_shown, size - size_left)
        workers = [Worker(self._job, self._messages.put) for _ in range(count - 1)]
        pool = concurrent.futures.ThreadPoolExecutor(count)
        try:
            for converting in (*workers, self._converter):
                pool.submit(self._run_parts, converting, left)
            for message in self._told(count):
                if isinstance(message, int):
                    progress.add(message, 0)
                else:
                    progress.add(0, parts[message[0]].size)
                    yield message
        finally:
            self._stopped.set()
            with contextlib.ExitStack() as stack:
                stack.callback(progress.end)
                stack.callback(pool.shutdown)
                for worker in workers:
                    stack.callback(worker.end)

    def _run_parts(self, converting, left):
        """Converts parts until none is left, in a thread."""
        try:
            while not self._stopped.is_set():
                number = left.get_nowait()
                self._messages.put((number, converting.convert(number)))
        except queue.Empty:
            self._messages.put(_DONE)
        except BaseException as error:  # noqa: B036 It is raised again where messages are read.
            self._messages.put(error)

    def _told(self, count):
        """Yields the messages of so many threads; raises what one of them raised."""
        while count:
            message = self._messages.get()
            if isinstance(message, BaseException):
                raise message
            if message is _DONE:
                count -= 1
            else:
                yield message

    def _count_rows(self, rows):
        if self._stopped.is_set():
            raise _Stopped("The conversion was stopped.")
        self._messages.put(rows)


class _Stopped(Exception):
    """Another part ended the conversion."""
