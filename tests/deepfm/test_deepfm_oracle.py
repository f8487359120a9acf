"""SimpleDeepFMNN and its parts against TorchRec's recorded numbers."""

import pytest
import tensorflow as tf

from tests.support import oracle
from tfrec_models import KeyedTensor, deepfm


@pytest.mark.parametrize("name", oracle.select(class_name=["SimpleDeepFMNN"], kind=["forward"]))
def test_simple_deepfm_nn_equals_torchrec(name):
    """Probabilities and every gradient."""
    case, recorded = oracle.index()[name], oracle.arrays(name)
    model = make(case)
    oracle.load(model, recorded)

    def run(floats):
        return {"y": model(floats["dense"], oracle.kjt(case, recorded, floats.get("weights")))}

    oracle.check(model, recorded, run)


def test_outputs_equal_torchrecs_wrapper_and_its_loss_is_a_second_sigmoid():
    """SimpleDeepFMNNWrapper's `pred` is our output; its loss takes that for logits once more."""
    name = "deepfm_wrapper_train"
    case, recorded = oracle.index()[name], oracle.arrays(name)
    model = make(case)
    oracle.load(model, recorded)
    labels = tf.constant(recorded["in/labels"])

    def run(floats):
        probabilities = model(floats["dense"], oracle.kjt(case, recorded))
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, tf.squeeze(probabilities, -1))
        return {"loss": tf.reduce_mean(losses), "pred": probabilities}

    oracle.check(model, recorded, run)


def test_sparse_arch_equals_torchrec():
    """SparseArch returns the pooled embeddings by name."""
    name = "deepfm_sparse_arch"
    case, recorded = oracle.index()[name], oracle.arrays(name)
    layer = oracle.load(deepfm.SparseArch(oracle.collection(case)), recorded)
    oracle.check(
        layer, recorded, lambda floats: {"values": layer(oracle.kjt(case, recorded)).values()}
    )


@pytest.mark.parametrize("name", ["deepfm_dense_arch", "deepfm_over_arch"])
def test_dense_parts_equal_torchrec(name):
    """DenseArch has a ReLU after both layers, OverArch a sigmoid."""
    case, recorded = oracle.index()[name], oracle.arrays(name)
    layer = getattr(deepfm, oracle.class_name(case))(**case["ctor"])
    oracle.load(layer, recorded)
    oracle.check(layer, recorded, lambda floats: {"y": layer(floats["x"])})


@pytest.mark.parametrize("name", oracle.select(class_name=["FMInteractionArch"]))
def test_interaction_equals_torchrec(name):
    """FMInteractionArch takes embeddings in the order of its names, not of the KeyedTensor."""
    case, recorded = oracle.index()[name], oracle.arrays(name)
    layer = oracle.load(deepfm.FMInteractionArch(**case["ctor"]), recorded)

    def run(floats):
        embeddings = KeyedTensor(["f1", "f2"], [3, 3], floats["sparse_values"])
        return {"y": layer(floats["dense"], embeddings)}

    oracle.check(layer, recorded, run)


def make(case):
    """The case's model."""
    return deepfm.SimpleDeepFMNN(
        embedding_bag_collection=oracle.collection(case, case["is_weighted"]), **case["ctor"]
    )
