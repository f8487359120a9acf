"""Answers the questions of `runners.Runner` through TensorFlow's C API."""

import sys
from multiprocessing.connection import Connection

from benchmarks.c_api import ServingError, Session


def main(handle):
    """Answers until the other end is closed."""
    pipe = Connection(int(handle))
    while True:
        try:
            number, path, tensors, cases = pipe.recv()
        except EOFError:
            return
        session = Session(path, tensors)
        answers = {case: _run(session, *request) for case, request in cases.items()}
        if "tensorflow" in sys.modules:
            raise RuntimeError("Python TensorFlow was imported.")
        pipe.send((number, answers))


def _run(session, signature, inputs):
    try:
        return session.run(signature, inputs)
    except ServingError as error:
        return (error.code, str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
