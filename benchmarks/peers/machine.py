"""What a result is a result of."""

import os
import pathlib
import re
import subprocess

# Those that decide how fast products are.
_UNITS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")


def machine():
    """The processor, its fastest unit for products and the number of cores, as one str."""
    text = pathlib.Path("/proc/cpuinfo").read_text()
    name = re.search(r"model name\s*: (.*)", text)[1].replace(" Processor", "")
    flags = re.search(r"flags\s*: (.*)", text)[1].split()
    unit = next((unit for unit in _UNITS if unit in flags), "no AVX")
    return f"{name}, {unit}, {os.cpu_count()} cores"


def commit():
    """The commit of this checkout, with "+" where files differ from it."""

    def git(*arguments):
        folder = pathlib.Path(__file__).parent
        return subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain") else "")
