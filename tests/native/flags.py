#!/usr/bin/env python
"""Compiles the kernels with each set of flags and runs their tests with it.

    python tests/native/flags.py [--but-first | NAME ...]

NAME: of flags in tfrec_models/native/_flags.py; by default all that this machine's processor can
run; with --but-first all but the fastest, which the whole suite is run with. A stand-in for the
compiler refuses all other flags, so each library is found by going down the ladder, as on a machine
where the faster ones fail. The exit code is 1 where one fails. A set takes about a minute on two
quiet cores.
"""

import os
import pathlib
import shlex
import stat
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tfrec_models.native._flags import Flags, ladder  # noqa: E402
from tfrec_models.native.build import find_compilers  # noqa: E402

TESTS = [f"tests/native/test_{name}.py" for name in ("lookup", "pair_products", "updates")]

COMPILER = """#!/bin/sh
# Compiles with the flags that are wanted, and no others.
for flag; do
    case "$flag" in -march=*|-mcpu=*|-mno-*) given="$given $flag";; esac
done
if [ "$1" != --version ] && [ "$given" != {wanted} ]; then
    echo "error: other flags are wanted:$given" >&2
    exit 1
fi
exec {command} "$@"
"""


def run(flags: Flags, command: tuple[str, ...], directory: pathlib.Path) -> bool:
    """Compiles with these flags alone and runs the tests; returns whether all is well."""
    compiler = directory / "compiler"
    wanted = "".join(f" {option}" for option in flags.options)
    compiler.write_text(COMPILER.format(wanted=shlex.quote(wanted), command=shlex.join(command)))
    compiler.chmod(stat.S_IRWXU)
    environment = {
        **os.environ,
        "CXX": str(compiler),
        "PYTHONPATH": str(ROOT),
        "TFREC_MODELS_NATIVE": "1",
        "XDG_CACHE_HOME": str(directory / "cache"),
    }
    steps = [
        [sys.executable, "-m", "tfrec_models.native"],
        [sys.executable, "-m", "pytest", "-q", "-n", "0", *TESTS],
    ]
    for step in steps:
        if subprocess.run(step, cwd=ROOT, env=environment).returncode:
            return False
    built = list((directory / "cache" / "tfrec_models" / "native").glob("*.so"))
    return len(built) == 1 and f".{flags.name}." in built[0].name


def main(names: list[str]) -> int:
    """Runs the command; returns its exit code."""
    if not find_compilers():
        print("There is no C++ compiler.", file=sys.stderr)
        return 1
    known = {flags.name: flags for flags in ladder()}
    if names == ["--but-first"]:
        names = list(known)[1:]
    if unknown := set(names) - set(known):
        print(f"Unknown or not for this processor: {sorted(unknown)}.", file=sys.stderr)
        return 1
    failed = []
    for name in names or known:
        with tempfile.TemporaryDirectory() as directory:
            print(f"== {name}: {' '.join(known[name].options)}", flush=True)
            if not run(known[name], find_compilers()[0], pathlib.Path(directory)):
                failed.append(name)
    print(f"Failed: {failed}" if failed else "All flags pass.")
    return len(failed) > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
