"""Requests hold the batch they were made from, in the form the server documents."""

import base64
import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from tests.support.serving import forms
from tfrec_models.serving import Metadata, RequestWriter
from tfrec_models.serving.names import safe_names
from tfrec_models.serving.signatures import SIGNATURES

DENSE = [[0.5, -1.25, 3.0, 0.0, 1.0], [0.1, 2.0, 0.0, 0.0, 7.0]]


def writer(is_weighted=False, padding_value=-1):
    """A writer for three features, one with a name that is not safe."""
    names = {"f1": "f1", "f3": "f3", "user id": "user_id"}
    metadata = Metadata(
        "DLRM", {}, 5, 1, names, is_weighted, padding_value, [], signatures=SIGNATURES
    )
    return RequestWriter(metadata, model_name="ranker")


def batch():
    """Two examples; one feature as single ids."""
    return {
        "dense_features": tf.constant(DENSE),
        "sparse_features": {
            "f1": tf.ragged.constant([[1, 2], []], tf.int64),
            "f3": tf.constant([7, 8]),
            "user id": tf.ragged.constant([[], [5]], tf.int32, row_splits_dtype=tf.int32),
        },
    }


def float32(numbers):
    """The numbers as JSON carries them: exact float32 values."""
    return np.array(numbers, np.float32).tolist()


def test_rest_columns():
    """`serving_default` in REST's column format."""
    assert json.loads(writer().rest(batch())) == {
        "signature_name": "serving_default",
        "inputs": {
            "dense_features": float32(DENSE),
            "f1_values": [1, 2],
            "f1_lengths": [2, 0],
            "f3_values": [7, 8],
            "f3_lengths": [1, 1],
            "user_id_values": [5],
            "user_id_lengths": [0, 1],
        },
    }


def test_rest_packed():
    """`serving_packed`: all ids and all lengths, feature by feature in the written order."""
    assert json.loads(writer().rest(batch(), "serving_packed")) == {
        "signature_name": "serving_packed",
        "inputs": {
            "dense_features": float32(DENSE),
            "values": [1, 2, 7, 8, 5],
            "lengths": [2, 0, 1, 1, 0, 1],
        },
    }


def test_rest_rows():
    """`serving_rows` in REST's row format, each feature padded to its longest bag."""
    assert json.loads(writer().rest(batch(), "serving_rows")) == {
        "signature_name": "serving_rows",
        "instances": [
            {"dense_features": float32(DENSE[0]), "f1": [1, 2], "f3": [7], "user_id": [-1]},
            {"dense_features": float32(DENSE[1]), "f1": [-1, -1], "f3": [8], "user_id": [5]},
        ],
    }


def test_rest_examples():
    """`serving_examples` in REST: base64 of serialized `tf.Example`s."""
    body = json.loads(writer().rest(batch(), "serving_examples"))
    assert body["signature_name"] == "serving_examples"
    parsed = [
        tf.train.Example.FromString(base64.b64decode(instance["examples"]["b64"]))
        for instance in body["instances"]
    ]
    assert parsed == writer().examples(batch())
    features = parsed[1].features.feature
    assert features["dense_features"].float_list.value == float32(DENSE[1])
    assert features["user_id"].int64_list.value == [5]
    assert "f1" in features and not features["f1"].int64_list.value


def test_weights_go_with_their_ids():
    """Padded with zeros in rows, flat in columns."""
    inputs = batch()
    ids = inputs["sparse_features"]
    inputs["sparse_features"] = {
        "f1": (ids["f1"], tf.ragged.constant([[0.5, 2.0], []], tf.float32)),
        "f3": (ids["f3"], tf.constant([3.0, 4.0])),
        "user id": (ids["user id"], tf.ragged.constant([[], [1.5]], row_splits_dtype=tf.int32)),
    }
    weighted = writer(is_weighted=True)
    assert weighted.inputs(inputs)["f1_weights"].tolist() == [0.5, 2.0]
    assert weighted.inputs(inputs, "serving_packed")["weights"].tolist() == [0.5, 2, 3, 4, 1.5]
    rows = weighted.inputs(inputs, "serving_rows")
    assert rows["f1_weights"].tolist() == [[0.5, 2.0], [0.0, 0.0]]
    assert rows["user_id_weights"].tolist() == [[0.0], [1.5]]
    examples = weighted.examples(inputs)
    assert examples[0].features.feature["f1_weights"].float_list.value == [0.5, 2.0]


