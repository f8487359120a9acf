"""Live modules become ours: recorded ones everywhere, real ones where torchrec is installed."""

import numpy as np
import pytest

from tests.interop.stand_ins import stand_in
from tests.support import oracle
from tfrec_models import DLRMTrain, KeyedJaggedTensor
from tfrec_models.interop.torchrec import (
    from_torchrec,
    load_torchrec_optimizer_state,
    torchrec_optimizer_state,
    torchrec_state_dict,
)
from tfrec_models.optimizers import RowWiseAdagrad

MODELS = [
    "dlrm_mean",
    "dlrm_out2_1layer_dense",
    "dlrm_weighted",
    "dlrm_dcn_basic",
    "dlrm_projection_basic",
    "dlrm_transformer_basic",
    "deepfm_nn_mean",
]
CROSS_NETS = ["crossnet", "lowrank_crossnet_r3", "vector_crossnet", "mixture_crossnet_k3_tanh"]


@pytest.mark.parametrize("name", MODELS)
def test_recorded_model(name):
    """The model's sizes are read off the module, and it predicts what TorchRec's did."""
    case, recorded = oracle.index()[name], oracle.arrays(name)
    model = from_torchrec(stand_in(oracle.class_name(case), case, recorded))
    assert type(model).__name__ == oracle.class_name(case)
    ids = oracle.kjt(case, recorded, recorded.get("in/weights"))
    np.testing.assert_allclose(model(recorded["in/dense"], ids), recorded["out/y"], **oracle.CLOSE)


@pytest.mark.parametrize("name", CROSS_NETS)
def test_recorded_cross_net(name):
    """Cross networks with their rank, experts and activation."""
    case, recorded = oracle.index()[name], oracle.arrays(name)
    layer = from_torchrec(stand_in(oracle.class_name(case), case, recorded))
    np.testing.assert_allclose(layer(recorded["in/x"]), recorded["out/y"], **oracle.CLOSE)


def test_recorded_collections():
    """Pooled and unpooled tables."""
    case, recorded = oracle.index()["ebc_mixed_pooling"], oracle.arrays("ebc_mixed_pooling")
    layer = from_torchrec(stand_in("EmbeddingBagCollection", case, recorded))
    pooled = layer(oracle.kjt(case, recorded)).values()
    np.testing.assert_allclose(pooled, recorded["out/values"], **oracle.CLOSE)
    case, recorded = oracle.index()["ec_shared"], oracle.arrays("ec_shared")
    layer = from_torchrec(stand_in("EmbeddingCollection", case, recorded))
    rows = layer(oracle.kjt(case, recorded))["f2@t2"].values()
    np.testing.assert_allclose(rows, recorded["out/f2@t2"], **oracle.CLOSE)


def test_other_modules_are_named():
    """What it cannot convert, and what to do."""
    with pytest.raises(TypeError, match="received Conv2d. For another module make the layer"):
        from_torchrec(type("Conv2d", (), {})())


def real_ebc(torchrec, **kwargs):
    """Two tables of different sizes and poolings, three features."""
    configs = torchrec.modules.embedding_configs
    tables = [
        configs.EmbeddingBagConfig(
            name="t1", num_embeddings=12, embedding_dim=4, feature_names=["f1", "f3"]
        ),
        configs.EmbeddingBagConfig(
            name="t2",
            num_embeddings=9,
            embedding_dim=4,
            feature_names=["f2"],
            pooling=configs.PoolingType.MEAN,
        ),
    ]
    return torchrec.EmbeddingBagCollection(tables=tables, **kwargs)


