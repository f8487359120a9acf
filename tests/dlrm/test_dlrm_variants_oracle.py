"""DLRM_DCN, DLRM_Projection, DLRM_Transformer and DLRMWrapper against TorchRec's numbers."""

import keras
import pytest
import tensorflow as tf

from tests.support import oracle
from tfrec_models import DLRM, DLRMTrain, dlrm, experimental
from tfrec_models.layers import LowRankCrossNet

VARIANTS = ["DLRM_DCN", "DLRM_Projection", "DLRM_Transformer"]


def make_variant(name, collection, ctor):
    """A variant by TorchRec's name, attending as TorchRec's transformer does."""
    if name == "DLRM_Transformer":
        return experimental.DLRM_Transformer(collection, **ctor, attend_over="batch")
    return getattr(dlrm, name)(collection, **ctor)


@pytest.mark.parametrize("name", oracle.select(class_name=VARIANTS, kind=["forward"]))
def test_variant_equals_torchrec(name):
    """Logits and every gradient; the transformer without dropout."""
    case, recorded = oracle.index()[name], oracle.arrays(name)
    collection = oracle.collection(case, case["is_weighted"])
    model = make_variant(oracle.class_name(case), collection, case["ctor"])
    oracle.load(model, recorded)

    def run(floats):
        return {"y": model(floats["dense"], oracle.kjt(case, recorded, floats.get("weights")))}

    oracle.check(model, recorded, run)


@pytest.mark.parametrize("name", ["dlrm_train_step_dcn", "dlrm_train_step_projection"])
def test_train_variant_equals_torchrec(name):
    """DLRMTrain around a variant: loss, logits and every gradient."""
    case, recorded = oracle.index()[name], oracle.arrays(name)
    wrapped = case["wrapped"].rsplit(".", 1)[1]
    model = DLRMTrain(make_variant(wrapped, oracle.collection(case), case["ctor"]))
    oracle.load(model, recorded)

    def run(floats):
        loss, (_, logits, _) = model(
            {
                "dense_features": floats["dense"],
                "sparse_features": oracle.kjt(case, recorded),
                "labels": tf.constant(recorded["in/labels"]),
            }
        )
        return {"loss": loss, "logits": logits}

    oracle.check(model, recorded, run)


@pytest.mark.parametrize("name", oracle.select(class_name=["DLRMWrapper"]))
def test_compiled_dlrm_equals_torchrecs_wrapper(name):
    """What DLRMWrapper adds, DLRM has by compile(): its predictions, and its loss from logits."""
    case, recorded = oracle.index()[name], oracle.arrays(name)
    model = oracle.load(DLRM(oracle.collection(case), **case["ctor"]), recorded)
    model.compile("sgd", loss=keras.losses.BinaryCrossentropy(from_logits=True))

    def run(floats):
        logits = model(floats["dense"], oracle.kjt(case, recorded))
        if case["mode"] == "eval":
            return {"y": logits}
        loss = model.compute_loss(y=tf.constant(recorded["in/labels"]), y_pred=logits)
        return {"loss": loss, "pred": logits}

    oracle.check(model, recorded, run)


def test_dcn_interaction_equals_torchrec():
    """InteractionDCNArch crosses the dense vector and the embeddings side by side."""
    case, recorded = oracle.index()["inter_dcn_arch"], oracle.arrays("inter_dcn_arch")
    ctor = case["ctor"]
    layer = dlrm.InteractionDCNArch(
        ctor["num_sparse_features"], LowRankCrossNet(**ctor["crossnet"])
    )
    check_interaction(layer, recorded)


def test_projection_interaction_equals_torchrec():
    """InteractionProjectionArch shapes its second branch as (D, F2), not transposed."""
    case = oracle.index()["inter_projection_arch"]
    ctor = case["ctor"]
    layer = dlrm.InteractionProjectionArch(
        ctor["num_sparse_features"],
        dlrm.DenseArch(16, ctor["branch1_layer_sizes"]),
        dlrm.DenseArch(16, ctor["branch2_layer_sizes"]),
    )
    check_interaction(layer, oracle.arrays("inter_projection_arch"))


def test_transformer_interaction_equals_torchrec():
    """InteractionTransformerArch, attending over the batch as TorchRec's does."""
    case = oracle.index()["inter_transformer_arch"]
    layer = experimental.InteractionTransformerArch(**case["ctor"], attend_over="batch")
    check_interaction(layer, oracle.arrays("inter_transformer_arch"))


def check_interaction(layer, recorded):
    """Output, and gradients of weights and inputs."""
    oracle.load(layer, recorded)
    oracle.check(layer, recorded, lambda floats: {"y": layer(floats["dense"], floats["sparse"])})
