"""Tables with the "oov" id policy have a row that TorchRec's have not."""

import keras
import numpy as np
import pytest

from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig
from tfrec_models.interop.torchrec import (
    load_torchrec_optimizer_state,
    load_torchrec_state_dict,
    torchrec_optimizer_state,
    torchrec_state_dict,
)
from tfrec_models.optimizers import Adagrad, RowWiseAdagrad

KEY = "embedding_bags.t.weight"


def collection():
    """The table lies between two others of its stack."""
    return EmbeddingBagCollection(
        tables=[
            EmbeddingBagConfig(3, 2, "before", id_policy="oov"),
            EmbeddingBagConfig(4, 2, "t", id_policy="oov"),
            EmbeddingBagConfig(2, 2, "after"),
        ]
    )


def test_num_embeddings_rows_load_and_go_back():
    """TorchRec's rows are those of the ids; the row of all other ids stays as it was."""
    layer = collection()
    before = {name: layer.read_table(name).numpy() for name in ("before", "t", "after")}
    rows = np.arange(8, dtype=np.float32).reshape(4, 2)
    load_torchrec_state_dict(layer, {KEY: rows}, strict=False)
    np.testing.assert_array_equal(layer.read_table("t"), np.concatenate([rows, before["t"][4:]]))
    np.testing.assert_array_equal(layer.read_table("before"), before["before"])
    np.testing.assert_array_equal(layer.read_table("after"), before["after"])
    np.testing.assert_array_equal(torchrec_state_dict(layer)[KEY], rows)
    shapes = {key: value.shape for key, value in torchrec_state_dict(layer).items()}
    assert list(shapes.values()) == [(3, 2), (4, 2), (2, 2)]


def test_nothing_is_lost_on_request():
    """With keep_oov_rows the whole table goes out, and such a state dict comes back whole."""
    layer, other = collection(), collection()
    state = torchrec_state_dict(layer, keep_oov_rows=True)
    assert [value.shape for value in state.values()] == [(4, 2), (5, 2), (2, 2)]
    load_torchrec_state_dict(other, state)
    for name in ("before", "t", "after"):
        np.testing.assert_array_equal(other.read_table(name), layer.read_table(name))


def test_other_numbers_of_rows_are_named():
    """Both that fit are in the message."""
    with pytest.raises(ValueError, match=r"t.weight: \(6, 2\), expected \(4, 2\) or \(5, 2\)"):
        load_torchrec_state_dict(collection(), {KEY: np.zeros((6, 2))}, strict=False)


@pytest.mark.parametrize(
    ("make_optimizer", "columns"), [(RowWiseAdagrad, ()), (lambda: Adagrad(0.1), (2,))]
)
def test_optimizer_state(make_optimizer, columns):
    """The same for moments."""
    layer, optimizer = collection(), make_optimizer()
    start = torchrec_optimizer_state(layer, optimizer, keep_oov_rows=True)
    assert start["t.weight"]["t.weight.momentum_1"].shape == (5, *columns)
    rows = np.random.default_rng(1).random((4, *columns)).astype("float32")
    load_torchrec_optimizer_state(
        layer, optimizer, {"t.weight": {"t.weight.momentum_1": rows}}, strict=False
    )
    short = torchrec_optimizer_state(layer, optimizer)["t.weight"]["t.weight.momentum_1"]
    np.testing.assert_array_equal(short, rows)
    whole = torchrec_optimizer_state(layer, optimizer, keep_oov_rows=True)
    expected = np.concatenate([rows, start["t.weight"]["t.weight.momentum_1"][4:]])
    np.testing.assert_array_equal(whole["t.weight"]["t.weight.momentum_1"], expected)
    other = make_optimizer()
    load_torchrec_optimizer_state(layer, other, whole)
    again = torchrec_optimizer_state(layer, other, keep_oov_rows=True)
    np.testing.assert_array_equal(again["t.weight"]["t.weight.momentum_1"], expected)


def test_a_whole_model(tmp_path):
    """A model with such tables, saved after TorchRec's weights were loaded, keeps them."""
    model = DLRM(collection(), 3, [2], [4, 1])
    state = {key: value + 1 for key, value in torchrec_state_dict(model).items()}
    load_torchrec_state_dict(model, state)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for key, value in torchrec_state_dict(loaded).items():
        np.testing.assert_array_equal(value, state[key])
