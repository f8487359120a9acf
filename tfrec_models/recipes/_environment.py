"""Where and on what a run was made."""

import os
import pathlib
import platform
import subprocess
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrec_models._version import __version__
from tfrec_models.datasets.checksums import checksums
from tfrec_models.recipes.build_data import PARTS
from tfrec_models.recipes.recipe import Recipe


def environment_of(recipe: Recipe) -> dict[str, Any]:
    """Versions, machine, seed and data files, as plain data."""
    return {
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
            "tfrec_models": __version__,
        },
        "commit": _commit(),
        "machine": processor_name(),
        "cores": cores(),
        "devices": [device.device_type for device in tf.config.list_physical_devices()],
        "seed": recipe.seed,
        "data": {
            part: checksums(files)
            for part in PARTS
            if (files := getattr(recipe.data, part)) is not None
        },
    }


def processor_name() -> str:
    """The processor's name, such as "AMD EPYC 7763", or its architecture."""
    information = pathlib.Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _commit():
    """The commit of the clone that the package is imported from; None outside one."""
    folder = pathlib.Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return None
    try:
        found = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
