"""Every layer of `tfrec_models.layers` passes the shared check."""

import pytest

from tests.check_layer import check_layer
from tests.support.data import bags, dense
from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig, layers

CASES = {
    "perceptron": (lambda: layers.Perceptron(5, 4), dense(5), lambda size: (size, 4)),
    "perceptron_no_bias": (
        lambda: layers.Perceptron(5, 4, bias=False, activation="sigmoid"),
        dense(5),
        lambda size: (size, 4),
    ),
    "mlp": (lambda: layers.MLP(5, [4, 3]), dense(5), lambda size: (size, 3)),
    "mlp_swish_layernorm": (
        lambda: layers.MLP(5, [4, 3], activation="swish_layernorm", activation_on_last=False),
        dense(5),
        lambda size: (size, 3),
    ),
    "swish_layernorm": (lambda: layers.SwishLayerNorm(5), dense(5), lambda size: (size, 5)),
}


@pytest.mark.parametrize("name", CASES)
def test_layer(name, tmp_path):
    """Shapes, gradients, XLA, round trips and half precision."""
    check_layer(*CASES[name], tmp_path)


@pytest.mark.parametrize(
    "form, pooling, id_policy",
    [
        ("ragged", "SUM", "error"),
        ("ragged", "MEAN", "oov"),
        ("all_empty", "MEAN", "error"),
        ("single", "SUM", "oov"),
    ],
)
def test_embedding_bag_collection(form, pooling, id_policy, tmp_path):
    """The collection passes for bags of any length, none, and exactly one."""

    def make():
        return EmbeddingBagCollection(
            tables=[
                EmbeddingBagConfig(7, 3, "t1", feature_names=["f1"], id_policy=id_policy),
                EmbeddingBagConfig(9, 4, "t2", feature_names=["f2", "f1"], pooling=pooling),
            ]
        )

    check_layer(make, bags(form), lambda size: (size, 11), tmp_path)
