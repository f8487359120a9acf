"""DLRM, its parts and its loss against TorchRec's recorded numbers."""

import pytest
import tensorflow as tf

from tests.support import oracle
from tfrec_models import DLRM, DLRMTrain, dlrm


@pytest.mark.parametrize("name", oracle.select(class_name=["DLRM"], kind=["forward"]))
def test_dlrm_equals_torchrec(name):
    """Logits and every gradient of DLRM are TorchRec's."""
    case, recorded = oracle.index()[name], oracle.arrays(name)
    model = DLRM(oracle.collection(case, case["is_weighted"]), **case["ctor"])
    oracle.load(model, recorded)

    def run(floats):
        return {"y": model(floats["dense"], oracle.kjt(case, recorded, floats.get("weights")))}

    oracle.check(model, recorded, run)


@pytest.mark.parametrize("name", ["dlrm_train_step", "dlrm_train_step_B1"])
def test_dlrm_train_equals_torchrec(name):
    """DLRMTrain's loss, logits and every gradient are TorchRec's."""
    case, recorded = oracle.index()[name], oracle.arrays(name)
    model = DLRMTrain(DLRM(oracle.collection(case), **case["ctor"]))
    oracle.load(model, recorded)

    def run(floats):
        loss, (detached, logits, _) = model(
            {
                "dense_features": floats["dense"],
                "sparse_features": oracle.kjt(case, recorded),
                "labels": tf.constant(recorded["in/labels"]),
            }
        )
        assert detached == loss
        return {"loss": loss, "logits": logits}

    oracle.check(model, recorded, run)


def test_sparse_arch_equals_torchrec():
    """SparseArch stacks features in table order, and ignores a key it has no table for."""
    case, recorded = oracle.index()["dlrm_sparse_arch"], oracle.arrays("dlrm_sparse_arch")
    layer = oracle.load(dlrm.SparseArch(oracle.collection(case)), recorded)
    oracle.check(layer, recorded, lambda floats: {"y": layer(oracle.kjt(case, recorded))})


@pytest.mark.parametrize("name", ["dlrm_dense_arch", "dlrm_over_arch", "dlrm_over_arch_out2"])
def test_dense_parts_equal_torchrec(name):
    """DenseArch and OverArch are TorchRec's."""
    case, recorded = oracle.index()[name], oracle.arrays(name)
    layer = getattr(dlrm, case["class"].rsplit(".", 1)[1])(**case["ctor"])
    oracle.load(layer, recorded)
    oracle.check(layer, recorded, lambda floats: {"y": layer(floats["x"])})


@pytest.mark.parametrize("name", oracle.select(class_name=["InteractionArch"]))
def test_interaction_equals_torchrec(name):
    """The pairs come in TorchRec's order."""
    case, recorded = oracle.index()[name], oracle.arrays(name)
    layer = dlrm.InteractionArch(**case["ctor"])
    layer.build()
    oracle.check(layer, recorded, lambda floats: {"y": layer(floats["dense"], floats["sparse"])})