def real_modules(torchrec):
    """One of each of TorchRec's models."""
    from torchrec.models import deepfm, dlrm
    from torchrec.models.experimental import transformerdlrm

    sizes = {
        "dense_in_features": 5,
        "dense_arch_layer_sizes": [7, 4],
        "over_arch_layer_sizes": [6, 5, 1],
    }
    ebc = real_ebc(torchrec)
    return {
        "DLRM": dlrm.DLRM(ebc, **sizes),
        "DLRM_DCN": dlrm.DLRM_DCN(ebc, **sizes, dcn_num_layers=2, dcn_low_rank_dim=3),
        "DLRM_Projection": dlrm.DLRM_Projection(
            ebc,
            **sizes,
            interaction_branch1_layer_sizes=[10, 8],
            interaction_branch2_layer_sizes=[9, 12],
        ),
        "DLRM_Transformer": transformerdlrm.DLRM_Transformer(
            ebc, **sizes, nhead=2, ntransformer_layers=1
        ),
        "SimpleDeepFMNN": deepfm.SimpleDeepFMNN(5, ebc, 7, 3),
    }


@pytest.mark.parametrize(
    "name", ["DLRM", "DLRM_DCN", "DLRM_Projection", "DLRM_Transformer", "SimpleDeepFMNN"]
)
def test_real_model(torchrec, name):
    """from_torchrec predicts the same; the state dict goes back bit for bit and loads there."""
    import torch

    torch.manual_seed(1)
    module = real_modules(torchrec)[name].eval()
    model = from_torchrec(module)
    dense = torch.randn(3, 5)
    values, lengths = torch.tensor([1, 2, 11, 3, 0, 8, 8, 5]), [2, 0, 1, 1, 1, 0, 0, 2, 1]
    there = torchrec.KeyedJaggedTensor.from_lengths_sync(
        ["f1", "f2", "f3"], values, torch.tensor(lengths)
    )
    here = KeyedJaggedTensor.from_lengths_sync(["f1", "f2", "f3"], values.numpy(), lengths)
    expected = module(dense, there).detach().numpy()
    np.testing.assert_allclose(model(dense.numpy(), here), expected, **oracle.CLOSE)
    state, back = module.state_dict(), torchrec_state_dict(model)
    assert list(back) == list(state)
    for key, value in state.items():
        assert back[key].tobytes() == value.numpy().tobytes(), key
    module.load_state_dict({key: torch.from_numpy(value) for key, value in back.items()})


def test_real_train_module(torchrec):
    """DLRMTrain around a model."""
    from torchrec.models.dlrm import DLRMTrain as TheirTrain

    model = from_torchrec(TheirTrain(real_modules(torchrec)["DLRM_DCN"]))
    assert isinstance(model, DLRMTrain) and type(model.model).__name__ == "DLRM_DCN"


def test_real_fused_optimizer_state(torchrec):
    """FBGEMM's row-wise moments come over, and go back into its optimizer."""
    import torch
    from torchrec.modules.fused_embedding_modules import FusedEmbeddingBagCollection

    torch.manual_seed(1)
    plain = real_ebc(torchrec)
    module = FusedEmbeddingBagCollection(
        tables=plain.embedding_bag_configs(),
        optimizer_type=torchrec.optim.RowWiseAdagrad,
        optimizer_kwargs={"lr": 0.02},
    )
    ids = torchrec.KeyedJaggedTensor.from_lengths_sync(
        ["f1", "f2", "f3"], torch.tensor([1, 2, 3]), torch.ones(3, dtype=torch.int64)
    )
    module(ids).values().sum().backward()
    theirs = module.fused_optimizer().state_dict()
    layer, optimizer = from_torchrec(module), RowWiseAdagrad()
    load_torchrec_optimizer_state(layer, optimizer, theirs["state"])
    back = torchrec_optimizer_state(layer, optimizer)
    assert back.keys() == theirs["state"].keys()
    for key, moments in theirs["state"].items():
        for name, moment in moments.items():
            np.testing.assert_array_equal(back[key][name], moment.numpy())
    tensors = {
        key: {name: torch.from_numpy(value) for name, value in moments.items()}
        for key, moments in back.items()
    }
    module.fused_optimizer().load_state_dict({**theirs, "state": tensors})
