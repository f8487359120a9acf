"""`python -m tfrec_models.serving`: makes new versions of exported models."""

import argparse
import sys

from tfrec_models.serving.apply_delta import apply_delta


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tfrec_models.serving", description="Works on exported models."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "apply",
        help="make the next version of a model of the one before and a delta",
        description="Writes the version that a delta, which tfrec_models.serving.export_delta "
        "wrote, makes of its base. It appears whole, or not at all.",
    )
    command.add_argument("base", help="the version that the delta was made on: models/ranker/1")
    command.add_argument("delta", help="the delta")
    command.add_argument("out", help="the new version: models/ranker/2")
    chosen = parser.parse_args(arguments)
    try:
        print(apply_delta(chosen.base, chosen.delta, chosen.out))
    except (ValueError, TypeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
