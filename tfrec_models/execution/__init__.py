"""How layers run: XLA, native kernels, portable inference.

One value, an `Execution`, says how the layers of one function run. It is read where the function is
traced (or called eagerly) and belongs to that trace and its thread alone.
"""

from tfrec_models.execution.execution import (
    Execution,
    changed,
    current,
    portable,
    set_default,
    using,
)
from tfrec_models.execution.switches import (
    is_xla_enabled,
    set_xla_enabled,
    xla_disabled,
)

__all__ = [
    "Execution",
    "changed",
    "current",
    "is_xla_enabled",
    "portable",
    "set_default",
    "set_xla_enabled",
    "using",
    "xla_disabled",
]
