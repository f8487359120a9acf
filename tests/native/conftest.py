"""The kernels are optional: without a compiler there is nothing to test."""

import pytest

from tfrec_models import native


@pytest.fixture(scope="session")
def kernels():
    """Skips where the kernels cannot be compiled."""
    if not native.is_native_available():
        pytest.skip("no native kernels: no C++ compiler, or TFREC_MODELS_NATIVE=0")
