"""DLRM as a Keras model: training, saving, functional use, precision, errors."""

import json
import subprocess
import sys
import warnings
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.data import dataset, features
from tests.support.models import FEATURES, ROWS, compiled, make_dlrm, two_tables
from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig, dlrm, xla_disabled
from tfrec_models.optimizers import Adagrad, LazyAdam, RowWiseAdagrad


@pytest.fixture
def without_xla():
    """For tests of something else: compiling would be most of their time."""
    with xla_disabled():
        yield


@pytest.mark.usefixtures("without_xla")
def test_fit_evaluate_predict():
    """It learns its training data; evaluate and predict agree on the smaller last batch."""
    model = compiled(make_dlrm(), LazyAdam(0.05))
    history = model.fit(dataset(), epochs=30, verbose=0).history
    assert history["loss"][-1] < 0.3 * history["loss"][0]
    assert history["auc"][-1] > 0.99
    logits = model.predict(dataset(), verbose=0)
    np.testing.assert_allclose(logits, model(features(10)), atol=1e-5)
    labels = np.arange(10)[:, None] % 2
    by_hand = np.mean(np.log1p(np.exp(logits)) - labels * logits)
    np.testing.assert_allclose(model.evaluate(dataset(), verbose=0)[0], by_hand, atol=1e-6)


def test_the_step_of_a_new_model_is_traced_once():
    """Its variables are made before: TensorFlow traces a step that made one a second time.

    Of `fit` and `evaluate` with a metric and slots, and of `predict`, with a smaller last batch; a
    batch of arrays trains too.
    """
    batches = dataset(10)
    inputs = batches.map(lambda x, y: x)
    for method, step, data in (
        ("fit", "train_step", batches),
        ("evaluate", "test_step", batches),
        ("predict", "predict_step", inputs),
    ):
        model = compiled(make_dlrm(), LazyAdam(0.01))
        with mock.patch.object(model, step, wraps=getattr(model, step)) as traced:
            getattr(model, method)(data, verbose=0)
        assert traced.call_count == 1, method
    batch = {
        "dense_features": np.ones((2, 5), np.float32),
        "sparse_features": np.ones((2, 3), np.int64),
    }
    assert np.isfinite(compiled(make_dlrm()).train_on_batch(batch, np.zeros((2, 1)))).all()


@pytest.mark.usefixtures("without_xla")
@pytest.mark.parametrize("inside", [False, True])
def test_tables_are_made_outside_of_the_first_step(inside):
    """Made while it is traced, a table and its slots would take three times their memory.

    And an `init_fn` is heard, whenever Keras builds the model.
    """
    modes = []

    def fill(number):
        def initialize(shape, dtype=None):
            modes.append(tf.executing_eagerly())
            return tf.fill(shape, tf.cast(number, dtype))

        return initialize

    class Recording(RowWiseAdagrad):
        def slot_initializers(self):
            return {"accumulator": fill(0)}

    ranker = make_dlrm(init_fn=fill(7))
    model = Containing(ranker) if inside else ranker
    compiled(model, Recording(0.0)).fit(dataset(), verbose=0)
    # The table and a slot of each variable; Keras may ask in a graph as well that it never runs.
    assert modes.count(True) == 1 + len(model.trainable_variables)
    assert (ranker.embedding_bag_collection.read_table("t2").numpy() == 7).all()


class Containing(keras.Model):
    """A model around another."""

    def __init__(self, ranker):
        super().__init__()
        self.ranker = ranker

    def call(self, inputs):
        return self.ranker(inputs)


def test_calls_with_arguments_and_dict_are_one():
    """model({...}), model(dense, sparse) and keywords give the same."""
    model, inputs = make_dlrm(), features(3)
    expected = model(inputs)
    np.testing.assert_array_equal(model(**inputs), expected)
    np.testing.assert_array_equal(model(*inputs.values()), expected)


def test_interaction_is_traced_once_per_shape_of_batch():
    """More ids, other bags: fit never traces or compiles the interaction again."""
    model = compiled(make_dlrm())
    program = model.inter_arch.interaction
    before = program.trace_count
    model.fit(dataset(8), verbose=0)
    traces = program.trace_count
    for seed in range(1, 4):
        labels = tf.zeros(8)
        varied = tf.data.Dataset.from_tensor_slices((features(8, seed), labels)).batch(4)
        model.fit(varied, verbose=0)
    assert program.trace_count == traces <= before + 2


