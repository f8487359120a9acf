"""DLRM and its parts pass the shared check."""

import pytest
import tensorflow as tf

from tests.check_layer import check_layer
from tests.layers.test_layer_checks import bags, dense
from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig, dlrm


def collection():
    """Two tables over two features, one of which is in both."""
    return EmbeddingBagCollection(
        tables=[
            EmbeddingBagConfig(7, 4, "t1", feature_names=["f1"]),
            EmbeddingBagConfig(9, 4, "t2", feature_names=["f2", "f1"]),
        ]
    )


def dense_and_sparse(size):
    """Inputs of an interaction."""
    return [
        tf.random.stateless_normal((size, 4), [size, 2]),
        tf.random.stateless_normal((size, 3, 4), [size, 3]),
    ]


def model_inputs(form):
    """Inputs of a model."""
    return lambda size: [
        {"dense_features": dense(5)(size)[0], "sparse_features": bags(form)(size)[0]}
    ]


def make_dlrm():
    """A DLRM with a feature in two tables."""
    return DLRM(collection(), 5, [6, 4], [5, 1])


@pytest.mark.parametrize("form", ["ragged", "all_empty", "single"])
def test_dlrm(form, tmp_path):
    """The whole model, with a feature in two tables (which TorchRec's cannot)."""
    check_layer(make_dlrm, model_inputs(form), lambda size: (size, 1), tmp_path)


def test_sparse_arch(tmp_path):
    """(batch, F, D), F = 3 embeddings of 2 features."""
    make = lambda: dlrm.SparseArch(collection())  # noqa: E731
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
