"""The C++ compilers of this machine."""

import dataclasses
import os
import pathlib
import shlex
import shutil

import tensorflow as tf

from tfrec_models.native import _limited
from tfrec_models.native._errors import BuildError
from tfrec_models.native._flags import COMMON, Flags
from tfrec_models.native._limited import Deadline

SOURCES = pathlib.Path(__file__).with_name("kernels")
# What is compiled at once, and how it is optimized. The first needs TensorFlow's headers, which
# take the longest, and has none of the loops whose speed matters.
UNITS = {"operations": "-O1", "updates": "-O3", "cores": "-O3"}
# The longest that a compiler may take to say its version.
VERSION_SECONDS = 20.0


def find_compilers() -> list[tuple[str, ...]]:
    """Returns the commands of the C++ compilers there are: $CXX alone if it is one, else all."""
    try:
        chosen = shlex.split(os.environ.get("CXX", ""))
    except ValueError:
        # Unbalanced quotes name no program.
        chosen = []
    if chosen and (found := shutil.which(chosen[0])):
        return [(found, *chosen[1:])]
    by_file: dict[str, str] = {}
    for path in filter(None, map(shutil.which, ("g++", "clang++", "c++"))):
        # c++ is mostly another name of one of the others.
        by_file.setdefault(os.path.realpath(path), path)
    return [(path,) for path in by_file.values()]


@dataclasses.dataclass(frozen=True)
class Compiler:
    """A C++ compiler as it was when it was looked at.

    Args:
        command: tuple of str, the program and the arguments it is always given.
        version: str, whatever it prints for `--version`.
        file: tuple of int, by which a program put in its place is noticed.
    """

    command: tuple[str, ...]
    version: str
    file: tuple[int, ...]

    @classmethod
    def look_at(cls, command: tuple[str, ...], deadline: Deadline) -> "Compiler":
        """Returns what is at `command` now.

        Raises:
            BuildError: if it does not answer.
        """
        seconds = min(VERSION_SECONDS, deadline.left())
        try:
            code, version = _limited.run([*command, "--version"], seconds)
            found = os.stat(command[0])
        except OSError as error:
            raise BuildError(f"{command[0]} cannot be run: {error}") from error
        if code is None:
            raise BuildError(f"{command[0]} --version did not end within {seconds:.0f} seconds")
        return cls(command, version, (found.st_ino, found.st_size, found.st_mtime_ns))

    @property
    def name(self) -> str:
        """The path of the program."""
        return self.command[0]

    def compile(self, flags: Flags, path: pathlib.Path, deadline: Deadline) -> None:
        """Compiles the kernels.

        Args:
            flags: `Flags`.
            path: `pathlib.Path` of the library to write, in a directory where nothing else is.
            deadline: `Deadline`.

        Raises:
            BuildError: if that fails.
        """
        objects = [path.with_name(f"{path.stem}.{unit}.o") for unit in UNITS]
        begin = [*self.command, *COMMON, *flags.options]
        self._run(
            [
                [*begin, level, "-c", str(SOURCES / f"{unit}.cc"), "-o", str(made)]
                + tf.sysconfig.get_compile_flags()
                for (unit, level), made in zip(UNITS.items(), objects, strict=True)
            ],
            objects,
            deadline,
        )
        link = [*begin, "-shared", *map(str, objects), "-o", str(path)]
        self._run([link + tf.sysconfig.get_link_flags()], [path], deadline)

    def _run(self, commands, written, deadline):
        """Runs commands at once, each of which writes a file."""
        for path in written:
            # Another compiler may have left one.
            path.unlink(missing_ok=True)
        try:
            results = _limited.run_all(commands, deadline.left())
        except OSError as error:
            raise BuildError(f"{self.name} cannot be run: {error}") from error
        for code, output in results:
            if code is None:
                raise BuildError(
                    f"{self.name} had not ended after the {deadline.seconds:.0f} seconds it is "
                    "given"
                )
            if code:
                raise BuildError(f"{self.name} failed: {_reason(code, output)}")
        for path in written:
            if not path.is_file() or not path.stat().st_size:
                raise BuildError(f"{self.name} said that it was done and wrote nothing")


def _reason(code, output):
    if code < 0:
        return f"it was ended by signal {-code}"
    lines = output.splitlines()
    first = next((line for line in lines if "error" in line), *lines[:1] or [""])
    readable = "".join(character for character in first.strip() if character.isprintable())
    return readable[:300] or f"exit code {code}"
