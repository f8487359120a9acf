"""Computation whose output alone is wanted, by TensorFlow's own operations alone."""

import contextlib

from tfrec_models.layers.xla import xla_disabled
from tfrec_models.native import native_disabled

_forward_only = False


def is_forward_only():
    """Returns whether the computation is traced for its output alone."""
    return _forward_only


@contextlib.contextmanager
def forward_only():
    """Within it, layers are called or traced for their output: in `predict`, and for exports.

    They use neither XLA nor native kernels, so that what is traced runs anywhere, and lookups may
    branch on the ids, which a gradient would pay for.
    """
    global _forward_only
    before, _forward_only = _forward_only, True
    try:
        with xla_disabled(), native_disabled():
            yield
    finally:
        _forward_only = before
