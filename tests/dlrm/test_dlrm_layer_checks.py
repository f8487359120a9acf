"""DLRM and its parts pass the shared check."""

import pytest

from tests.check_layer import check_layer
from tests.support.data import bags, dense, dense_and_sparse, model_inputs
from tests.support.models import feature_in_two_tables
from tfrec_models import DLRM, dlrm


def make_dlrm():
    """A DLRM with a feature in two tables."""
    return DLRM(feature_in_two_tables(), 5, [6, 4], [5, 1])


@pytest.mark.parametrize("form", ["ragged", "all_empty", "single"])
def test_dlrm(form, tmp_path):
    """The whole model, with a feature in two tables (which TorchRec's cannot)."""
    check_layer(make_dlrm, model_inputs(form), lambda size: (size, 1), tmp_path)


def test_sparse_arch(tmp_path):
    """(batch, F, D), F = 3 embeddings of 2 features."""
    make = lambda: dlrm.SparseArch(feature_in_two_tables())  # noqa: E731
    check_layer(make, bags("ragged"), lambda size: (size, 3, 4), tmp_path)


def test_dense_arch(tmp_path):
    """(batch, D)."""
    check_layer(lambda: dlrm.DenseArch(5, [6, 4]), dense(5), lambda size: (size, 4), tmp_path)


def test_over_arch(tmp_path):
    """(batch, logits)."""
    check_layer(lambda: dlrm.OverArch(5, [6, 2]), dense(5), lambda size: (size, 2), tmp_path)


def test_interaction_arch(tmp_path):
    """(batch, D + F + F (F - 1) / 2), no weights."""
    check_layer(
        lambda: dlrm.InteractionArch(3),
        dense_and_sparse,
        lambda size: (size, 10),
        tmp_path,
        has_weights=False,
    )