def test_predict_request():
    """A `PredictRequest` names model and signature, and survives the wire."""
    request = writer().predict_request(batch(), "serving_rows")
    request = predict_pb2.PredictRequest.FromString(request.SerializeToString())
    assert request.model_spec.name == "ranker"
    assert request.model_spec.signature_name == "serving_rows"
    assert tf.make_ndarray(request.inputs["f1"]).tolist() == [[1, 2], [-1, -1]]
    examples = writer().predict_request(batch(), "serving_examples").inputs["examples"]
    assert examples.dtype == tf.string.as_datatype_enum
    assert list(examples.string_val) == [e.SerializeToString() for e in writer().examples(batch())]


def test_every_form_of_the_same_bags_is_the_same_request():
    """Ragged by name, packed, and a KeyedJaggedTensor; single ids by name and packed."""
    for is_weighted in (False, True):
        batches = forms(4, is_weighted)
        for same in (
            ("ragged", "packed", "keyed_jagged_tensor"),
            ("single_by_name", "single_packed"),
        ):
            for signature in SIGNATURES:
                arrays = [writer(is_weighted).inputs(batches[form], signature) for form in same]
                for other in arrays[1:]:
                    assert list(other) == list(arrays[0])
                    for name, array in other.items():
                        np.testing.assert_array_equal(array, arrays[0][name], err_msg=name)
                        assert array.dtype == arrays[0][name].dtype


def test_what_cannot_be_written_is_refused():
    """NaN in JSON, an id that is the padding, unequal numbers of examples, another signature."""
    with pytest.raises(ValueError, match="JSON has no NaN"):
        writer().rest({**batch(), "dense_features": tf.fill([2, 5], np.float32("nan"))})
    with pytest.raises(ValueError, match="Input 'f3' has an id 8, which is the padding value"):
        writer(padding_value=8).rest(batch(), "serving_rows")
    with pytest.raises(ValueError, match="same number of examples.*'dense_features': 1, 'f1': 2"):
        writer().inputs({**batch(), "dense_features": tf.ones([1, 5])})
    with pytest.raises(ValueError, match=r"signature must be one of \['serving_default'"):
        writer().inputs(batch(), "serving")
    for dense, error, text in (
        (tf.ones([2, 3]), ValueError, r"dense_features must have shape \(batch, 5\)"),
        (tf.ones([2]), ValueError, r"dense_features must have shape \(batch, 5\)"),
        (tf.ones([2, 5], tf.int32), TypeError, "dense_features must be floats, received int32"),
        (tf.fill([2, 5], "a"), TypeError, "dense_features must be floats, received string"),
    ):
        with pytest.raises(error, match=text):
            writer().examples({**batch(), "dense_features": dense})
    with pytest.raises(FileNotFoundError, match="must be one version of a model"):
        RequestWriter("nowhere/1")


def test_an_export_from_before_a_signature_has_no_request_of_it():
    """What the metadata of an older version does not name is refused, with what there is."""
    older = RequestWriter(Metadata("DLRM", {}, 5, 1, {"f1": "f1"}, False, -1, []))
    with pytest.raises(ValueError, match="'serving_rows'], received 'serving_packed'"):
        older.inputs(batch(), "serving_packed")


@pytest.mark.parametrize("text", ["{", "[1]", '{"model": "DLRM", "of_the_future": 1}'])
def test_metadata_of_another_version_is_refused(tmp_path, text):
    """By the path of the file, and with what to do."""
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra" / "tfrec_models.json").write_text(text)
    with pytest.raises(ValueError, match="tfrec_models.json is not what.*Export the model again"):
        RequestWriter(tmp_path)


def test_safe_names():
    """Safe names stay; others are made safe; none takes another's place."""
    assert safe_names(["a b", "a_b", "A-B", "7", "dense_features", "é", "x", "x_weights"]) == {
        "a b": "a_b_2",
        "a_b": "a_b",
        "A-B": "A_B_3",
        "7": "f_7",
        "dense_features": "dense_features_2",
        "é": "f__",
        "x": "x",
        "x_weights": "x_weights_2",
    }


def test_safe_names_of_keywords():
    """A keyword of Python, which no function has an argument of, is given another name."""
    assert safe_names(["class", "f_class", "None", "self"]) == {
        "class": "f_class_2",
        "f_class": "f_class",
        "None": "f_None",
        "self": "f_self",
    }
