"""State dicts: bit for bit there and back, and one error for all that does not fit."""

import keras
import numpy as np
import pytest

from tests.support import oracle
from tests.support.checkpoints import collection, make_any
from tfrec_models.interop.torchrec import (
    load_torchrec_optimizer_state,
    load_torchrec_state_dict,
    torchrec_optimizer_state,
    torchrec_state_dict,
)
from tfrec_models.optimizers import SGD, Adagrad, RowWiseAdagrad

MODEL_CASES = [
    "dlrm_mean",
    "dlrm_criteo_like",
    "dlrm_dcn_basic",
    "dlrm_projection_basic",
    "dlrm_transformer_2layers",
    "deepfm_nn_basic",
    "dlrm_train_step",
]


@pytest.mark.parametrize("name", MODEL_CASES)
def test_round_trip_is_equal_to_the_bit(name):
    """TorchRec's state goes in and comes out: same keys, same order, same bits, same dtype."""
    state = oracle.weights_of(oracle.arrays(name))
    model = make_any(name)
    load_torchrec_state_dict(model, state)
    back = torchrec_state_dict(model)
    assert list(back) == list(state)
    for key, value in state.items():
        assert back[key].dtype == value.dtype
        assert back[key].tobytes() == value.tobytes(), key
    assert sum(value.size for value in state.values()) == sum(
        int(np.prod(variable.shape)) - (variable.shape[1] if "table" in variable.name else 0)
        for variable in model.trainable_variables
    ), "every weight but the stacks' spare rows is in the state dict"


def test_all_faults_in_one_error_and_nothing_changed():
    """Missing, unexpected and misshapen keys are listed together; the weights stay."""
    model = make_any("dlrm_mean")
    model.build()
    before = torchrec_state_dict(model)
    state = dict(before)
    state["over_arch.model.1.bias"] = np.zeros(7)
    del state["dense_arch.model._mlp.0._linear.bias"]
    state["inter_arch.crossnet.bias.0"] = np.zeros(3)
    state["dense_arch.model._mlp.0._linear.weight"] = before[
        "dense_arch.model._mlp.0._linear.weight"
    ].T
    state["over_arch.model.0._mlp.0._linear.bias"] = {"nested": 1}
    with pytest.raises(ValueError, match="does not fit DLRM .*; nothing was changed") as raised:
        load_torchrec_state_dict(model, state)
    message = str(raised.value)
    for line in (
        "Misshapen keys:\n",
        "  over_arch.model.1.bias: (7,), expected (1,)",
        "  dense_arch.model._mlp.0._linear.weight: (5, 7), expected (7, 5)",
        "  over_arch.model.0._mlp.0._linear.bias: dict, expected (6,)",
        "Missing keys:\n  dense_arch.model._mlp.0._linear.bias",
        "Unexpected keys:\n  inter_arch.crossnet.bias.0",
    ):
        assert line in message
    for key, value in torchrec_state_dict(model).items():
        np.testing.assert_array_equal(value, before[key])


def test_not_strict_takes_what_fits():
    """strict=False ignores missing and unexpected keys, as torch's does, but no wrong shape."""
    model = make_any("dlrm_mean")
    load_torchrec_state_dict(
        model, {"over_arch.model.1.bias": np.ones(1), "other": np.ones(2)}, strict=False
    )
    assert torchrec_state_dict(model)["over_arch.model.1.bias"].tolist() == [1.0]
    with pytest.raises(ValueError, match="Misshapen"):
        load_torchrec_state_dict(model, {"over_arch.model.1.bias": np.ones(2)}, strict=False)


def test_a_layer_without_counterpart():
    """A Keras layer TorchRec does not have."""
    with pytest.raises(TypeError, match="no counterpart of Dropout"):
        torchrec_state_dict(keras.layers.Dropout(0.1))


@pytest.mark.parametrize(
    ("make_optimizer", "columns"), [(RowWiseAdagrad, ()), (lambda: Adagrad(0.1), (4,))]
)
def test_optimizer_state_round_trip(make_optimizer, columns):
    """Moments go into the rows of their table and come back bit for bit."""
    layer, optimizer = collection(), make_optimizer()
    state = {
        f"{name}.weight": {
            f"{name}.weight.momentum_1": np.random.default_rng(rows)
            .random((rows, *columns))
            .astype("float32")
        }
        for name, rows in (("t1", 5), ("t2", 3))
    }
    load_torchrec_optimizer_state(layer, optimizer, state)
    back = torchrec_optimizer_state(layer, optimizer)
    assert list(back) == list(state)
    for key, moments in state.items():
        np.testing.assert_array_equal(back[key][f"{key}.momentum_1"], moments[f"{key}.momentum_1"])
    with pytest.raises(ValueError, match=r"(?s)t1.weight.momentum_1: \(2,\).*Missing keys:\n  t2"):
        load_torchrec_optimizer_state(
            layer, optimizer, {"t1.weight": {"t1.weight.momentum_1": np.ones(2)}}
        )


@pytest.mark.parametrize(
    "name", ["fused_rowwise_adagrad", "fused_adagrad", "fused_rowwise_adagrad_mean"]
)
def test_recorded_optimizer_state_fits(name):
    """What FBGEMM's optimizers hold after a step is what we take and give back."""
    case, recorded = oracle.index()[name], oracle.arrays(name)
    layer = oracle.collection(case)
    optimizer = Adagrad(0.1) if name == "fused_adagrad" else RowWiseAdagrad()
    moments = oracle.weights_of(recorded, "step0/state/")
    state = {key.removesuffix(".momentum_1"): {key: value} for key, value in moments.items()}
    load_torchrec_optimizer_state(layer, optimizer, state)
    for key, entry in torchrec_optimizer_state(layer, optimizer).items():
        np.testing.assert_array_equal(entry[f"{key}.momentum_1"], moments[f"{key}.momentum_1"])


def test_optimizers_without_counterpart():
    """Another rule, or a layer without tables."""
    with pytest.raises(TypeError, match="received SGD; use Adagrad or RowWiseAdagrad"):
        torchrec_optimizer_state(collection(), SGD(0.1))
    with pytest.raises(TypeError, match="a model with one, received Dense"):
        torchrec_optimizer_state(keras.layers.Dense(1), RowWiseAdagrad())
