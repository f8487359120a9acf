"""What an export holds, and that it is the model it was made from."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tests.support.exports import Ranker, ask, graph_of, predict, signatures_of
from tests.support.serving import DENSE, DIM, FAMILIES, FEATURES, ROWS, batch, collection
from tfrec_models import DLRM, DLRMTrain, EmbeddingBagCollection, EmbeddingBagConfig, xla_disabled
from tfrec_models.dlrm import InteractionArch
from tfrec_models.serving import Metadata, RequestWriter, export
from tfrec_models.serving.signatures import CANDIDATES, SIGNATURES


def make():
    """A small DLRM."""
    return DLRM(collection(), DENSE, [6, DIM], [8, 1])


def test_signatures_have_the_names_promised(exported):
    """Flat, named inputs; a feature's name made safe, and the mapping in the metadata."""
    model = exported("dlrm_weighted_two_outputs")
    definitions = graph_of(model.path).signature_def
    names = ["f1", "f3", "user_id"]
    parts = ("values", "lengths", "weights")
    expected = {
        "serving_default": {"dense_features", *(f"{n}_{part}" for n in names for part in parts)},
        "serving_packed": {"dense_features", *parts},
        "serving_examples": {"examples"},
        "serving_rows": {"dense_features", *names, *(f"{name}_weights" for name in names)},
    }
    for signature, inputs in expected.items():
        assert set(definitions[signature].inputs) == inputs
        assert set(definitions[signature].outputs) == {"logits", "probabilities"}
        assert definitions[signature].method_name == "tensorflow/serving/predict"
    metadata = Metadata.read(model.path)
    assert metadata.names == dict(zip(FEATURES, names, strict=True))
    assert (metadata.model, metadata.num_outputs, metadata.is_weighted) == ("DLRM", 2, True)
    assert [table["name"] for table in metadata.tables] == ["t1", "t2"]
    assert metadata.signatures == [*SIGNATURES, CANDIDATES]


