"""Keys as wrappers leave them, and what a checkpoint of something else is answered."""

import numpy as np
import pytest

from tests.support.checkpoints import collection, make_any
from tfrec_models import layers
from tfrec_models.interop.torchrec import load_torchrec_state_dict, torchrec_state_dict

BIAS = "over_arch.model.1.bias"


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "model.",
        "_dmp_wrapped_module.",
        "_dmp_wrapped_module.module.",
        "module._dmp_wrapped_module.model.",
        "model.module.",
        "_orig_mod.module.",
        "_fsdp_wrapped_module._orig_mod.",
    ],
)
@pytest.mark.parametrize("name", ["dlrm_mean", "dlrm_train_step"])
def test_prefixes(name, prefix):
    """Loads as if the wrappers were not there, DLRMTrain with its own "model." too."""
    model = make_any(name)
    state = torchrec_state_dict(model)
    wrapped = {prefix + key: value + 1 for key, value in state.items()}
    load_torchrec_state_dict(model, wrapped)
    for key, value in torchrec_state_dict(model).items():
        np.testing.assert_array_equal(value, state[key] + 1)


def test_wrappers_inside_a_key():
    """A part of the model that is wrapped alone."""
    model = make_any("dlrm_mean")
    state = torchrec_state_dict(model)
    wrapped = {
        key.replace("dense_arch.", "dense_arch.module.").replace(
            "over_arch.", "over_arch._orig_mod."
        ): value + 1
        for key, value in state.items()
    }
    load_torchrec_state_dict(model, wrapped)
    for key, value in torchrec_state_dict(model).items():
        np.testing.assert_array_equal(value, state[key] + 1)


def test_a_model_in_its_train_module_and_out_of_it():
    """DLRM's state into DLRMTrain, and DLRMTrain's into DLRM."""
    train = make_any("dlrm_train_step")
    state = torchrec_state_dict(train)
    load_torchrec_state_dict(train.model, {key: value + 1 for key, value in state.items()})
    load_torchrec_state_dict(
        train, {key: value + 1 for key, value in torchrec_state_dict(train.model).items()}
    )
    for key, value in torchrec_state_dict(train).items():
        np.testing.assert_array_equal(value, (state[key] + 1) + 1)


def test_tables_with_the_names_of_wrappers():
    """A key that fits as it is means what it says."""
    from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig

    layer = EmbeddingBagCollection(
        tables=[EmbeddingBagConfig(2, 2, "module"), EmbeddingBagConfig(2, 2, "model")]
    )
    for prefix in ("", "module.", "_dmp_wrapped_module.module."):
        rows = np.random.default_rng(len(prefix)).random((2, 2, 2)).astype("float32")
        load_torchrec_state_dict(
            layer,
            {
                f"{prefix}embedding_bags.module.weight": rows[0],
                f"{prefix}embedding_bags.model.weight": rows[1],
            },
        )
        np.testing.assert_array_equal(layer.read_table("module"), rows[0])
        np.testing.assert_array_equal(layer.read_table("model"), rows[1])


def test_two_values_for_one_weight():
    """It is not for us to choose; nothing changes."""
    layer = layers.MLP(3, [2])
    state = torchrec_state_dict(layer)
    twice = {**state, **{f"module.{key}": value + 1 for key, value in state.items()}}
    with pytest.raises(ValueError, match="two values for _mlp.0._linear.weight: '_mlp.*'module._m"):
        load_torchrec_state_dict(layer, twice)
    for key, value in torchrec_state_dict(layer).items():
        np.testing.assert_array_equal(value, state[key])


def _nested(state):
    return {"epoch": 3, "weights": state}


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (lambda state: {f"net.tower.{key}": value for key, value in state.items()},
         "Every key begins with 'net.tower.': pass the state dict without this prefix."),
        (lambda state: {f"x{n}.weight": value for n, value in enumerate(state.values())},
         "None of its 12 keys is one of the 12 expected. Give the state_dict() of TorchRec's"),
        (_nested, "Some of its values are dicts: ['weights']. Give the one that holds the weights"),
        (lambda state: {"state": {0: {}}, "param_groups": [{}]}, "It is an optimizer's: give"),
        (lambda state: {}, "It is empty."),
        (lambda state: {"embedding_bags.t1.weight": state[
            "sparse_arch.embedding_bag_collection.embedding_bags.t1.weight"]},
         "It is the state of 'sparse_arch.embedding_bag_collection' alone: load it into that part"),
        (lambda state: {"emb_l.0.weight": np.ones((2, 2))},
         "Its keys are those of facebookresearch/dlrm"),
    ],
)  # fmt: skip
def test_one_hint_and_few_lines(change, hint):
    """What the checkpoint may be, and no more than the first keys of each kind."""
    model = make_any("dlrm_mean")
    state = torchrec_state_dict(model)
    with pytest.raises(ValueError, match="does not fit DLRM") as raised:
        load_torchrec_state_dict(model, change(state))
    message = str(raised.value)
    assert f"Hint: {hint}" in message
    assert message.count("Hint") == 1 and len(message.splitlines()) <= 16


def test_more_keys_are_counted():
    """All faults are counted, five of each are shown."""
    model = make_any("dlrm_criteo_like")
    state = torchrec_state_dict(model)
    with pytest.raises(ValueError, match="does not fit") as raised:
        load_torchrec_state_dict(model, {BIAS: state[BIAS]})
    lines = str(raised.value).splitlines()
    assert lines[1] == "Missing keys:" and lines[-1] == f"  and {len(state) - 6} more"
    assert len(lines) == 8


def test_collections_take_wrapped_keys():
    """Layers below models too."""
    layer = collection()
    state = torchrec_state_dict(layer)
    load_torchrec_state_dict(layer, {f"module.{key}": value * 2 for key, value in state.items()})
    for key, value in torchrec_state_dict(layer).items():
        np.testing.assert_array_equal(value, state[key] * 2)
