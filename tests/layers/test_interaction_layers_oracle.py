"""Cross networks, factorization machines and unpooled embeddings against TorchRec's numbers."""

import keras
import pytest

from tests.support import oracle
from tfrec_models import layers

CROSS_NETS = ["CrossNet", "LowRankCrossNet", "VectorCrossNet", "LowRankMixtureCrossNet"]


@pytest.mark.parametrize("name", oracle.select(class_name=CROSS_NETS))
def test_cross_net_equals_torchrec(name):
    """Every kind of cross network, ranks above the width and no layers at all included."""
    case, recorded = oracle.index()[name], oracle.arrays(name)
    layer = getattr(layers, oracle.class_name(case))(**case["ctor"])
    oracle.load(layer, recorded)
    oracle.check(layer, recorded, lambda floats: {"y": layer(floats["x"])})


@pytest.mark.parametrize("name", oracle.select(class_name=["FactorizationMachine"]))
def test_factorization_machine_equals_torchrec(name):
    """Inputs of two and three axes, and a single number."""
    recorded = oracle.arrays(name)
    layer = oracle.load(layers.FactorizationMachine(), recorded)
    oracle.check(layer, recorded, lambda floats: {"y": layer(list(floats.values()))})


DENSE_MODULES = {
    "Linear(14,3)": lambda: keras.layers.Dense(3),
    "MLP(14,[6,3])": lambda: layers.MLP(14, [6, 3]),
}


@pytest.mark.parametrize("name", oracle.select(class_name=["DeepFM"]))
def test_deep_fm_equals_torchrec(name):
    """A Keras layer and one of ours over flattened inputs."""
    case, recorded = oracle.index()[name], oracle.arrays(name)
    layer = layers.DeepFM(DENSE_MODULES[case["ctor"]["dense_module"]]())
    layer.build([recorded["in/e0"].shape, recorded["in/e1"].shape])
    oracle.load(layer, recorded)
    oracle.check(layer, recorded, lambda floats: {"y": layer(list(floats.values()))})


@pytest.mark.parametrize("name", oracle.select(class_name=["EmbeddingCollection"]))
def test_embedding_collection_equals_torchrec(name):
    """One row per id, under the names and with the offsets of TorchRec."""
    case, recorded = oracle.index()[name], oracle.arrays(name)
    layer = layers.EmbeddingCollection(
        tables=[layers.EmbeddingConfig(**table) for table in case["tables"]]
    )
    oracle.load(layer, recorded)

    def run(floats):
        ids = oracle.kjt(case, recorded)
        embeddings = layer(ids)
        assert list(embeddings) == layer.embedding_names
        for embedding_name, jagged in embeddings.items():
            feature = ids[embedding_name.split("@")[0]]
            assert jagged.offsets().numpy().tolist() == feature.offsets().numpy().tolist()
        return {key: jagged.values() for key, jagged in embeddings.items()}

    oracle.check(layer, recorded, run)
