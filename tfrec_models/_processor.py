"""What the processors of this machine can do, as Linux tells it."""

import functools
import pathlib


def features() -> frozenset[str]:
    """What every processor of this machine has; nothing where that is not known."""
    of_each = [set(value.split()) for name, value in cpuinfo() if name in ("flags", "Features")]
    return frozenset(set.intersection(*of_each)) if of_each else frozenset()


@functools.cache
def multiplies_bfloat16() -> bool:
    """Whether it has instructions for products of bfloat16 that TensorFlow uses."""
    return not features().isdisjoint(("avx512_bf16", "amx_bf16"))


def cpuinfo() -> list[tuple[str, str]]:
    """Names and values of /proc/cpuinfo; none where there is no such file."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        # Not Linux.
        return []
    pairs = (line.partition(":") for line in text.splitlines())
    return [(name.strip(), value.strip()) for name, colon, value in pairs if colon]
