"""The compiler flags that are tried for the kernels, in order."""

import platform
from typing import NamedTuple

from tfrec_models import _processor

COMMON = ("-fno-math-errno", "-fPIC")


class Flags(NamedTuple):
    """One rung of the ladder: flags, and what the processor must have to run their code.

    Args:
        name: str, for the log and for names of files.
        options: tuple of str, what the compiler is given beyond `COMMON`.
        needs: frozenset of str, features of the processor as Linux names them in /proc/cpuinfo.
            Flags that leave the choice to the compiler need none.
    """

    name: str
    options: tuple[str, ...]
    needs: frozenset[str] = frozenset()


_V3 = frozenset(["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"])
_V4 = _V3 | frozenset(["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"])
_ARM_V82 = frozenset(["atomics", "crc32", "asimdrdm"])

_X86 = (
    Flags("native", ("-march=native",)),
    # With AVX512-FP16, on Intel's servers since Sapphire Rapids, TensorFlow's copy of Eigen is no
    # valid C++ for g++ 12 (Eigen/src/Core/arch/AVX512/PacketMathFP16.h).
    Flags("native-no-avx512fp16", ("-march=native", "-mno-avx512fp16")),
    Flags("x86-64-v4", ("-march=x86-64-v4",), _V4),
    Flags("x86-64-v3", ("-march=x86-64-v3",), _V3),
    Flags("x86-64", ("-march=x86-64",)),
)
_ARM = (
    Flags("native", ("-mcpu=native",)),
    Flags("armv8.2-a", ("-march=armv8.2-a",), _ARM_V82),
    Flags("armv8-a", ("-march=armv8-a",)),
)
_OTHER = (Flags("native", ("-mcpu=native",)), Flags("default", ()))

_LADDERS = {"x86_64": _X86, "amd64": _X86, "aarch64": _ARM, "arm64": _ARM}


def ladder() -> list[Flags]:
    """Returns the flags whose code this machine's processors can run, the fastest first."""
    features = _processor.features()
    rungs = _LADDERS.get(platform.machine().lower(), _OTHER)
    return [flags for flags in rungs if flags.needs <= features]


def processor() -> str:
    """Returns what -march=native depends on: a home directory may be shared by unlike machines."""
    wanted = ("vendor_id", "cpu family", "model", "flags", "CPU part", "Features")
    lines = {f"{name}: {value}" for name, value in _processor.cpuinfo() if name in wanted}
    return str(sorted(lines)) if lines else f"{platform.machine()} {platform.processor()}"
