"""Cross network with a mixture of low-rank experts."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfrec_models._checks.arguments import check_positive
from tfrec_models.layers.activation import activate, get_activation, serialize_activation
from tfrec_models.layers.base_crossnet import CrossNetBase, xavier_normal


@keras.saving.register_keras_serializable("tfrec_models")
class LowRankMixtureCrossNet(CrossNetBase):
    """A cross network whose layers weigh the low-rank crosses of several experts.

    Expert k of layer l crosses in a space of r dimensions, with activation g, and a softmax over
    the experts' gates adds them up:

        E_k(x_l) = x_0 * (U_lk g(C_lk g(V_lk x_l)) + b_l)
        x_(l+1)  = sum over k of softmax_k(G_k . x_l) E_k(x_l) + x_l

    As in TorchRec, the gates G are shared by all layers, and a single expert has none. Compiled
    with XLA.

    Paper: Wang et al., DCN V2: Improved Deep & Cross Network, https://arxiv.org/abs/2008.13535.

    Args:
        in_features: int, N, the number of input columns.
        num_layers: int, the number of layers; 0 is the identity.
        num_experts: int, the number of experts per layer.
        low_rank: int, r, the rank of the experts.
        activation: a Keras activation or its name.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        `(batch, in_features)`.

    Output shape:
        `(batch, in_features)`.

    Raises:
        ValueError: on in_features, num_experts or low_rank below 1, num_layers below 0, or an
            unknown activation; at a call on another shape.

    Example:

    >>> import keras
    >>> from tfrec_models.layers import LowRankMixtureCrossNet
    >>> crossnet = LowRankMixtureCrossNet(
    ...     in_features=10, num_layers=3, num_experts=5, low_rank=2
    ... )
    >>> crossnet(keras.ops.ones((3, 10))).shape
    TensorShape([3, 10])
    """

    def __init__(
        self,
        in_features: int,
        num_layers: int,
        num_experts: int = 1,
        low_rank: int = 1,
        activation: str | Callable[..., Any] | None = "relu",
        **kwargs: Any,
    ) -> None:
        super().__init__(in_features, num_layers, **kwargs)
        num_experts = check_positive("num_experts", num_experts)
        low_rank = check_positive("low_rank", low_rank)
        if activation == "swish_layernorm":
            raise ValueError(
                "activation='swish_layernorm' has weights of a fixed width and serves MLPs only; "
                "use a Keras activation such as 'relu' or 'tanh'."
            )
        self.num_experts, self.low_rank = num_experts, low_rank
        self.activation = get_activation(activation, low_rank, dtype=self.dtype_policy)

    def build(self, input_shape=None):
        if self.built:
            return
        size, rank, experts = self.in_features, self.low_rank, self.num_experts
        # The fans are PyTorch's for tensors of three axes.
        self.u_kernels = self.add_weights(
            "u_kernel", (experts, size, rank), xavier_normal(size * rank, experts * rank)
        )
        self.v_kernels = self.add_weights(
            "v_kernel", (experts, rank, size), xavier_normal(rank * size, experts * size)
        )
        self.c_kernels = self.add_weights(
            "c_kernel", (experts, rank, rank), xavier_normal(rank * rank, experts * rank)
        )
        self.biases = self.add_weights("bias", (size,))
        # One weight per expert, as TorchRec keeps them; a lone expert needs no gate.
        self.gates = [
            self.add_weight(
                name=f"gate_{expert}",
                shape=(1, size),
                initializer=keras.initializers.RandomUniform(-(size**-0.5), size**-0.5),
            )
            for expert in range(experts if experts > 1 else 0)
        ]
        self.built = True

    def layer_weights(self):
        return self.u_kernels, self.v_kernels, self.c_kernels, self.biases, self.gates

    def cross(self, inputs, u_kernels, v_kernels, c_kernels, biases, gates):
        outputs = inputs
        for u, v, c, bias in zip(u_kernels, v_kernels, c_kernels, biases, strict=True):
            low = activate(self.activation, tf.einsum("krn,bn->bkr", v, outputs))
            low = activate(self.activation, tf.einsum("ksr,bkr->bks", c, low))
            experts = inputs[:, tf.newaxis] * (tf.einsum("knr,bkr->bkn", u, low) + bias)
            if gates:
                shares = tf.nn.softmax(tf.matmul(outputs, tf.concat(gates, 0), transpose_b=True))
                crossed = tf.einsum("bk,bkn->bn", shares, experts)
            else:
                crossed = experts[:, 0]
            outputs = crossed + outputs
        return outputs

    def get_config(self):
        return {
            **super().get_config(),
            "num_experts": self.num_experts,
            "low_rank": self.low_rank,
            "activation": serialize_activation(self.activation),
        }
