"""DeepFM, TorchRec's and the paper's: training from probabilities, formulas, wrong arguments."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.data import bags, model_inputs
from tests.support.models import feature_in_two_tables, unequal_dims
from tfrec_models import (
    DLRMTrain,
    EmbeddingBagCollection,
    EmbeddingBagConfig,
    KeyedTensor,
    deepfm,
    dlrm,
)
from tfrec_models.optimizers import LazyAdam
from tfrec_models.testing import copy_of, saved_and_loaded


def make_simple():
    """TorchRec's, with a feature in two tables (which TorchRec's cannot)."""
    return deepfm.SimpleDeepFMNN(5, feature_in_two_tables(), 6, 3)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_simple_deepfm_nn(policy, tmp_path):
    """Config and `.keras` round trips; float32 probabilities under every policy."""
    keras.config.set_dtype_policy(policy)
    model = make_simple()
    (inputs,) = model_inputs("ragged")(3)
    outputs = model(inputs)
    assert outputs.shape == (3, 1) and outputs.dtype == tf.float32
    assert model(model_inputs("ragged")(1)[0]).shape == (1, 1)
    np.testing.assert_array_equal(copy_of(model)(inputs), outputs)
    np.testing.assert_allclose(tf.function(model.__call__)(inputs), outputs, atol=0.01)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        keras.saving.load_model(tmp_path / "model.keras")(inputs), outputs
    )


def confident(policy):
    """A model whose logit is 100 everywhere: its probability is 1 in float32."""
    keras.config.set_dtype_policy(policy)
    model = make_simple()
    model.build()
    for variable in model.over_arch.trainable_variables:
        variable.assign(tf.fill(variable.shape, 100.0) if variable.name == "bias" else variable * 0)
    return model


@pytest.mark.parametrize(
    ("policy", "run_eagerly", "shape"),
    [
        ("float32", False, (3,)),
        ("float32", True, (3, 1)),
        ("mixed_bfloat16", False, (3, 1)),
        ("mixed_float16", False, (3,)),
    ],
)
def test_the_loss_comes_from_logits(policy, run_eagerly, shape):
    """A confident mistake costs its logit, 100, and the bias moves by the gradient 1."""
    model = confident(policy)
    optimizer = keras.optimizers.SGD(0.5)
    model.compile(optimizer, keras.losses.BinaryCrossentropy(), run_eagerly=run_eagerly)
    (inputs,) = model_inputs("ragged")(3)
    np.testing.assert_array_equal(model(inputs), [[1.0]] * 3)
    np.testing.assert_array_equal(model.logits(inputs), [[100.0]] * 3)
    labels = np.zeros(shape, np.float32)
    assert model.test_on_batch(inputs, labels) == pytest.approx(100)
    assert model.train_on_batch(inputs, labels) == pytest.approx(100)
    assert float(model.over_arch.linear.bias[0]) == pytest.approx(99.5, abs=1e-4)


def test_fit_learns_below_the_floor_of_a_second_sigmoid():
    """TorchRec's wrapper cannot get below ln(1 + 1/e) = 0.313; this loss can."""
    keras.utils.set_random_seed(3)
    model = make_simple()
    model.compile(LazyAdam(0.1), keras.losses.BinaryCrossentropy())
    (inputs,) = model_inputs("single")(4)
    labels = tf.constant([0, 1, 1, 0])
    model.fit(tf.data.Dataset.from_tensors((inputs, labels)).repeat(40), verbose=0)
    assert model.test_on_batch(inputs, labels) < 0.2


def test_ranker_by_hand():
    """First-order term, dot products of whole embeddings and deep net, in NumPy."""
    tables = [EmbeddingBagConfig(7, 3, "t1", feature_names=["f1", "f2"])]
    model = deepfm.DeepFMRanker(EmbeddingBagCollection(tables=tables), 2, [4, 3])
    dense_values = np.array([[0.5, -2.0], [1.5, 0.25]], np.float32)
    logits = model(
        dense_values, {"f1": tf.ragged.constant([[1, 2], []]), "f2": tf.constant([3, 0])}
    ).numpy()
    table = model.embedding_bag_collection.read_table("t1").numpy()
    weights = model.first_order.read_table("t1").numpy()[:, 0]
    for i, (bag1, bag2) in enumerate([([1, 2], [3]), ([], [0])]):
        embeddings = [
            *(dense_values[i][:, None] * model.dense_embeddings.numpy()),
            table[bag1].sum(0),
            table[bag2].sum(0),
        ]
        linear = dense_values[i] @ model.dense_first_order.kernel.numpy()[:, 0]
        linear += model.dense_first_order.bias.numpy()[0] + weights[bag1 + bag2].sum()
        pairs = sum(embeddings[j] @ embeddings[k] for j in range(4) for k in range(j))
        hidden = np.concatenate(embeddings)
        for perceptron in model.deep.perceptrons:
            weight, bias = (variable.numpy() for variable in perceptron.trainable_variables)
            hidden = np.maximum(hidden @ weight + bias, 0)
        deep = hidden @ model.deep_head.kernel.numpy()[:, 0]
        np.testing.assert_allclose(logits[i, 0], linear + pairs + deep, rtol=1e-5)


