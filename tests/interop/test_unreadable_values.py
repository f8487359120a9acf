"""A value that cannot be read is found before anything is written, for every kind of entry."""

import types

import numpy as np
import pytest

from tests.support import oracle
from tests.support.checkpoints import collection, make_any
from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig, layers
from tfrec_models.interop.torchrec import (
    load_torchrec_optimizer_state,
    load_torchrec_state_dict,
    torchrec_optimizer_state,
    torchrec_state_dict,
)
from tfrec_models.optimizers import RowWiseAdagrad


class Unreadable:
    """Has the shape that is wanted, and no values."""

    def __init__(self, shape):
        self.shape = shape

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Cannot copy out;\nno data!")


BAD = {
    "no data": (Unreadable, "Cannot copy out; no data!"),
    "complex": (lambda shape: np.ones(shape, complex), "must hold real numbers, received dtype"),
    "text": (lambda shape: np.full(shape, "1"), "must hold real numbers, received dtype str"),
    "objects": (lambda shape: np.full(shape, None), "received dtype object"),
    "bool": (lambda shape: np.ones(shape, bool), "received dtype bool"),
    "too large": (lambda shape: np.full(shape, 1e300), "in the range of float32, received one of"),
}


def make_layer(name):
    """Layers that have dense, transposed, column, joined and table entries between them."""
    if name == "mixture":
        return layers.LowRankMixtureCrossNet(3, 2, num_experts=2, low_rank=2)
    return collection() if name == "tables" else make_any(name)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", ["mixture", "tables", "dlrm_transformer_2layers"])
def test_no_weight_changes(name, bad):
    """Whichever key holds the bad value, all other weights stay as they were."""
    layer = make_layer(name)
    before = torchrec_state_dict(layer)
    make, message = BAD[bad]
    # Every key of the small ones, every fifth of the transformer.
    for key in list(before)[:: 5 if len(before) > 20 else 1]:
        state = {other: value + 1 for other, value in before.items()}
        state[key] = make(before[key].shape)
        with pytest.raises(ValueError, match="nothing was changed") as raised:
            load_torchrec_state_dict(layer, state)
        assert f"Unreadable values:\n  {key}: " in str(raised.value)
        assert message in str(raised.value)
        for other, value in torchrec_state_dict(layer).items():
            np.testing.assert_array_equal(value, before[other])


@pytest.mark.parametrize("bad", BAD)
def test_no_moment_changes(bad):
    """The same for the state of an optimizer."""
    layer, optimizer = collection(), RowWiseAdagrad()
    state = torchrec_optimizer_state(layer, optimizer)
    make, message = BAD[bad]
    wrong = {
        "t1.weight": {"t1.weight.momentum_1": np.full(5, 7.0)},
        "t2.weight": {"t2.weight.momentum_1": make((3,))},
    }
    with pytest.raises(ValueError, match="nothing was changed") as raised:
        load_torchrec_optimizer_state(layer, optimizer, wrong)
    assert "t2.weight.momentum_1: " in str(raised.value) and message in str(raised.value)
    for key, moments in torchrec_optimizer_state(layer, optimizer).items():
        for name, moment in moments.items():
            np.testing.assert_array_equal(moment, state[key][name])


def test_half_precision_tables_have_a_range():
    """What float32 holds may be too large for float16; infinities of the checkpoint are its own."""
    table = EmbeddingBagConfig(2, 2, "t", data_type="float16")
    layer = EmbeddingBagCollection([table])
    with pytest.raises(ValueError, match="range of float16, received one of magnitude 7e.04"):
        load_torchrec_state_dict(layer, {"embedding_bags.t.weight": np.full((2, 2), 7e4)})
    rows = np.float32([[1, np.inf], [-np.inf, 0.5]])
    load_torchrec_state_dict(layer, {"embedding_bags.t.weight": rows})
    np.testing.assert_array_equal(layer.read_table("t"), rows)


def sharded(shape, *pieces):
    """What is used of a ShardedTensor: its size and the shards of this process."""
    shards = [
        types.SimpleNamespace(
            metadata=types.SimpleNamespace(shard_offsets=offsets), tensor=np.float32(values)
        )
        for offsets, values in pieces
    ]
    return types.SimpleNamespace(shape=shape, size=lambda: shape, local_shards=lambda: shards)


def test_sharded_tensors():
    """Put together by their offsets if all is here, refused otherwise."""
    layer = EmbeddingBagCollection([EmbeddingBagConfig(2, 3, "t")])
    left, right = [[1, 2], [4, 5]], [[3], [6]]
    whole = sharded((2, 3), ([0, 2], right), ([0, 0], left))
    load_torchrec_state_dict(layer, {"embedding_bags.t.weight": whole})
    assert layer.read_table("t").numpy().tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(ValueError, match="has 2 of its 6 elements on this process; gather it"):
        load_torchrec_state_dict(
            layer, {"embedding_bags.t.weight": sharded((2, 3), ([0, 2], right))}
        )


def test_no_dict():
    """A path or a module in place of the state dict."""
    with pytest.raises(TypeError, match="a dict from key to array, received str. Give module"):
        load_torchrec_state_dict(collection(), "weights.pt")
    with pytest.raises(TypeError, match="a dict of its moments, received a dict of ndarray. Give"):
        load_torchrec_optimizer_state(collection(), RowWiseAdagrad(), {"t1.weight": np.ones(5)})


def test_torch_tensors(torch):
    """Each layout and dtype loads; one on the meta device changes nothing."""
    layer = collection()
    rows = torch.tensor([[0.5, -1.5, 0, 2]] * 5)
    for value in (
        rows.bfloat16(),
        rows.half(),
        rows.double(),
        rows.to_sparse(),
        torch.nn.Parameter(rows),
        rows.to(torch.float8_e4m3fn),
        torch.quantize_per_tensor(rows, 0.5, 0, torch.qint8),
        (2 * rows).int(),
    ):
        other = torch.full((3, 4), 3.0)
        state = {"embedding_bags.t1.weight": value, "embedding_bags.t2.weight": other}
        load_torchrec_state_dict(layer, state)
        factor = 1 if value.is_floating_point() or value.is_quantized else 2
        np.testing.assert_array_equal(layer.read_table("t1"), factor * rows.numpy())
    state["embedding_bags.t1.weight"] = torch.ones(5, 4)
    state["embedding_bags.t2.weight"] = torch.ones(3, 4, device="meta")
    with pytest.raises(ValueError, match="t2.weight: is on torch's meta device and holds no data"):
        load_torchrec_state_dict(layer, state)
    np.testing.assert_array_equal(layer.read_table("t1"), 2 * rows.numpy())


def test_recorded_transformer_still_fits():
    """The conversions of joined entries are each other's inverse."""
    state = oracle.weights_of(oracle.arrays("dlrm_transformer_2layers"))
    layer = make_any("dlrm_transformer_2layers")
    load_torchrec_state_dict(layer, state)
    for key, value in torchrec_state_dict(layer).items():
        np.testing.assert_array_equal(value, state[key])
