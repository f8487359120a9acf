"""What recipes build: models, tables, optimizers, and their size before any is made."""

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec_models import dlrm, layers
from tfrec_models.datasets import Schema, Sparse, frappe_schema
from tfrec_models.optimizers import LazyAdam, WarmupDecay
from tfrec_models.recipes import (
    Recipe,
    build_data,
    build_model,
    build_optimizer,
    build_schema,
    describe,
    find_recipe,
)

SIZES = {
    "DLRM": {"over_arch_layer_sizes": [8, 1]},
    "DLRM_DCN": {"over_arch_layer_sizes": [8, 1], "dcn_num_layers": 2, "dcn_low_rank_dim": 3},
    "DLRM_Projection": {
        "over_arch_layer_sizes": [8, 1],
        "interaction_branch1_layer_sizes": [4],
        "interaction_branch2_layer_sizes": [8],
    },
    "DeepFMRanker": {"deep_layer_sizes": [8]},
    "SimpleDeepFMNN": {"hidden_layer_size": 8, "deep_fm_dimension": 3},
}


def two_features():
    return Schema("y", sparse=[Sparse("a", ids="integer", num_ids=10), Sparse("b", like="a")])


@pytest.mark.parametrize("kind", SIZES)
def test_every_kind_of_model(kind):
    """Without dense features; what compile receives fits what the model gives."""
    recipe = Recipe.from_dict({"model": {"kind": kind, **SIZES[kind]}, "tables": {"dim": 4}})
    model = build_model(recipe, two_features())
    inputs = {
        "dense_features": np.zeros((3, 0), "float32"),
        "sparse_features": np.ones((3, 2), int),
    }
    loss = model.evaluate(inputs, np.array([0, 1, 1]), verbose=0, return_dict=True)["loss"]
    assert type(model).__name__ == kind and 0 < loss < 2


@pytest.mark.parametrize(
    "name", ["frappe_dlrm", "frappe_dlrm_cat", "frappe_dlrm_dcn", "frappe_deepfm"]
)
def test_frappe_recipes(tmp_path, name):
    """The shipped recipe builds on files of the benchmark's columns, and trains a step."""
    label, *features = frappe_schema().columns
    rows = {label: [0, 1, 0, 1], **{feature: [1, 2, 3, 4] for feature in features}}
    pq.write_table(pa.table(rows), tmp_path / "log.parquet")
    recipe = Recipe.load(find_recipe(name)).override([f"data.train={tmp_path / 'log.parquet'}"])
    schema = build_schema(recipe)
    model = build_model(recipe, schema)
    model.fit(build_data(recipe, schema, "train"), verbose=0)
    dim = recipe.tables.dim
    assert model.embedding_bag_collection.read_table("item").shape == (5, dim)
    described = describe(recipe, schema)
    # Each variable of tables has a row of zeros before them, which is no parameter.
    zeros = dim + (1 if name == "frappe_deepfm" else 0)
    weights = sum(int(np.prod(weight.shape)) for weight in model.weights)
    assert described.dense_parameters + described.table_parameters == weights - zeros


def test_interactions_of_dlrm():
    """Concatenated and parallel ones are made of the recipe's sizes."""
    parallel = Recipe.from_dict(
        {
            "tables": {"dim": 4},
            "model": {
                "interaction": "parallel_dcn",
                "dcn_num_layers": 2,
                "deep_layer_sizes": [6, 5],
                "over_arch_layer_sizes": [1],
            },
            "regularization": {"dropout": 0.5, "batch_normalization": True},
        }
    )
    model = build_model(parallel, two_features())
    assert isinstance(model.inter_arch.crossnet, layers.CrossNet)
    assert model.inter_arch.deep.dropout == 0.5 and model.inter_arch.deep.batch_normalization
    assert model.over_arch.mlp.in_size == 12 + 5
    low_rank = parallel.override(["model.dcn_low_rank_dim=2"])
    crossnet = build_model(low_rank, two_features()).inter_arch.crossnet
    assert isinstance(crossnet, layers.LowRankCrossNet) and crossnet.low_rank == 2
    concat = Recipe().override(
        ["model.interaction=concat", "model.over_arch_layer_sizes=[8, 1]", "tables.dim=4"]
    )
    assert isinstance(build_model(concat, two_features()).inter_arch, dlrm.InteractionConcatArch)


