"""Computation with TensorFlow's own operations alone."""

import contextlib

from tfrec_models.layers.xla import xla_disabled
from tfrec_models.native import native_disabled


@contextlib.contextmanager
def stock_ops():
    """Within it, layers use neither XLA nor native kernels: what is traced runs anywhere."""
    with xla_disabled(), native_disabled():
        yield
