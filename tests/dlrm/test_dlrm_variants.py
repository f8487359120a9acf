"""DLRM's variants: layers of one's own in them, and what their constructors refuse."""

import keras
import pytest

from tests.support.data import bags, dense, dense_and_sparse
from tests.support.models import feature_in_two_tables, unequal_dims
from tfrec_models import DLRM, dlrm
from tfrec_models.layers import LowRankCrossNet


def test_any_layer_can_interact():
    """A branch or cross network need not be ours: Keras layers are built to the right width."""
    interaction = dlrm.InteractionProjectionArch(
        3, keras.layers.Dense(8), keras.Sequential([keras.layers.Dense(4)])
    )
    model = DLRM(feature_in_two_tables(), 5, [4], [5, 1], inter_arch=interaction)
    assert model(dense(5)(2)[0], bags("ragged")(2)[0]).shape == (2, 1)
    crossed = dlrm.InteractionDCNArch(3, keras.layers.Dense(7))
    assert crossed(*dense_and_sparse(2)).shape == (2, 7)


WRONG = [
    (
        lambda: dlrm.DLRM_DCN(feature_in_two_tables(), 5, [4], [5, 1], -1, 3),
        "dcn_num_layers must be an integer, 0 or above, received -1",
    ),
    (
        lambda: dlrm.DLRM_DCN(feature_in_two_tables(), 5, [4], [5, 1], 1, 0),
        "dcn_low_rank_dim must be a positive integer, received 0",
    ),
    (
        lambda: dlrm.DLRM_DCN(unequal_dims(), 5, [4], [5, 1], 1, 1),
        r"same embedding_dim, received {'t1': 4, 't2': 3}",
    ),
    (
        lambda: dlrm.DLRM_DCN(feature_in_two_tables(), 5, [6], [5, 1], 1, 1),
        r"must end in the tables' embedding_dim 4, received dense_arch_layer_sizes=\[6\]",
    ),
    (
        lambda: dlrm.DLRM_Projection(feature_in_two_tables(), 5, [4], [5, 1], [6], [8]),
        "interaction_branch1 must end in a multiple of the embedding_dim D = 4, received 6 .*Use 8",
    ),
    (
        lambda: dlrm.DLRM_Projection(feature_in_two_tables(), 5, [4], [5, 1], [8], [3, 0]),
        r"interaction_branch2_layer_sizes must be a list of positive .* received \[3, 0\]",
    ),
    (
        lambda: dlrm.InteractionDCNArch(0, LowRankCrossNet(4, 1)),
        "num_sparse_features must be a positive integer, received 0",
    ),
    (
        lambda: dlrm.InteractionDCNArch(2, LowRankCrossNet(16, 1))(*dense_and_sparse(2)),
        "made for num_sparse_features=2, received 3",
    ),
    (
        lambda: dlrm.InteractionDCNArch(3, LowRankCrossNet(12, 1))(*dense_and_sparse(2)),
        "made for 12 input columns, received shape",
    ),
    (
        lambda: dlrm.InteractionProjectionArch(3, dlrm.DenseArch(16, [8]), dlrm.DenseArch(16, [7]))(
            *dense_and_sparse(2)
        ),
        "interaction_branch2 must end in a multiple",
    ),
]


@pytest.mark.parametrize(("act", "message"), WRONG)
def test_wrong_arguments_are_named(act, message):
    """Constructor and call say what was received, what was expected and what to do."""
    with pytest.raises(ValueError, match=message):
        act()


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: dlrm.DLRM_DCN("tables", 5, [4], [5, 1], 1, 1), "EmbeddingBagCollection, .* str"),
        (lambda: dlrm.InteractionDCNArch(3, abs), "crossnet must be a Keras layer, such as"),
        (
            lambda: dlrm.InteractionProjectionArch(3, dlrm.DenseArch(4, [4]), None),
            "interaction_branch2 must be a Keras layer, such as DenseArch, received NoneType",
        ),
    ],
)
def test_wrong_types_are_named(act, message):
    """Something other than a layer or a collection."""
    with pytest.raises(TypeError, match=message):
        act()
