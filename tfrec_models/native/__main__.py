"""`python -m tfrec_models.native`: compiles the kernels now, and says where they are."""

import sys

from tfrec_models.native.build import BuildError, build


def main():
    """Runs the command; returns its exit code."""
    try:
        path = build()
    except BuildError as error:
        print(f"No native kernels: {error}.", file=sys.stderr)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