def test_jit_compile_auto_leaves_the_lookup_alone():
    """Even where Keras would choose XLA, on a GPU machine, the model says no."""
    from keras.src.trainers import trainer

    assert not trainer.model_supports_jit(make_dlrm())
    assert compiled(make_dlrm()).jit_compile is False
    with pytest.raises(ValueError, match="cannot be compiled with jit_compile=True"):
        make_dlrm().compile("sgd", "mse", jit_compile=True)


RELOAD = """
import json, sys
import keras, numpy as np, tensorflow as tf
import tfrec_models
model = keras.saving.load_model(sys.argv[1])
inputs = np.load(sys.argv[2])
sparse = {
    name: tf.RaggedTensor.from_row_splits(inputs[name], inputs[name + "_splits"])
    for name in ("f1", "f2", "f3")
}
batch = {"dense_features": tf.constant(inputs["dense"]), "sparse_features": sparse}
before = model(batch).numpy().ravel().tolist()
iterations = int(model.optimizer.iterations)
examples = tf.data.Dataset.from_tensors((batch, tf.constant(inputs["labels"])))
model.fit(examples, epochs=2, verbose=0)
after = model(batch).numpy().ravel().tolist()
print(json.dumps({"before": before, "iterations": iterations, "after": after}))
"""


def test_saved_model_goes_on_in_a_fresh_process(tmp_path):
    """Loaded without custom_objects: equal to the bit, and training goes on as if never stopped."""
    model, batch = compiled(make_dlrm(id_policy="oov"), Adagrad(0.05)), features(6)
    labels = tf.constant([0.0, 1, 1, 0, 1, 0])
    examples = tf.data.Dataset.from_tensors((batch, labels))
    model.fit(examples, epochs=3, verbose=0)
    model.save(tmp_path / "model.keras")
    arrays = {"dense": batch["dense_features"], "labels": labels}
    for name, ragged in batch["sparse_features"].items():
        arrays.update({name: ragged.values, f"{name}_splits": ragged.row_splits})
    np.savez(tmp_path / "inputs.npz", **arrays)
    run = subprocess.run(
        [sys.executable, "-c", RELOAD, tmp_path / "model.keras", tmp_path / "inputs.npz"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    loaded = json.loads(run.stdout.splitlines()[-1])
    assert loaded["before"] == model(batch).numpy().ravel().tolist()
    assert loaded["iterations"] == 3
    model.fit(examples, epochs=2, verbose=0)
    np.testing.assert_allclose(loaded["after"], model(batch).numpy().ravel(), atol=1e-6)


def test_inexact_optimizers_are_named():
    """Compiling with Keras's Adam warns and names what to use."""
    with pytest.warns(UserWarning, match="wrong for ids that repeat .*optimizers.LazyAdam"):
        make_dlrm().compile("adam", "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_dlrm().compile(LazyAdam(0.1), "mse")


def test_config_round_trip():
    """A model made from a config has the same config, and its own weights' shapes."""
    model = make_dlrm(pooling="MEAN", id_policy="clip")
    twin = DLRM.from_config(model.get_config())
    assert twin.get_config() == model.get_config()
    model.build()
    twin.build()
    assert [w.shape for w in twin.weights] == [w.shape for w in model.weights]


def test_an_interaction_of_ones_own():
    """Any layer over dense (B, D) and sparse (B, F, D) makes a new model; saved and loaded too."""
    model = DLRM(two_tables(), 5, [6, 4], [8, 1], inter_arch=JustConcatenate())
    model.build()
    assert model.over_arch.mlp.in_size == 16
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))
    assert type(twin.inter_arch) is JustConcatenate
    assert model(features(2)).shape == (2, 1)


@keras.saving.register_keras_serializable("tests")
class JustConcatenate(keras.layers.Layer):
    """No products at all."""

    def build(self, dense_features_shape=None, sparse_features_shape=None):
        self.built = True

    def call(self, dense_features, sparse_features):
        return tf.concat([dense_features, tf.reshape(sparse_features, [-1, 12])], axis=1)

    def compute_output_shape(self, dense_features_shape, sparse_features_shape):
        return (dense_features_shape[0], sparse_features_shape[1] * 4 + 4)


def test_summary_and_plot(tmp_path, capsys):
    """summary() shows the parts with their shapes; plot_model draws where graphviz is installed."""
    model = make_dlrm()
    model.build()
    model.summary()
    printed = capsys.readouterr().out
    assert "sparse_arch" in printed and "(None, 3, 4)" in printed and "(None, 10)" in printed
    # 2 tables of 20 x 4 and the reserved row; 5-6-4 and 10-8-1 dense layers
    assert f"{(2 * ROWS + 1) * 4 + 36 + 28 + 88 + 9:,}" in printed
    try:
        keras.utils.plot_model(model, tmp_path / "model.png")
    except ImportError as error:
        pytest.skip(f"plot_model needs pydot and graphviz: {error}")
    assert (tmp_path / "model.png").stat().st_size > 0


@pytest.mark.usefixtures("without_xla")
def test_functional_model(tmp_path):
    """DLRM as a layer on ragged Keras inputs, saved, loaded and trained."""
    model = make_dlrm()
    inputs = {
        "dense_features": keras.Input((5,), name="dense_features"),
        "sparse_features": {
            name: keras.Input((None,), ragged=True, dtype="int64", name=name) for name in FEATURES
        },
    }
    functional = compiled(keras.Model(inputs, 2 * model(inputs)), "sgd")
    batch = features(4)
    np.testing.assert_allclose(functional(batch), 2 * model(batch), rtol=1e-5)
    functional.save(tmp_path / "functional.keras")
    loaded = keras.saving.load_model(tmp_path / "functional.keras")
    np.testing.assert_array_equal(loaded(batch), functional(batch))
    loaded.fit(dataset(), verbose=0)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    """Trains in half precision; tables and all other weights stay float32."""
    keras.config.set_dtype_policy(policy)
    model = compiled(make_dlrm(), LazyAdam(0.05))
    history = model.fit(dataset(), epochs=20, verbose=0).history
    assert history["loss"][-1] < 0.6 * history["loss"][0]
    assert {variable.dtype for variable in model.variables} == {"float32"}
    assert model(features(2)).dtype.name == policy.removeprefix("mixed_")


@pytest.mark.usefixtures("without_xla")
def test_numpy_arrays_go_straight_into_fit():
    """A dict of NumPy id vectors needs no tf.data."""
    rng = np.random.default_rng(0)
    inputs = {
        "dense_features": rng.normal(size=(9, 5)).astype("float32"),
        "sparse_features": {name: rng.integers(0, ROWS, 9) for name in FEATURES},
    }
    model = compiled(make_dlrm())
    model.fit(inputs, rng.integers(0, 2, 9).astype("float32"), batch_size=4, verbose=0)
    assert model.predict(inputs, batch_size=4, verbose=0).shape == (9, 1)


def test_choose():
    """Binomial coefficients, 0 out of range."""
    assert [dlrm.choose(5, k) for k in (-1, 0, 2, 5, 6)] == [0, 1, 10, 1, 0]


BAD_ARGUMENTS = {
    r"must end in the tables' embedding_dim 4, received dense_arch_layer_sizes=\[6, 5\]": {
        "dense_arch_layer_sizes": [6, 5]
    },
    r"OverArch needs at least one layer, .* received \[\]": {"over_arch_layer_sizes": []},
    "dropout must be 0 or above and below 1, received 1": {"dropout": 1},
    "batch_normalization must be True or False, received 1": {"batch_normalization": 1},
    r"layer_sizes must be a list of positive integers, received \[0, 1\]": {
        "over_arch_layer_sizes": [0, 1]
    },
    "dense_in_features must be an integer, 0 or above, received -1": {"dense_in_features": -1},
    r"same embedding_dim, received \{'t1': 4, 't2': 3\}": {
        "embedding_bag_collection": two_tables(embedding_dim=3)
    },
    r"DenseArch needs at least one layer": {"dense_arch_layer_sizes": []},
}


@pytest.mark.parametrize("message", BAD_ARGUMENTS)
def test_bad_arguments(message):
    """Each names the argument and what was received."""
    arguments = {
        "embedding_bag_collection": two_tables(),
        "dense_in_features": 5,
        "dense_arch_layer_sizes": [6, 4],
        "over_arch_layer_sizes": [8, 1],
        **BAD_ARGUMENTS[message],
    }
    with pytest.raises(ValueError, match=message):
        DLRM(**arguments)


def test_something_that_is_no_collection():
    """The type received is named."""
    with pytest.raises(TypeError, match="must be an EmbeddingBagCollection, received list"):
        DLRM([], 5, [6, 4], [8, 1])
    with pytest.raises(TypeError, match="must be a ranking model such as DLRM, received str"):
        dlrm.DLRMTrain("dlrm")


BAD_CALLS = {
    r"dense_features must have shape \(batch, 5\), .* received \(2, 4\)": {
        "dense_features": tf.ones((2, 4))
    },
    r"takes a dict with 'dense_features' and 'sparse_features'.*a dict with \['dense_features'\]": {
        "sparse_features": None
    },
    "same number of examples, received: 2, 3|as many examples of dense as of sparse": {
        "sparse_features": features(3)["sparse_features"]
    },
}


@pytest.mark.parametrize("message", BAD_CALLS)
def test_bad_calls(message):
    """Inputs that do not fit are named before anything is computed."""
    inputs = {**features(2), **BAD_CALLS[message]}
    inputs = {name: value for name, value in inputs.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        make_dlrm()(inputs)


def test_integer_dense_features():
    """Integers are refused with the cast that mends them."""
    with pytest.raises(TypeError, match="dense_features must be floats, received int32"):
        make_dlrm()({**features(2), "dense_features": tf.ones((2, 5), tf.int32)})


OPEN_BATCH = [
    tf.TensorSpec([None, 5]),
    {name: tf.RaggedTensorSpec([None, None], tf.int64) for name in FEATURES},
]


def test_unequal_batches_in_a_graph():
    """Batch sizes that come to differ at run time are named there."""
    run = tf.function(make_dlrm().__call__, input_signature=OPEN_BATCH)
    with pytest.raises(tf.errors.InvalidArgumentError, match="same number of examples"):
        run(features(2)["dense_features"], features(3)["sparse_features"])


def test_the_interaction_waits_for_the_check_of_batch_sizes():
    """Unordered, the interaction may be the first to fail, with a message about a concat."""
    model = make_dlrm()
    with xla_disabled():
        graph = (
            tf.function(model.__call__, input_signature=OPEN_BATCH).get_concrete_function().graph
        )
    (interaction,) = (op for op in graph.get_operations() if op.type == "BatchMatMulV2")
    before, found = [interaction], set()
    while before:
        op = before.pop()
        if op not in found:
            found.add(op)
            before += [*op.control_inputs, *(tensor.op for tensor in op.inputs)]
    checks = [op for op in graph.get_operations() if op.type == "Assert"]
    assert checks
    assert set(checks) <= found


def test_interaction_errors():
    """F, width and batch that do not fit."""
    layer = dlrm.InteractionArch(2)
    with pytest.raises(ValueError, match="num_sparse_features=2, received 3 in shape"):
        layer(tf.ones((2, 4)), tf.ones((2, 3, 4)))
    with pytest.raises(ValueError, match="one width D, received"):
        layer(tf.ones((2, 4)), tf.ones((2, 2, 3)))
    with pytest.raises(ValueError, match=r"takes dense features \(batch, D\)"):
        layer(tf.ones((2, 4)), tf.ones((2, 4)))
    with pytest.raises(ValueError, match="num_sparse_features must be an integer, .* received -1"):
        dlrm.InteractionArch(-1)


@pytest.mark.usefixtures("without_xla")
def test_dlrm_train_fits_without_a_compiled_loss():
    """DLRMTrain carries its loss into fit; the loss falls and the wrapped model learns."""
    model = make_dlrm()
    train = dlrm.DLRMTrain(model)
    train.compile(LazyAdam(0.05))
    batches = dataset().map(lambda inputs, labels: {**inputs, "labels": labels})
    history = train.fit(batches, epochs=20, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    with pytest.raises(ValueError, match=r"labels must have the shape of the logits \(2,\)"):
        train({**features(2), "labels": tf.ones((2, 1))})
    with pytest.raises(ValueError, match=r"takes a dict with .* received \['dense_features'"):
        train(features(2))


def test_a_single_vector_has_no_products():
    """One sparse feature alone: a warning says that the ids have no part in the logits."""
    tables = EmbeddingBagCollection([EmbeddingBagConfig(10, 4, "t", feature_names=["f"])])
    with pytest.warns(UserWarning, match="its logits do not depend on the ids. Give it inter_arch"):
        model = DLRM(tables, 0, [4], [1])
    dense = np.zeros((2, 0), np.float32)
    first, second = model(dense, tf.constant([[1], [2]])).numpy()
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("graph", [False, True])
def test_batch_of_none(graph):
    """No examples give no logits and no gradient, where TensorFlow's own ragged lookup fails."""
    model, inputs = make_dlrm(), features(0)
    call = tf.function(model.__call__) if graph else model.__call__
    with tf.GradientTape() as tape:
        logits = call(inputs)
        total = tf.reduce_sum(logits)
    assert logits.shape == (0, 1)
    table = model.embedding_bag_collection.table_variables[0].value
    assert not tf.convert_to_tensor(tape.gradient(total, table)).numpy().any()
