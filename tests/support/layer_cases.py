"""Every layer of the package: how to make it, its inputs, and the shapes of its outputs."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from tests.support.data import bags, dense, dense_and_sparse, model_inputs
from tests.support.models import feature_in_two_tables
from tfrec_models import (
    DLRM,
    DLRMTrain,
    EmbeddingBagCollection,
    EmbeddingBagConfig,
    KeyedJaggedTensor,
    KeyedTensor,
    MultiTaskRanker,
    deepfm,
    dlrm,
    experimental,
    layers,
)
from tfrec_models.experimental.transformer_encoder_layer import TransformerEncoderLayer
from tfrec_models.layers import EmbeddingCollection, EmbeddingConfig


@dataclasses.dataclass
class LayerCase:
    """One layer.

    Args:
        make: function that makes the layer.
        inputs: function from a batch size to the arguments of a call.
        shapes: function from a batch size to the output's shape, or to a list of them.
        settings: attributes of the layer's `LayerContract`.
    """

    make: Callable
    inputs: Callable
    shapes: Callable
    settings: dict = dataclasses.field(default_factory=dict)


def columns(width):
    """The shapes of an output of so many columns."""
    return lambda size: (size, width)


NO_WEIGHTS = {"has_weights": False}
PROBABILITIES = {"half_output_dtype": "float32"}
# No `keras.Input` stands for one.
NOT_SYMBOLIC = {"test_functional_model": None, "test_computed_output_spec": None}


def two_tensors(size):
    """A list of inputs of two and three axes, eight columns in all."""
    normal = tf.random.stateless_normal
    return [[normal((size, 2), [size, 4]), normal((size, 2, 3), [size, 5])]]


def fields(size):
    """Three fields of width 2."""
    return [tf.random.stateless_normal((size, 3, 2), [size, 6])]


def fields_of_four(size):
    """Three fields of width 4."""
    return [tf.random.stateless_normal((size, 3, 4), [size, 6])]


def dense_and_keyed(size):
    """Dense features, and a KeyedTensor of two embeddings."""
    embeddings = tf.random.stateless_normal((size, 6), [size, 7])
    return [*dense(3)(size), KeyedTensor(["f1", "f2"], [3, 3], embeddings)]


def keyed_jagged(size):
    """A weighted KeyedJaggedTensor."""
    bags = [(2 * i + 1) % 4 for i in range(2 * size)]
    lengths = tf.constant(bags, tf.int32, [2 * size])
    ids = tf.range(sum(bags)) % 7
    weights = tf.random.stateless_normal([sum(bags)], [size, 8])
    return [KeyedJaggedTensor(["f1", "f2"], ids, weights=weights, lengths=lengths)]


def same_bags(ids_per_bag):
    """Two features with so many ids in every bag, ragged."""

    def batch(size):
        ids = tf.RaggedTensor.from_row_lengths(
            tf.range(size * ids_per_bag) % 7, [ids_per_bag] * size
        )
        return [{"f1": ids, "f2": ids}]

    return batch


def with_labels(size):
    """The batch of a DLRMTrain."""
    return [{**model_inputs("ragged")(size)[0], "labels": tf.cast(tf.range(size) % 2, tf.float32)}]


def pooled(pooling="SUM", id_policy="error", **arguments):
    """Two tables of unequal width over two features, one of which is in both."""
    return EmbeddingBagCollection(
        [
            EmbeddingBagConfig(7, 3, "t1", feature_names=["f1"], id_policy=id_policy),
            EmbeddingBagConfig(9, 4, "t2", feature_names=["f2", "f1"], pooling=pooling),
        ],
        **arguments,
    )


def unpooled():
    """f1 in one table, f2 in two of different sizes."""
    return EmbeddingCollection(
        [
            EmbeddingConfig(7, 4, "t1", feature_names=["f1", "f2"]),
            EmbeddingConfig(9, 4, "t2", feature_names=["f2"]),
        ]
    )


DENSE_LAYERS = {
    "Perceptron": LayerCase(lambda: layers.Perceptron(5, 4), dense(5), columns(4)),
    "PerceptronWithoutBias": LayerCase(
        lambda: layers.Perceptron(5, 4, bias=False, activation="sigmoid"), dense(5), columns(4)
    ),
    "MLP": LayerCase(lambda: layers.MLP(5, [4, 3]), dense(5), columns(3)),
    "MLPSwishLayerNorm": LayerCase(
        lambda: layers.MLP(5, [4, 3], activation="swish_layernorm", activation_on_last=False),
        dense(5),
        columns(3),
    ),
    "MLPNormalizedDropout": LayerCase(
        lambda: layers.MLP(5, [4, 3], batch_normalization=True, dropout=0.5),
        dense(5),
        columns(3),
        {"is_deterministic_in_training": False},
    ),
    "SwishLayerNorm": LayerCase(lambda: layers.SwishLayerNorm(5), dense(5), columns(5)),
    "CrossNet": LayerCase(lambda: layers.CrossNet(5, 2), dense(5), columns(5)),
    "LowRankCrossNet": LayerCase(
        lambda: layers.LowRankCrossNet(5, 2, low_rank=2), dense(5), columns(5)
    ),
    "VectorCrossNet": LayerCase(lambda: layers.VectorCrossNet(5, 2), dense(5), columns(5)),
    "LowRankMixtureCrossNet": LayerCase(
        lambda: layers.LowRankMixtureCrossNet(5, 2, num_experts=3, low_rank=2), dense(5), columns(5)
    ),
    "LoneExpert": LayerCase(
        lambda: layers.LowRankMixtureCrossNet(5, 1, low_rank=2, activation="tanh"),
        dense(5),
        columns(5),
    ),
    "FactorizationMachine": LayerCase(
        layers.FactorizationMachine, two_tensors, columns(1), NO_WEIGHTS
    ),
    "FieldFactorizationMachine": LayerCase(
        layers.FieldFactorizationMachine, fields, columns(1), NO_WEIGHTS
    ),
    "DeepFM": LayerCase(lambda: layers.DeepFM(layers.MLP(8, [4, 3])), two_tensors, columns(3)),
}
TABLES = {
    "EmbeddingBagCollection": LayerCase(pooled, bags("ragged"), columns(11)),
    "EmbeddingBagCollectionMean": LayerCase(
        lambda: pooled("MEAN", "oov"), bags("ragged"), columns(11)
    ),
    "EmbeddingBagCollectionAllEmpty": LayerCase(
        lambda: pooled("MEAN"), bags("all_empty"), columns(11)
    ),
    "EmbeddingBagCollectionSingleIds": LayerCase(
        lambda: pooled(id_policy="oov"), bags("single"), columns(11)
    ),
    "EmbeddingBagCollectionWeighted": LayerCase(
        lambda: pooled(is_weighted=True), keyed_jagged, columns(11), NOT_SYMBOLIC
    ),
    "EmbeddingCollection": LayerCase(
        unpooled, same_bags(2), lambda size: [(2 * size, 4)] * 3, NOT_SYMBOLIC
    ),
    "EmbeddingCollectionAllEmpty": LayerCase(
        unpooled, same_bags(0), lambda size: [(0, 4)] * 3, NOT_SYMBOLIC
    ),
}
PARTS = {
    "DLRMSparseArch": LayerCase(
        lambda: dlrm.SparseArch(feature_in_two_tables()),
        bags("ragged"),
        lambda size: (size, 3, 4),
    ),
    "DLRMDenseArch": LayerCase(lambda: dlrm.DenseArch(5, [6, 4]), dense(5), columns(4)),
    "DLRMOverArch": LayerCase(lambda: dlrm.OverArch(5, [6, 2]), dense(5), columns(2)),
    "InteractionArch": LayerCase(
        lambda: dlrm.InteractionArch(3), dense_and_sparse, columns(10), NO_WEIGHTS
    ),
    "InteractionConcatArch": LayerCase(
        lambda: dlrm.InteractionConcatArch(3), dense_and_sparse, columns(16), NO_WEIGHTS
    ),
    "InteractionParallelDCNArch": LayerCase(
        lambda: dlrm.InteractionParallelDCNArch(3, layers.CrossNet(16, 1), layers.MLP(16, [5, 2])),
        dense_and_sparse,
        columns(18),
    ),
    "InteractionDCNArch": LayerCase(
        lambda: dlrm.InteractionDCNArch(3, layers.LowRankCrossNet(16, 1, 2)),
        dense_and_sparse,
        columns(16),
    ),
    "InteractionProjectionArch": LayerCase(
        lambda: dlrm.InteractionProjectionArch(
            3, dlrm.DenseArch(16, [8]), dlrm.DenseArch(16, [12])
        ),
        dense_and_sparse,
        columns(10),
    ),
    "InteractionTransformerArch": LayerCase(
        lambda: experimental.InteractionTransformerArch(3, 4, 2, 1, "features"),
        dense_and_sparse,
        columns(16),
        {"is_deterministic_in_training": False},
    ),
    "TransformerEncoderLayer": LayerCase(
        lambda: TransformerEncoderLayer(4, 2),
        fields_of_four,
        lambda size: (size, 3, 4),
        {"is_deterministic_in_training": False},
    ),
    "DeepFMDenseArch": LayerCase(lambda: deepfm.DenseArch(5, 6, 4), dense(5), columns(4)),
    "DeepFMSparseArch": LayerCase(
        lambda: deepfm.SparseArch(feature_in_two_tables()), bags("ragged"), columns(12)
    ),
    "FMInteractionArch": LayerCase(
        lambda: deepfm.FMInteractionArch(9, ["f2", "f1"], 2), dense_and_keyed, columns(6)
    ),
    "DeepFMOverArch": LayerCase(lambda: deepfm.OverArch(5), dense(5), columns(1), PROBABILITIES),
}
MODELS = {
    "DLRM": LayerCase(
        lambda: DLRM(feature_in_two_tables(), 5, [6, 4], [5, 1]),
        model_inputs("ragged"),
        columns(1),
    ),
    "DLRMSingleIds": LayerCase(
        lambda: DLRM(feature_in_two_tables(), 5, [6, 4], [5, 1]),
        model_inputs("single"),
        columns(1),
    ),
    "DLRMParallelDCN": LayerCase(
        lambda: DLRM(
            feature_in_two_tables(),
            5,
            [6, 4],
            [1],
            dlrm.InteractionParallelDCNArch(
                3, layers.CrossNet(16, 1), layers.MLP(16, [5, 2], batch_normalization=True)
            ),
            batch_normalization=True,
        ),
        model_inputs("ragged"),
        columns(1),
        {"is_deterministic_in_training": False},
    ),
    "DLRM_DCN": LayerCase(
        lambda: dlrm.DLRM_DCN(feature_in_two_tables(), 5, [6, 4], [5, 1], 2, 3),
        model_inputs("ragged"),
        columns(1),
    ),
    "DLRM_Projection": LayerCase(
        lambda: dlrm.DLRM_Projection(feature_in_two_tables(), 5, [6, 4], [5, 1], [8], [12]),
        model_inputs("ragged"),
        columns(1),
    ),
    "DLRM_Transformer": LayerCase(
        lambda: experimental.DLRM_Transformer(
            feature_in_two_tables(), 5, [4], [5, 1], nhead=2, ntransformer_layers=1
        ),
        model_inputs("ragged"),
        columns(1),
        {"is_deterministic_in_training": False},
    ),
    "DLRMTrain": LayerCase(
        lambda: DLRMTrain(DLRM(feature_in_two_tables(), 5, [6, 4], [5, 1])),
        with_labels,
        lambda size: [(), (), (size,), (size,)],
        # It gives its loss detached too, through which no gradient flows.
        {**NOT_SYMBOLIC, "test_gradients_are_the_numeric_ones": None},
    ),
    "MultiTaskRanker": LayerCase(
        lambda: MultiTaskRanker(DLRM(feature_in_two_tables(), 5, [6, 4], [5, 2]), ["a", "b"]),
        model_inputs("ragged"),
        lambda size: [(size, 1), (size, 1)],
    ),
    "DeepFMRanker": LayerCase(
        lambda: deepfm.DeepFMRanker(feature_in_two_tables(), 5, [6, 3]),
        model_inputs("ragged"),
        columns(1),
    ),
    "SimpleDeepFMNN": LayerCase(
        lambda: deepfm.SimpleDeepFMNN(5, feature_in_two_tables(), 6, 3),
        model_inputs("ragged"),
        columns(1),
        PROBABILITIES,
    ),
}
CASES = {**DENSE_LAYERS, **TABLES, **PARTS, **MODELS}