def test_ranker_takes_weights():
    """Weights of ids weigh the first-order term too."""
    tables = [EmbeddingBagConfig(7, 3, "t1", feature_names=["f1"])]
    model = deepfm.DeepFMRanker(EmbeddingBagCollection(tables=tables, is_weighted=True), 2, [4])
    dense_values, ids = tf.ones((1, 2)), tf.constant([3])
    twice = model(dense_values, {"f1": (ids, tf.constant([2.0]))})
    bag = tf.ragged.constant([[3, 3]])
    np.testing.assert_allclose(
        twice, model(dense_values, {"f1": (bag, tf.ragged.constant([[1.0, 1.0]]))}), rtol=1e-5
    )


WRONG = [
    (
        lambda: deepfm.SimpleDeepFMNN(-1, feature_in_two_tables(), 6, 3),
        "num_dense_features .* received -1",
    ),
    (
        lambda: deepfm.SimpleDeepFMNN(5, feature_in_two_tables(), 0, 3),
        "hidden_layer_size .* received 0",
    ),
    (
        lambda: deepfm.SimpleDeepFMNN(5, feature_in_two_tables(), 6, -1),
        "deep_fm_dimension .* received -1",
    ),
    (lambda: deepfm.SimpleDeepFMNN(5, unequal_dims(), 6, 3), "same embedding_dim, received"),
    (lambda: deepfm.DeepFMRanker(unequal_dims(), 5, [6]), "same embedding_dim, received"),
    (
        lambda: deepfm.DeepFMRanker(feature_in_two_tables(), 5, []),
        "deep_layer_sizes needs at least one",
    ),
    (
        lambda: deepfm.DeepFMRanker(feature_in_two_tables(), 5, [3, 0]),
        r"deep_layer_sizes .* \[3, 0\]",
    ),
    (lambda: deepfm.DenseArch(5, 0, 4), "hidden_layer_size must be a positive integer"),
    (lambda: deepfm.OverArch(0), "in_features must be a positive integer, received 0"),
    (lambda: deepfm.OverArch(4)(tf.ones((2, 3))), "made for 4 input columns"),
    (lambda: deepfm.FMInteractionArch(9, [], 2), r"at least one name, received \[\]"),
    (
        lambda: deepfm.FMInteractionArch(8, ["f1"], 2)(
            tf.ones((2, 3)), KeyedTensor(["f1"], [3], tf.ones((2, 3)))
        ),
        "made for 8 input columns, received",
    ),
    (
        lambda: make_simple()(tf.ones((2, 5)), bags("ragged")(3)[0]),
        "the same number of examples",
    ),
]


@pytest.mark.parametrize(("act", "message"), WRONG)
def test_wrong_arguments_are_named(act, message):
    """Constructor and call say what was received, what was expected and what to do."""
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=message):
        act()


def test_dlrm_train_refuses_probabilities():
    """DLRMTrain would take them for logits: the second sigmoid of TorchRec's wrapper."""
    with pytest.raises(TypeError, match="SimpleDeepFMNN returns probabilities. Compile it with"):
        DLRMTrain(make_simple())


@pytest.mark.parametrize(
    "layer", [deepfm.DenseArch(5, 6, 4), dlrm.DenseArch(5, [6, 4])], ids=["deepfm", "dlrm"]
)
def test_both_dense_archs_are_loaded(layer, tmp_path):
    """deepfm.DenseArch and dlrm.DenseArch, of one name, each are loaded as themselves."""
    layer.build()
    assert type(saved_and_loaded(layer, tmp_path / "layer.keras")) is type(layer)