def test_warmup_requests_are_answered(exported):
    """One request for each signature, as a server replays them, with the model's own answer."""
    model = exported("dlrm")
    file = model.path / "assets.extra" / "tf_serving_warmup_requests"
    signatures = signatures_of(model.path)
    answers = {}
    for record in tf.data.TFRecordDataset(str(file)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        inputs = {name: tf.constant(tf.make_ndarray(t)) for name, t in request.inputs.items()}
        signature = request.model_spec.signature_name
        answers[signature] = signatures[signature](**inputs)["logits"].numpy()
    assert set(answers) == {*SIGNATURES, CANDIDATES}
    # Of one request and its candidates: other rows.
    assert answers.pop(CANDIDATES).shape == answers["serving_default"].shape
    for answer in answers.values():
        np.testing.assert_array_equal(answer, answers["serving_default"])


@pytest.mark.parametrize("family", ["dlrm_weighted_two_outputs", "deepfm_ranker"])
def test_after_training_on_two_devices_and_reload(family, two_devices, tmp_path):
    """The export of a mirrored model is that of the file it was saved to, and what both predict.

    Its variables are the model's, once: no optimizer, no metrics, no seeds of dropout, no second
    copy of a table.
    """
    with two_devices.scope():
        ranker = Ranker(FAMILIES[family]())
    mirrored = ranker.model
    with xla_disabled():
        data = tf.data.Dataset.from_tensor_slices((ranker.batch(8), ranker.labels(8))).batch(8)
        mirrored.fit(data, verbose=0)
    mirrored.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    inputs = ranker.batch(5)
    expected = predict(loaded, inputs)
    assert int(loaded.optimizer.iterations) == 1
    for number, source in enumerate((mirrored, loaded)):
        path = export(source, tmp_path / str(number))
        writer, signatures = RequestWriter(path), signatures_of(path)
        for signature in SIGNATURES if source is mirrored else SIGNATURES[:1]:
            arrays = writer.inputs(inputs, signature)
            got = signatures[signature](**{n: tf.constant(array) for n, array in arrays.items()})
            np.testing.assert_array_equal(got[ranker.output], expected, err_msg=signature)
        shapes = dict(tf.train.list_variables(str(path / "variables" / "variables")))
        shapes.pop("_CHECKPOINTABLE_OBJECT_GRAPH")
        wanted = sorted(tuple(variable.shape) for variable in source.trainable_variables)
        assert sorted(tuple(shape) for shape in shapes.values()) == wanted


def test_half_precision(tmp_path):
    """A mixed_bfloat16 model gives float32 outputs, equal to its own."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = make()
    inputs = batch(5)
    got = ask(export(model, tmp_path), inputs)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, np.asarray(predict(model, inputs), np.float32))


def test_id_policies(tmp_path):
    """Bad ids mean in every signature what their table's policy says."""
    policies = ["clip", "hash", "oov", "drop"]
    tables = [EmbeddingBagConfig(ROWS, DIM, policy, id_policy=policy) for policy in policies]
    model = DLRM(EmbeddingBagCollection(tables), DENSE, [6, DIM], [8, 1])
    path = export(model, tmp_path, padding_value=-9)
    bad = tf.ragged.constant([[1, -3], [ROWS + 5, 2]], tf.int64)
    # What the bad ids stand for; the row of "oov" comes after the last.
    bags = {
        "clip": [[1, 0], [ROWS - 1, 2]],
        "hash": [[1, ROWS - 3], [5, 2]],
        "oov": [[1, ROWS], [ROWS, 2]],
        "drop": [[1], [2]],
    }
    dense = batch(2)["dense_features"]
    good = {policy: tf.ragged.constant(ids, tf.int64) for policy, ids in bags.items()}
    expected = predict(model, {"dense_features": dense, "sparse_features": good})
    inputs = {"dense_features": dense, "sparse_features": dict.fromkeys(policies, bad)}
    for signature in SIGNATURES:
        np.testing.assert_array_equal(ask(path, inputs, signature), expected)


def test_next_free_version_and_a_given_one(exported, tmp_path):
    """Versions count up from the highest; one that is there is not written over."""
    model = exported("dlrm").model
    (tmp_path / "7").mkdir()
    (tmp_path / "notes").mkdir()
    assert export(model, tmp_path).name == "8"
    with pytest.raises(FileExistsError, match="has a version 8 already"):
        export(model, tmp_path, version=8)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["7", "8", "notes"]


def test_bad_arguments(exported, tmp_path):
    """Each is refused before anything is written."""
    model = exported("dlrm").model
    with pytest.raises(TypeError, match="must be a ranking model such as DLRM, received DLRMTrain"):
        export(DLRMTrain(model), tmp_path)
    with pytest.raises(ValueError, match="version must be a positive integer or None, received 0"):
        export(model, tmp_path, version=0)
    with pytest.raises(ValueError, match="table_dtype must be None or one of .*received 'int2'"):
        export(model, tmp_path, table_dtype="int2")
    with pytest.raises(ValueError, match="padding_value must be an int64, .* received 0.5"):
        export(model, tmp_path, padding_value=0.5)
    with pytest.raises(ValueError, match="padding_value must be an int64, as ids are"):
        export(model, tmp_path, padding_value=2**63)
    with pytest.raises(ValueError, match="table_dtype must be None or one of .*received tf.bfl"):
        export(model, tmp_path, table_dtype=tf.bfloat16)
    with pytest.raises(ValueError, match="must be a local path, received 'gs://bucket/model'"):
        export(model, "gs://bucket/model")
    with pytest.raises(ValueError, match="sparse_features must have"):
        export(model, tmp_path, sample={"dense_features": tf.ones([1, 5]), "sparse_features": {}})
    assert not list(tmp_path.iterdir())


def test_a_sample_that_is_no_request_is_refused(exported, tmp_path):
    """A server loads no version whose warm-up requests it must refuse."""
    model = exported("dlrm").model
    sample = {**batch(2), "sparse_features": tf.fill([2, 3], ROWS)}
    with pytest.raises(ValueError, match="(?s)sample has.*id 20 in example 0"):
        export(model, tmp_path, sample=sample)
    assert not list(tmp_path.iterdir())


def test_padding_with_zero(tmp_path):
    """The requests drawn for the warm-up leave the padding out, though it be the only id."""
    tables = [
        EmbeddingBagConfig(rows, DIM, f"t{rows}", feature_names=[f"f{rows}"]) for rows in (1, 9)
    ]
    model = DLRM(EmbeddingBagCollection(tables), DENSE, [6, DIM], [8, 1])
    path = export(model, tmp_path, padding_value=0)
    file = str(path / "assets.extra" / "tf_serving_warmup_requests")
    logs = [
        prediction_log_pb2.PredictionLog.FromString(record)
        for record in tf.data.TFRecordDataset(file).as_numpy_iterator()
    ]
    inputs = logs[0].predict_log.request.inputs
    assert tf.make_ndarray(inputs["f1_lengths"]).tolist() == [0] * 64
    assert set(tf.make_ndarray(inputs["f9_values"])) == set(range(1, 9))
    bags = {"f1": tf.ragged.constant([[], []], tf.int64), "f9": tf.ragged.constant([[3], [8, 1]])}
    asked = {"dense_features": batch(2)["dense_features"], "sparse_features": bags}
    np.testing.assert_array_equal(ask(path, asked, "serving_rows"), predict(model, asked))


class Subclassed(keras.Model):
    """A model that calls another, by a layer or at once."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, inputs):
        return tf.sigmoid(self.inner(inputs))


def functional(model):
    """A functional model around a ranking model."""
    inputs = {
        "dense_features": keras.Input((DENSE,)),
        "sparse_features": {name: keras.Input((2,), dtype="int64") for name in FEATURES},
    }
    return keras.Model(inputs, keras.layers.Activation("sigmoid")(model(inputs)))


CONTAINERS = {
    "subclassed": Subclassed,
    "in two": lambda model: Subclassed(Subclassed(model)),
    "sequential": lambda model: keras.Sequential([model, keras.layers.Activation("sigmoid")]),
}
REFUSED = {"itself": lambda model: model, "functional": functional, "DLRMTrain": DLRMTrain}


def called_with_dense_ids(model):
    """Calls a model, and returns its inputs and their specs."""
    ids = tf.zeros([4, 2], tf.int64)
    inputs = {
        "dense_features": tf.ones([4, DENSE]),
        "sparse_features": dict.fromkeys(FEATURES, ids),
    }
    if isinstance(model, DLRMTrain):
        inputs["labels"] = tf.zeros([4])
    model(inputs)
    return inputs, tf.nest.map_structure(
        lambda x: tf.TensorSpec([None, *x.shape[1:]], x.dtype), inputs
    )


def written_by_archive(model, specs):
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", lambda inputs: model(inputs), [specs])
    return archive


@pytest.mark.parametrize("container", REFUSED)
@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
def test_keras_export_says_what_to_call(exported, tmp_path, container):
    """Keras's and TensorFlow's ways have no form for ragged inputs, and say so."""
    model = REFUSED[container](exported("dlrm").model)
    _, specs = called_with_dense_ids(model)
    archive = written_by_archive(model, specs)
    calls = [
        lambda: archive.write_out(tmp_path / "archive"),
        lambda: tf.saved_model.save(model, str(tmp_path / "tensorflow")),
    ]
    if container != "itself":
        calls.append(lambda: model.export(tmp_path / "keras"))
    for call in calls:
        with pytest.raises(NotImplementedError, match=r"Use tfrec_models.serving.export\(model"):
            call()
    assert not list(tmp_path.glob("*/saved_model.pb"))
    if container != "itself":
        with pytest.raises(TypeError, match="a model that contains a ranking model, export the o"):
            export(model, tmp_path)


def test_export_as_keras_calls_it(exported, tmp_path, capsys):
    """`model.export(path)` writes the SavedModel of `serving.export` at the path itself."""
    model, inputs = exported("dlrm").model, batch(5)
    assert model.export(tmp_path / "out") is None
    printed = capsys.readouterr().out
    assert f"'{tmp_path / 'out'}'" in printed and "* serving_default" in printed
    for signature in SIGNATURES:
        np.testing.assert_array_equal(
            ask(tmp_path / "out", inputs, signature), predict(model, inputs)
        )
    model.export(
        str(tmp_path / "out"), "tf_saved_model", False, None, table_dtype="int8", padding_value=0
    )
    assert not capsys.readouterr().out
    metadata = Metadata.read(tmp_path / "out")
    assert metadata.padding_value == 0 and metadata.accuracy_cost
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_export_as_keras_calls_it_refuses_what_has_no_meaning(exported, tmp_path):
    """By the name of the argument, before anything is written."""
    model = exported("dlrm").model
    for arguments, error, text in (
        ({"format": "onnx"}, ValueError, "format must be 'tf_saved_model', received 'onnx'"),
        ({"input_signature": [keras.InputSpec()]}, ValueError, "input_signature must be None"),
        ({"is_static": True}, TypeError, r"'table_dtype'.* received \['is_static'\]"),
        ({"version": 2}, TypeError, r"received \['version'\]. .*call tfrec_models.serving.export"),
        ({"table_dtype": "int2"}, ValueError, "table_dtype must be None or one of"),
    ):
        with pytest.raises(error, match=text):
            model.export(tmp_path / "out", **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("container", CONTAINERS)
def test_keras_export_of_an_outer_model_is_stock(exported, tmp_path, container):
    """It asks the outer model alone: without XLA and custom operations, and with equal answers."""
    model = CONTAINERS[container](exported("dlrm").model)
    inputs, specs = called_with_dense_ids(model)
    written_by_archive(model, specs).write_out(tmp_path, verbose=False)
    graph = graph_of(tmp_path).graph_def
    functions = graph.library.function
    nodes = [*graph.node, *(node for function in functions for node in function.node_def)]
    assert any("Gather" in node.op for node in nodes)
    assert not [node.op for node in nodes if "Tfrec" in node.op]
    assert not [part for part in [*nodes, *functions] if "_XlaMustCompile" in part.attr]
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_allclose(loaded.serve(inputs), model(inputs), rtol=1e-6)
    with pytest.raises(TypeError, match="a model that contains a ranking model, export the o"):
        export(model, tmp_path / "own")


def test_keras_export_of_a_model_of_our_layers(tmp_path):
    """A model of one's own, of layers of ours, is exported as any Keras model is."""

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.interaction = InteractionArch(2)

        def call(self, inputs):
            return self.interaction(inputs["dense"], inputs["sparse"])

    model = Own()
    inputs = {"dense": tf.ones([3, 4]), "sparse": tf.random.normal([3, 2, 4])}
    answers = model(inputs)
    model.export(tmp_path, verbose=False)
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_allclose(loaded.serve(inputs), answers, rtol=1e-6)
    with tf.GradientTape() as tape:
        tape.watch(inputs["dense"])
        total = tf.reduce_sum(loaded.serve(inputs))
    assert np.isnan(tape.gradient(total, inputs["dense"])).all()


def test_features_named_as_keywords(tmp_path):
    """A feature may be called "class", or "self" as the argument of every method."""
    table = EmbeddingBagConfig(9, DIM, "t", feature_names=["class", "self"])
    model = DLRM(EmbeddingBagCollection([table]), DENSE, [6, DIM], [8, 1])
    bags = {"class": tf.ragged.constant([[1, 2], [3]]), "self": tf.ragged.constant([[4], [5]])}
    asked = {"dense_features": batch(2)["dense_features"], "sparse_features": bags}
    path = export(model, tmp_path)
    for signature in SIGNATURES:
        np.testing.assert_allclose(ask(path, asked, signature), predict(model, asked), atol=1e-6)


def test_rows_refuse_weights_of_another_shape(exported, tmp_path):
    """Weights (L, B) for ids (B, L) have as many numbers, in another order."""
    rank = signatures_of(exported("dlrm_weighted_two_outputs").path)["serving_rows"]
    names = ("f1", "f3", "user_id")
    inputs = {name: tf.zeros([2, 3], tf.int64) for name in names}
    inputs |= {f"{name}_weights": tf.ones([2, 3]) for name in names}
    inputs["dense_features"] = tf.zeros([2, DENSE])
    rank(**inputs)
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match="f3.* must have as many weights as ids, received weights of shape",
    ):
        rank(**{**inputs, "f3_weights": tf.ones([3, 2])})
