"""Iterators that run ahead in threads, and end with the one who reads them."""

import collections
import concurrent.futures
import queue
import threading

_DONE = object()


def ahead(iterator, depth=2):
    """Yields what `iterator` does, `depth` items ahead of the reader, in a thread."""
    items = queue.Queue(depth)
    stopped = threading.Event()

    def put(item):
        while not stopped.is_set():
            try:
                items.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def run():
        try:
            for item in iterator:
                put((item, None))
                if stopped.is_set():
                    break
        except BaseException as error:  # noqa: B036 It is raised again where the items are read.
            put((None, error))
        else:
            put((_DONE, None))
        finally:
            iterator.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while True:
            item, error = items.get()
            if error is not None:
                raise error
            if item is _DONE:
                return
            yield item
    finally:
        stopped.set()
        thread.join()


def mapped(function, iterator, num_threads):
    """Yields `function(item)` for each item, in order, computed in threads a little ahead."""
    with concurrent.futures.ThreadPoolExecutor(num_threads) as pool:
        pending = collections.deque()
        try:
            for item in iterator:
                pending.append(pool.submit(function, item))
                if len(pending) > num_threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
            iterator.close()


def in_turn(iterators, cycle):
    """Yields items of `cycle` iterators in turn, opening the next one where one ends."""
    waiting = iter(iterators)
    turn = collections.deque()
    try:
        while True:
            while len(turn) < cycle and (opened := next(waiting, None)) is not None:
                turn.append(opened)
            if not turn:
                return
            current = turn.popleft()
            item = next(current, _DONE)
            if item is not _DONE:
                # Before the item is returned, so that `finally` closes this iterator too.
                turn.append(current)
                yield item
    finally:
        for opened in turn:
            opened.close()
