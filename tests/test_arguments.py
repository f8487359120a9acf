"""Sizes are integers of Python or NumPy, everywhere."""

import json

import numpy as np
import pytest

from tests.support.serving import FAMILIES
from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig, dlrm, experimental, layers
from tfrec_models._checks.arguments import check_integer, check_sizes
from tfrec_models.deepfm import DeepFMRanker, SimpleDeepFMNN

N = np.int64


def tables():
    return EmbeddingBagCollection([EmbeddingBagConfig(N(9), np.uint8(4), "t")])


SIZES = np.array([6, 4])
OVER = (N(8), N(1))
MADE = {
    "dlrm": lambda: dlrm.DLRM(tables(), N(3), SIZES, OVER),
    "dlrm_dcn": lambda: dlrm.DLRM_DCN(tables(), N(3), SIZES, OVER, N(2), N(3)),
    "dlrm_projection": lambda: dlrm.DLRM_Projection(
        tables(), N(3), SIZES, OVER, np.array([5, 8]), np.array([5, 12])
    ),
    "dlrm_transformer": lambda: experimental.DLRM_Transformer(
        tables(), N(3), SIZES, OVER, N(2), N(1)
    ),
    "simple_deepfm_nn": lambda: SimpleDeepFMNN(N(3), tables(), N(6), N(3)),
    "deepfm_ranker": lambda: DeepFMRanker(tables(), N(3), SIZES),
    "mixture": lambda: layers.LowRankMixtureCrossNet(N(4), N(2), N(2), N(2)),
    "vector": lambda: layers.VectorCrossNet(N(4), N(2)),
    "swish": lambda: layers.SwishLayerNorm(N(4)),
}


@pytest.mark.parametrize("name", MADE)
def test_numpy_sizes_make_what_json_holds(name):
    """The config of what was made from NumPy's integers is plain."""
    made = MADE[name]()
    assert json.loads(json.dumps(made.get_config())) == made.get_config()


def test_every_family_is_made():
    """A family added to the models is tried here too."""
    assert {name for name in FAMILIES if "weighted" not in name} <= set(MADE)


@pytest.mark.parametrize("value", [0, -1, True, 1.0, "1", None, np.float32(2), np.bool_(True)])
def test_what_is_no_positive_integer_is_refused(value):
    """The message shows what was received."""
    with pytest.raises(ValueError, match="rows must be a positive integer, received") as error:
        check_integer("rows", value, 1, "a positive integer")
    assert repr(value) in str(error.value)


@pytest.mark.parametrize("values", ["12", 3, [3, 0], [2.5], None])
def test_what_is_no_list_of_sizes_is_refused(values):
    """The message shows the whole list."""
    with pytest.raises(ValueError, match="sizes must be a list of positive integers, received"):
        check_sizes("sizes", values)
