"""`python -m tfrec_models.native`: compiles the kernels now, and says where they are."""

import argparse
import logging
import sys

from tfrec_models.native.build import SECONDS, BuildError, CacheError, Deadline, build


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tfrec_models.native",
        description="Compiles the native kernels for training on CPU unless the cache has them, "
        "and prints the path of the library. The exit code is 1 where that fails. The cache is "
        "tfrec_models/native in $XDG_CACHE_HOME or ~/.cache; the compiler is $CXX, g++, clang++ or "
        "c++. Otherwise the first step of training does it.",
    )
    parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        library = build(Deadline(SECONDS))
    except (BuildError, CacheError) as error:
        print(f"No native kernels: {error}.", file=sys.stderr)
        return 1
    print(library.path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
