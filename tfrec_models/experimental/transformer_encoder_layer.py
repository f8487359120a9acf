"""PyTorch's transformer encoder layer."""

import math

import keras

from tfrec_models._checks.arguments import check_positive, check_width
from tfrec_models.layers.activation import activate
from tfrec_models.layers.perceptron import linear

FEEDFORWARD_DIM = 2048
DROPOUT = 0.1
EPSILON = 1e-5


@keras.saving.register_keras_serializable("tfrec_models")
class TransformerEncoderLayer(keras.layers.Layer):
    """Self-attention and a feed-forward net, each with a residual and a normalization after it.

        x = LayerNorm(x + Dropout(MultiHeadAttention(x, x, x)))
        y = LayerNorm(x + Dropout(W_2 Dropout(ReLU(W_1 x))))

    The feed-forward net has 2048 columns and dropout is 0.1, as TorchRec leaves them.

    Paper: Vaswani et al., Attention Is All You Need, https://arxiv.org/abs/1706.03762.

    Args:
        embedding_dim: int, D, a multiple of nhead.
        nhead: int, the number of attention heads.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        `(batch, sequence, D)`.

    Output shape:
        As the input.

    Raises:
        ValueError: on sizes below 1, or a D that nhead does not divide; at a call on another
            width.

    Example:

    >>> import keras
    >>> from tfrec_models.experimental.transformer_encoder_layer import TransformerEncoderLayer
    >>> TransformerEncoderLayer(embedding_dim=8, nhead=2)(keras.ops.ones((3, 5, 8))).shape
    TensorShape([3, 5, 8])
    """

    def __init__(self, embedding_dim, nhead, **kwargs):
        super().__init__(**kwargs)
        embedding_dim = check_positive("embedding_dim", embedding_dim)
        nhead = check_positive("nhead", nhead)
        if embedding_dim % nhead:
            raise ValueError(
                f"embedding_dim must be a multiple of nhead, received "
                f"embedding_dim={embedding_dim} and nhead={nhead}. Every head attends over "
                "embedding_dim / nhead columns."
            )
        self.embedding_dim, self.nhead = embedding_dim, nhead
        policy = self.dtype_policy
        # PyTorch's Glorot bound for the three input projections, which it keeps as one matrix.
        bound = math.sqrt(6 / (4 * embedding_dim))
        self.attention = keras.layers.MultiHeadAttention(
            nhead,
            embedding_dim // nhead,
            dropout=DROPOUT,
            kernel_initializer=keras.initializers.RandomUniform(-bound, bound),
            dtype=policy,
            name="attention",
        )
        self.linear1 = linear(embedding_dim, FEEDFORWARD_DIM, name="linear1", dtype=policy)
        self.linear2 = linear(FEEDFORWARD_DIM, embedding_dim, name="linear2", dtype=policy)
        self.norm1, self.norm2 = (
            keras.layers.LayerNormalization(epsilon=EPSILON, dtype=policy, name=name)
            for name in ("norm1", "norm2")
        )
        self.dropout = keras.layers.Dropout(DROPOUT, dtype=policy)

    def build(self, input_shape=None):
        if self.built:
            return
        shape = (None, None, self.embedding_dim)
        self.attention.build(shape, shape)
        for layer in (self.linear1, self.norm1, self.norm2):
            layer.build(shape)
        self.linear2.build((None, None, FEEDFORWARD_DIM))
        self.built = True

    def call(self, inputs):
        check_width(self, inputs, self.embedding_dim)
        attended = self.attention(inputs, inputs)
        inputs = self.norm1(inputs + self.dropout(attended))
        hidden = self.dropout(activate(keras.activations.relu, self.linear1(inputs)))
        return self.norm2(inputs + self.dropout(self.linear2(hidden)))

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "embedding_dim": self.embedding_dim, "nhead": self.nhead}
