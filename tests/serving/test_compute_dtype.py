"""Exports whose dense half computes in bfloat16."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.exports import ask, predict
from tests.support.serving import DENSE, FAMILIES, batch
from tfrec_models import DLRM
from tfrec_models.serving import Metadata, export


def test_equals_a_model_under_keras_policy(tmp_path):
    """As the same weights under mixed_bfloat16; both models and the metadata say what they are."""
    for family in ("dlrm", "deepfm_ranker"):
        model, inputs = FAMILIES[family](), batch(6)
        before = predict(model, inputs)
        options = {"request_features": ["f1"]} if family == "dlrm" else {}
        path = export(model, tmp_path, compute_dtype="bfloat16", sample=inputs, **options)
        got = ask(path, inputs)
        assert 0 < np.abs(got - before).max() < 0.05, family
        model.make_predict_function(force=True)
        np.testing.assert_array_equal(predict(model, inputs), before)
        metadata = Metadata.read(path)
        assert metadata.compute_dtype == "bfloat16" and metadata.model == type(model).__name__
        assert metadata.tables[0]["dtype"] == "float32"
        assert 0 < metadata.accuracy_cost["logits"]["max_abs_difference"] < 0.1
        # The same in Keras's own words: a model whose policy is that.
        if family == "dlrm":
            config = {**model.get_config(), "dtype": "mixed_bfloat16"}
            mixed = DLRM.from_config(
                {
                    **config,
                    "embedding_bag_collection": model.embedding_bag_collection,
                    "inter_arch": None,
                }
            )
            mixed.build()
            mixed.set_weights(model.get_weights())
            np.testing.assert_array_equal(got, predict(mixed, inputs))


class WithoutConfig(DLRM):
    """A model that its config does not make again."""

    def __init__(self, *args, scale):
        super().__init__(*args)


def test_what_has_no_bfloat16_form_is_refused(tmp_path):
    """By the argument, and by what the model lacks."""
    model = FAMILIES["dlrm"]()
    for value in ("float16", tf.bfloat16):
        with pytest.raises(ValueError, match="compute_dtype must be None or one of"):
            export(model, tmp_path, compute_dtype=value)
    other = WithoutConfig(model.embedding_bag_collection, DENSE, [4], [8, 1], scale=2)
    with pytest.raises(ValueError, match="needs a model that its config makes again.*WithoutConfi"):
        export(other, tmp_path, compute_dtype="bfloat16")
    assert not list(tmp_path.iterdir())
