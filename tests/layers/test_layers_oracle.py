"""Embedding bags, perceptrons and MLPs against TorchRec's recorded numbers."""

import pytest

from tests.support import oracle
from tfrec_models import layers


@pytest.mark.parametrize("name", oracle.select(class_name=["EmbeddingBagCollection"]))
def test_embedding_bag_collection_equals_torchrec(name, both_paths):
    """Pooled values, their names and order, and every gradient are TorchRec's."""
    case, recorded = oracle.index()[name], oracle.arrays(name)
    layer = oracle.collection(case, **case["ctor"])
    oracle.load(layer, recorded)

    def run(floats):
        pooled = layer(
            oracle.kjt(case, recorded, floats.get("weights", recorded.get("in/weights")))
        )
        assert pooled.keys() == case["out_keys"]
        assert pooled.length_per_key() == case["out_length_per_key"]
        return {"values": pooled.values()}

    oracle.check(layer, recorded, run)


@pytest.mark.parametrize("name", oracle.select(class_name=["MLP", "Perceptron", "SwishLayerNorm"]))
def test_dense_layer_equals_torchrec(name):
    """Perceptron, MLP with its activation forms, and SwishLayerNorm are TorchRec's."""
    case, recorded = oracle.index()[name], oracle.arrays(name)
    layer = getattr(layers, case["class"].rsplit(".", 1)[1])(**case["ctor"])
    oracle.load(layer, recorded)
    oracle.check(layer, recorded, lambda floats: {"y": layer(floats["x"])})
