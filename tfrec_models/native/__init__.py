"""Optional C++ kernels for training on CPU."""

from tfrec_models.native.library import is_native_available
from tfrec_models.native.switch import is_native_enabled, native_disabled, set_native_enabled

__all__ = [
    "is_native_available",
    "is_native_enabled",
    "native_disabled",
    "set_native_enabled",
]
