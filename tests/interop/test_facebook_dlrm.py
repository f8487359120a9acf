"""State dicts of facebookresearch/dlrm against its forward pass in NumPy."""

import numpy as np
import pytest

from tfrec_models import DLRM, DLRMTrain, EmbeddingBagCollection, EmbeddingBagConfig
from tfrec_models.dlrm import DLRM_DCN
from tfrec_models.interop.torchrec import load_torchrec_state_dict, torchrec_state_dict

DIM, ROWS, BOT, TOP = 4, (7, 5, 9), (6, 5, 4), (8, 3, 1)
NUM_PAIRS = 6


def state_dict(seed=1, columns=DIM + NUM_PAIRS):
    """The keys and shapes of `DLRM_Net.state_dict()`; linear layers have every second number."""
    rng = np.random.default_rng(seed)
    state = {f"emb_l.{i}.weight": rng.normal(size=(rows, DIM)) for i, rows in enumerate(ROWS)}
    for name, sizes in (("bot_l", BOT), ("top_l", (columns, *TOP))):
        for i, (inputs, outputs) in enumerate(zip(sizes, sizes[1:], strict=False)):
            state[f"{name}.{2 * i}.weight"] = rng.normal(size=(outputs, inputs))
            state[f"{name}.{2 * i}.bias"] = rng.normal(size=outputs)
    return {key: value.astype("float32") for key, value in state.items()}


def forward(state, dense, ids):
    """`DLRM_Net.forward` with arch_interaction_op "dot", up to the logit: one id a bag."""

    def mlp(x, name, last_is_linear):
        numbers = sorted({int(key.split(".")[1]) for key in state if key.startswith(name)})
        for number in numbers:
            x = x @ state[f"{name}.{number}.weight"].T + state[f"{name}.{number}.bias"]
            if not (last_is_linear and number == numbers[-1]):
                x = np.maximum(x, 0)
        return x

    x = mlp(dense, "bot_l", False)
    rows = [state[f"emb_l.{i}.weight"][ids[:, i]] for i in range(len(ROWS))]
    vectors = np.stack([x, *rows], 1)
    products = vectors @ vectors.transpose(0, 2, 1)
    li = [i for i in range(len(ROWS) + 1) for _ in range(i)]
    lj = [j for i in range(len(ROWS) + 1) for j in range(i)]
    return mlp(np.concatenate([x, products[:, li, lj]], 1), "top_l", True)


def make_model(**changes):
    """A DLRM of the same sizes."""
    tables = [EmbeddingBagConfig(rows, DIM, f"t{i}") for i, rows in enumerate(ROWS)]
    arguments = {
        "embedding_bag_collection": EmbeddingBagCollection(tables),
        "dense_in_features": BOT[0],
        "dense_arch_layer_sizes": BOT[1:],
        "over_arch_layer_sizes": TOP,
    }
    return DLRM(**{**arguments, **changes})


def inputs():
    """A batch, and the same ids by feature."""
    rng = np.random.default_rng(2)
    dense = rng.normal(size=(16, BOT[0])).astype("float32")
    ids = np.stack([rng.integers(0, rows, 16) for rows in ROWS], 1)
    return dense, ids, {f"t{i}": ids[:, i] for i in range(len(ROWS))}


@pytest.mark.parametrize(
    "rename",
    [
        lambda key: key,
        lambda key: f"module.{key}",
        # With several processes it wraps its two MLPs, each alone.
        lambda key: key.replace("bot_l.", "bot_l.module.").replace("top_l.", "top_l.module."),
    ],
)
def test_predictions(rename):
    """The model predicts what NumPy does by the formulas of that code."""
    state = state_dict()
    model = make_model()
    load_torchrec_state_dict(model, {rename(key): value for key, value in state.items()})
    dense, ids, by_name = inputs()
    expected = forward(state, dense, ids)
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(model(dense, by_name), expected, rtol=1e-4, atol=1e-4)


def test_train_module():
    """DLRMTrain takes it for the model it holds."""
    state, train = state_dict(), DLRMTrain(make_model())
    load_torchrec_state_dict(train, state)
    dense, ids, by_name = inputs()
    expected = forward(state, dense, ids)
    np.testing.assert_allclose(train.model(dense, by_name), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "columns", "message"),
    [
        ({"emb_l.0.weight": None, "emb_l.0.weight_q": np.ones((2, DIM))}, 10, "without --qr-flag"),
        ({"v_W_l.0": np.ones(7)}, 10, "and --weighted-pooling"),
        ({"emb_l.3.weight": np.ones((2, DIM))}, 10, "for each of the 4 emb_l of the .* one with 3"),
        ({}, 14, r"10 columns, .* received 14; nothing .* '--arch-interaction-itself', which DLRM"),
        ({}, 16, "received 16; nothing was changed. That is the interaction 'cat'"),
        ({}, 11, "received 11; nothing was changed. Make the DLRM with the same tables"),
        ({"emb_l.1.weight": np.ones((6, DIM))}, 10, r"t1.weight: \(6, 4\), expected \(5, 4\)"),
        ({"bot_l.0.bias": None}, 10, "Missing keys:\n  dense_arch.model._mlp.0._linear.bias"),
    ],
)
def test_what_does_not_fit(changes, columns, message):
    """Parts that DLRM has not, and other sizes; nothing changes."""
    model = make_model()
    before = torchrec_state_dict(model)
    state = {**state_dict(columns=columns), **changes}
    state = {key: value for key, value in state.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        load_torchrec_state_dict(model, state)
    for key, value in torchrec_state_dict(model).items():
        np.testing.assert_array_equal(value, before[key])


def test_other_models():
    """One with another interaction, or several features a table, is not what that code trains."""
    cross = DLRM_DCN(make_model().embedding_bag_collection, BOT[0], list(BOT[1:]), list(TOP), 2, 2)
    with pytest.raises(ValueError, match="Hint: Its keys are those of facebookresearch/dlrm"):
        load_torchrec_state_dict(cross, state_dict())
    tables = [EmbeddingBagConfig(7, DIM, "t0", feature_names=["a", "b", "c"])]
    shared = make_model(embedding_bag_collection=EmbeddingBagCollection(tables))
    with pytest.raises(ValueError, match="one feature for each table, .* several: \\['t0'\\]"):
        load_torchrec_state_dict(shared, state_dict())
