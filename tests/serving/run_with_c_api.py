"""Runs the cases of test_outside_python through TensorFlow's C API."""

import pickle
import sys

from benchmarks.c_api import ServingError, Session


def main(source, target):
    """Reads cases from one pickle, writes outputs or errors into another."""
    with open(source, "rb") as file:
        exports = pickle.load(file)
    results = {}
    for family, (path, tensors, cases) in exports.items():
        session = Session(path, tensors)
        for case, (signature, inputs) in cases.items():
            try:
                results[family, case] = session.run(signature, inputs)
            except ServingError as error:
                results[family, case] = (error.code, str(error))
    if "tensorflow" in sys.modules:
        raise RuntimeError("Python TensorFlow was imported.")
    with open(target, "wb") as file:
        pickle.dump(results, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
