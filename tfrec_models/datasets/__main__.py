"""`python -m tfrec_models.datasets`: converts a log to ready ids, or describes what is in it."""

import argparse
import sys

from tfrec_models.datasets import Schema, convert, describe


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tfrec_models.datasets", description="Works on logs of clicks."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    _add_convert(commands)
    _add_describe(commands)
    chosen = parser.parse_args(arguments)
    try:
        return chosen.run(chosen)
    except (ValueError, TypeError, OSError, RuntimeError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _add_source(command):
    command.add_argument(
        "source", nargs="+", help="files, globs, folders or URIs: Parquet, CSV, TSV or TFRecord"
    )
    command.add_argument("--schema", required=True, help="what Schema.save wrote: .yaml or .json")
    command.add_argument("--format", help="parquet, csv or tfrecord; else by the files' endings")
    command.add_argument("--delimiter", help="of text files; else a tab or a comma, as they have")
    command.add_argument("--quiet", action="store_true", help="show no progress")


def _add_convert(commands):
    command = commands.add_parser(
        "convert",
        help="write a log as Parquet files of ready ids and numbers",
        description="Writes a log as Parquet files of ready ids and numbers, with a schema.yaml "
        "to read them by, a manifest.json with counts and checksums, and a rejected.jsonl with "
        "the rows that are not as the schema declares. Killed and started again it continues where "
        "it was, with the same result.",
    )
    _add_source(command)
    command.add_argument("--out", required=True, help="the folder to write to")
    command.add_argument("--processes", type=int, help="parts at a time; else one a core")
    command.add_argument(
        "--max-rejected", type=float, default=0.0, help="the share of rows that may be rejected"
    )
    command.add_argument("--runner", help="of Apache Beam, for several machines: DirectRunner, ..")
    command.add_argument(
        "--runner-option",
        action="append",
        default=[],
        help="an option of the runner, such as --runner-option=--direct_num_workers=2",
    )
    command.set_defaults(run=_convert)


def _convert(chosen):
    manifest = convert(
        chosen.source,
        Schema.load(chosen.schema),
        chosen.out,
        num_processes=chosen.processes,
        max_rejected=chosen.max_rejected,
        progress=not chosen.quiet,
        runner=chosen.runner,
        runner_options=chosen.runner_option,
        format=chosen.format,
        delimiter=chosen.delimiter,
    )
    print(
        f"{chosen.out}: {manifest['rows']:,} rows in {len(manifest['files'])} files, "
        f"{manifest['rejected']:,} rejected"
    )
    return 0


def _add_describe(commands):
    command = commands.add_parser(
        "describe",
        help="show what is in a log",
        description="Shows what a person checks first in a log: rows, label rate, missing values, "
        "distinct ids and how often they are seen, lengths of bags, memory of each table.",
    )
    _add_source(command)
    command.add_argument("--dim", type=int, default=16, help="columns of each table")
    command.add_argument("--html", help="a file to write the same to, with plots")
    command.set_defaults(run=_describe)


def _describe(chosen):
    found = describe(
        chosen.source,
        Schema.load(chosen.schema),
        chosen.dim,
        progress=not chosen.quiet,
        format=chosen.format,
        delimiter=chosen.delimiter,
    )
    print(found)
    if chosen.html:
        found.save_html(chosen.html)
    return 0


if __name__ == "__main__":
    sys.exit(main())