def test_tables_by_name():
    """Settings of one table go before those of all; equal initializers give unequal numbers."""
    schema = Schema("y", sparse=[Sparse(n, ids="integer", num_ids=50) for n in ("a", "b", "c")])
    recipe = Recipe.from_dict(
        {
            "model": SIZES["DLRM"],
            "tables": {
                "dim": 4,
                "initializer": {"name": "RandomNormal", "stddev": 0.01},
                "by_name": {"c": {"initializer": "zeros", "id_policy": "clip"}},
            },
        }
    )
    tables = build_model(recipe, schema).embedding_bag_collection
    first, second, third = (tables.read_table(name).numpy() for name in ("a", "b", "c"))
    assert 0.008 < first.std() < 0.012 and not np.allclose(first, second)
    np.testing.assert_array_equal(third, 0)
    assert [table.id_policy for table in tables.tables] == ["error", "error", "clip"]
    for setting, message in {
        "tables.by_name.d.pooling=mean": "tables.by_name.d: there is no table 'd'",
        "tables.by_name.a.pool=mean": "tables.by_name.a has no 'pool'; did you mean 'pooling'",
        "tables.initializer=[1]": "tables.initializer must be a name or a mapping",
        "tables.initializer=RandomNormall": "tables.initializer: there is no 'RandomNormall'; did",
        "tables.initializer={name: RandomNormal, stdev: 1}": "no 'stdev'; did you mean 'stddev'?",
        "model.over_arch_layer_sizes=null": r"'DLRM' needs \['over_arch_layer_sizes'\]",
    }.items():
        with pytest.raises(ValueError, match=message):
            build_model(recipe.override([setting]), schema)


def test_optimizers():
    """L2 goes to the tables' optimizer, clipping to both, a schedule scales both rates."""
    recipe = Recipe().override(
        [
            "regularization.embedding_l2=0.05",
            "optimizer.clipnorm=2",
            "optimizer.tables.learning_rate=0.1",
            "optimizer.dense.name=SGD",
            "optimizer.dense.arguments.momentum=0.5",
            "schedule.warmup_steps=4",
        ]
    )
    optimizer = build_optimizer(recipe)
    tables, dense = optimizer.optimizers
    assert isinstance(tables, LazyAdam) and (tables.l2, tables.clipnorm) == (0.05, 2)
    assert isinstance(dense, keras.optimizers.SGD) and (dense.momentum, dense.clipnorm) == (0.5, 2)
    assert float(tables.learning_rate) == pytest.approx(0.025)
    assert float(dense.learning_rate) == pytest.approx(0.00025)
    for setting, message in {
        "optimizer.tables.name=LazyAdan": "optimizer.tables.name: .* did you mean 'LazyAdam'",
        "optimizer.dense.name=LazyAdam": "optimizer.dense.name: there is no 'LazyAdam'",
        "optimizer.tables.arguments.eps=1": "LazyAdam has no 'eps'; did you mean 'epsilon'?",
        "optimizer.dense.arguments.momentun=1": "SGD has no 'momentun'; did you mean 'momentum'?",
        "optimizer.tables.arguments.l2=1": "must not have .'l2'., which other keys of a recipe set",
        "optimizer.clipvalue=1": "one of clipnorm, clipvalue and global_clipnorm, received",
    }.items():
        with pytest.raises(ValueError, match=message):
            build_optimizer(recipe.override([setting]))


def test_warmup_decay():
    """By hand: rises over 4 steps, stays for 2, falls by a square over 4, and stays at the end."""
    schedule = WarmupDecay(1.0, 4, 2, 4, end_learning_rate=0.2, power=2)
    expected = [0.25, 0.5, 0.75, 1, 1, 1, 1, 0.2 + 0.8 * 0.5625, 0.4, 0.25, 0.2, 0.2]
    found = [float(schedule(step)) for step in range(12)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    again = WarmupDecay.from_config(schedule.get_config())
    assert float(again(7)) == pytest.approx(expected[7])
    assert float(WarmupDecay(0.5)(100)) == 0.5
    with pytest.raises(ValueError, match="learning_rate must be zero or positive, received -1"):
        WarmupDecay(-1.0)


def test_description_by_hand():
    """Two tables of 10 and 20 x 4, three features: parameters, bytes and products."""
    schema = Schema(
        "y",
        sparse=[
            Sparse("a", ids="integer", num_ids=10),
            Sparse("b", ids="integer", num_ids=20, max_length=5),
            Sparse("c", like="a"),
        ],
    )
    recipe = Recipe.from_dict(
        {
            "tables": {"dim": 4},
            "model": {"interaction": "concat", "over_arch_layer_sizes": [8, 1]},
            "data": {"batch_size": 10},
        }
    )
    described = describe(recipe, schema)
    assert described.table_parameters == 30 * 4
    # Dense arch of no columns: 4 biases. Over arch: 16 x 8 and 8 x 1.
    assert described.dense_parameters == 4 + 16 * 8 + 8 + 8 + 1
    assert described.table_bytes == 30 * 4 * 4
    assert described.ids == 7
    assert described.lookup_bytes == 7 * 16
    # Adam's two moments: rows of 16 bytes and slots of 32, read and written.
    assert described.update_bytes == 7 * 2 * 48
    assert described.flops == 2 * (16 * 8 + 8)
    assert 0 < described.lookup_share < 1
    assert "2 tables, 269 parameters" in str(described)


def test_description_of_mlperf():
    """A model of 105 GB is described without being made; its sizes are MLPerf's."""
    described = describe(Recipe.load(find_recipe("mlperf_dlrm_dcnv2")))
    assert described.table_parameters == 204_184_588 * 128
    assert described.ids == 214
    bottom = 13 * 512 + 512 * 256 + 256 * 128
    cross = 3 * 2 * 3456 * 512
    top = 3456 * 1024 + 1024 * 1024 + 1024 * 512 + 512 * 256 + 256
    assert described.flops == 2 * (bottom + cross + top)
