"""Optimizer state under the names that TorchRec's wrappers give it."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tests.support.checkpoints import collection, make_any
from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig
from tfrec_models.interop.torchrec import (
    load_torchrec_optimizer_state,
    torchrec_optimizer_state,
    torchrec_state_dict,
)
from tfrec_models.optimizers import Adagrad, RowWiseAdagrad

BAGS = "sparse_arch.embedding_bag_collection.embedding_bags"
ROWS = {"t1": np.float32([1, 2, 3, 4, 5]), "t2": np.float32([6, 7, 8])}


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"state": state}])
@pytest.mark.parametrize("prefix", ["", "model.", "_dmp_wrapped_module.module.", None])
@pytest.mark.parametrize(
    "moment", ["{}.momentum1", "{}.momentum_1", "{}.weight.momentum_1", "{}.weight.momentum1"]
)
def test_names_load(moment, prefix, wrap):
    """Today's, older and FusedEmbeddingBagCollection's names, under any key of the table."""
    layer, optimizer = collection(), RowWiseAdagrad()
    state = {
        f"{name}.weight" if prefix is None else f"{prefix}{BAGS}.{name}.weight": {
            moment.format(name): rows
        }
        for name, rows in ROWS.items()
    }
    load_torchrec_optimizer_state(layer, optimizer, wrap(state))
    for key, moments in torchrec_optimizer_state(layer, optimizer).items():
        np.testing.assert_array_equal(
            moments[f"{key}.momentum_1"], ROWS[key.removesuffix(".weight")]
        )


def test_state_of_dense_weights_is_left_out():
    """A CombinedOptimizer's state has that of the dense weights beside the tables'."""
    state = {f"{BAGS}.{name}.weight": {f"{name}.momentum1": rows} for name, rows in ROWS.items()}
    state["over_arch.model.1.bias"] = {"step": np.float32(3), "sum": np.ones(1)}
    layer, optimizer = collection(), RowWiseAdagrad()
    load_torchrec_optimizer_state(layer, optimizer, state)
    back = torchrec_optimizer_state(layer, optimizer)
    np.testing.assert_array_equal(back["t2.weight"]["t2.weight.momentum_1"], ROWS["t2"])


@pytest.mark.parametrize(
    ("make_optimizer", "shape"), [(RowWiseAdagrad, (5, 1)), (lambda: Adagrad(0.1), (5, 4))]
)
def test_replicated_tables(make_optimizer, shape):
    """A table that is not sharded has an optimizer that is not fused, with "sum" and "step"."""
    layer = EmbeddingBagCollection([EmbeddingBagConfig(5, 4, "t1")])
    optimizer = make_optimizer()
    rows = np.random.default_rng(1).random(shape).astype("float32")
    state = {f"model.{BAGS}.t1.weight": {"step": np.float32(2), "sum": rows}}
    load_torchrec_optimizer_state(layer, optimizer, state)
    back = torchrec_optimizer_state(layer, optimizer)["t1.weight"]["t1.weight.momentum_1"]
    np.testing.assert_array_equal(back, rows.reshape(back.shape))


def test_what_does_not_fit():
    """Tables and moments that are not there, two values for one, and column-wise shards."""
    layer, optimizer = collection(), RowWiseAdagrad()
    good = {f"{BAGS}.{name}.weight": {f"{name}.momentum1": rows} for name, rows in ROWS.items()}
    load_torchrec_optimizer_state(layer, optimizer, good)
    for state, message in (
        ({**good, f"{BAGS}.t9.weight": {"t9.momentum1": ROWS["t1"]}}, "Unexpected keys:\n  t9"),
        ({**good, f"{BAGS}.t1.weight": {"t1.exp_avg": ROWS["t1"]}}, "t1.weight/t1.exp_avg"),
        ({**good, "t1.weight": {"t1.momentum_1": ROWS["t1"]}}, "two values for t1.weight.mom"),
        (
            {**good, f"{BAGS}.t1.weight": {"t1.momentum1": np.ones(10)}},
            "Hint: A table sharded by columns has one moment for each row and shard",
        ),
        (
            {**good, f"{BAGS}.t1.weight": {"t1.momentum1": np.ones((5, 4))}},
            "Hint: Row-wise Adagrad keeps one number for each row, Adagrad one for each weight",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            load_torchrec_optimizer_state(layer, optimizer, state)
    back = torchrec_optimizer_state(layer, optimizer)
    np.testing.assert_array_equal(back["t1.weight"]["t1.weight.momentum_1"], ROWS["t1"])


def test_names_of_distributed_model_parallel_go_back():
    """The table's key in the state dict, and TorchRec 1.8's name of the moment."""
    model, optimizer = make_any("dlrm_train_step"), RowWiseAdagrad()
    state = torchrec_optimizer_state(model, optimizer, distributed=True)
    weights = torchrec_state_dict(model)
    tables = [table.name for table in model.model.embedding_bag_collection.tables]
    assert list(state) == [f"model.{BAGS}.{name}.weight" for name in tables]
    for name, (key, moments) in zip(tables, state.items(), strict=True):
        assert list(moments) == [f"{name}.momentum1"]
        assert moments[f"{name}.momentum1"].shape == weights[key].shape[:1]
    load_torchrec_optimizer_state(model, RowWiseAdagrad(), state)


@pytest.mark.parametrize("sharding_type", ["table_wise"])
def test_a_live_distributed_model(torchrec, tmp_path, sharding_type):
    """Its weights and optimizer state come over bit for bit, under names that go back."""
    script = pathlib.Path(__file__).with_name("distributed_optimizer.py")
    result = subprocess.run(
        [sys.executable, str(script), sharding_type, str(tmp_path / "store")],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.endswith("equal\n")
