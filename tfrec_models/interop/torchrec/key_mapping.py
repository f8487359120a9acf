"""Which variable of a layer belongs to which key of TorchRec's state dict."""

import functools

import keras
import numpy as np

from tfrec_models import deepfm, dlrm, experimental, layers
from tfrec_models.embeddings.base_sparse_arch import BaseSparseArch
from tfrec_models.experimental.transformer_encoder_layer import TransformerEncoderLayer
from tfrec_models.interop.torchrec.weight_entry import Entry, JoinedEntry, table_entry


@functools.singledispatch
def torchrec_entries(layer):
    """Returns a dict from TorchRec's state dict key to `Entry`, in TorchRec's order.

    Raises:
        TypeError: on a layer TorchRec has no counterpart of.
    """
    raise TypeError(
        f"TorchRec has no counterpart of {type(layer).__name__}; state dicts move for the layers "
        "and models of tfrec_models that have TorchRec's names."
    )


def under(prefix, layer):
    """Returns the entries of a sub-layer, with a prefix to their keys."""
    return {f"{prefix}.{key}": entry for key, entry in torchrec_entries(layer).items()}


def _plain(variable):
    return Entry(variable, tuple(variable.shape))


def _transposed(variable):
    return Entry(variable, tuple(variable.shape[::-1]), np.transpose, np.transpose)


def _as_column(variable):
    return Entry(variable, (*variable.shape, 1), lambda array: array[:, np.newaxis], np.ravel)


@torchrec_entries.register
def _(layer: keras.layers.Dense):
    entries = {"weight": _transposed(layer.kernel)}
    if layer.use_bias:
        entries["bias"] = _plain(layer.bias)
    return entries


@torchrec_entries.register
def _(layer: layers.SwishLayerNorm):
    return {"norm.0.weight": _plain(layer.norm.gamma), "norm.0.bias": _plain(layer.norm.beta)}


@torchrec_entries.register
def _(layer: layers.Perceptron):
    if layer.batch_normalization:
        raise ValueError(
            f"{layer.name!r} has batch normalization, which TorchRec's Perceptron does not have; "
            "save the model as a .keras file instead."
        )
    entries = under("_linear", layer.linear)
    if isinstance(layer.activation, layers.SwishLayerNorm):
        entries.update(under("_activation_fn", layer.activation))
    return entries


@torchrec_entries.register
def _(layer: layers.MLP):
    entries = {}
    for number, perceptron in enumerate(layer.perceptrons):
        entries.update(under(f"_mlp.{number}", perceptron))
    return entries


@torchrec_entries.register
def _(layer: layers.EmbeddingBagCollection):
    return _tables("embedding_bags", layer)


@torchrec_entries.register
def _(layer: layers.EmbeddingCollection):
    return _tables("embeddings", layer)


def _tables(prefix, layer):
    return {
        f"{prefix}.{table.name}.weight": table_entry(*layer.stack_of(table.name), table.name)
        for table in layer.tables
    }


@torchrec_entries.register
def _(layer: layers.CrossNet):
    return {
        **_per_layer("kernels", layer.kernels, _transposed),
        **_per_layer("bias", layer.biases, _as_column),
    }


@torchrec_entries.register
def _(layer: layers.LowRankCrossNet):
    return {
        **_per_layer("W_kernels", layer.w_kernels, _transposed),
        **_per_layer("V_kernels", layer.v_kernels, _transposed),
        **_per_layer("bias", layer.biases),
    }


@torchrec_entries.register
def _(layer: layers.VectorCrossNet):
    return {
        **_per_layer("kernels", layer.kernels),
        **_per_layer("bias", layer.biases, _as_column),
    }


@torchrec_entries.register
def _(layer: layers.LowRankMixtureCrossNet):
    entries = {
        **_per_layer("U_kernels", layer.u_kernels),
        **_per_layer("V_kernels", layer.v_kernels),
        **_per_layer("bias", layer.biases, _as_column),
    }
    for number, gate in enumerate(layer.gates):
        entries[f"gates.{number}.weight"] = _plain(gate)
    return {**entries, **_per_layer("C_kernels", layer.c_kernels)}


def _per_layer(name, variables, entry_of=_plain):
    return {f"{name}.{number}": entry_of(variable) for number, variable in enumerate(variables)}


@torchrec_entries.register
def _(layer: layers.FactorizationMachine):
    return {}


@torchrec_entries.register
def _(layer: layers.DeepFM):
    return under("dense_module", layer.dense_module)


@torchrec_entries.register
def _(layer: BaseSparseArch):
    return under("embedding_bag_collection", layer.embedding_bag_collection)


@torchrec_entries.register
def _(layer: dlrm.DenseArch):
    return under("model", layer.model)


@torchrec_entries.register
def _(layer: dlrm.InteractionArch):
    return {}


@torchrec_entries.register
def _(layer: dlrm.InteractionDCNArch):
    return under("crossnet", layer.crossnet)


@torchrec_entries.register
def _(layer: dlrm.InteractionProjectionArch):
    return {
        **under("interaction_branch1", layer.interaction_branch1),
        **under("interaction_branch2", layer.interaction_branch2),
    }


@torchrec_entries.register
def _(layer: dlrm.OverArch):
    return {**under("model.0", layer.mlp), **under("model.1", layer.linear)}


@torchrec_entries.register
def _(layer: deepfm.DenseArch):
    first, second = layer.model.perceptrons
    return {**under("model.0", first.linear), **under("model.2", second.linear)}


@torchrec_entries.register
def _(layer: deepfm.FMInteractionArch):
    return under("deep_fm.dense_module.0", layer.deep_fm.dense_module.linear)


@torchrec_entries.register
def _(layer: deepfm.OverArch):
    return under("model.0", layer.linear)


@torchrec_entries.register
def _(layer: experimental.InteractionTransformerArch):
    entries = {}
    for number, encoder in enumerate(layer.encoder):
        entries.update(under(f"interarch_TE.layers.{number}", encoder))
    return entries


@torchrec_entries.register
def _(layer: TransformerEncoderLayer):
    attention, dim = layer.attention, layer.embedding_dim
    projections = [attention.query_dense, attention.key_dense, attention.value_dense]

    def matrix(kernel):
        return Entry(
            kernel,
            (dim, dim),
            lambda array: np.reshape(array, (dim, dim)).T,
            lambda array: np.reshape(array.T, kernel.shape),
        )

    def vector(bias):
        return Entry(bias, (dim,), np.ravel, lambda array: np.reshape(array, bias.shape))

    return {
        "self_attn.in_proj_weight": JoinedEntry(
            [matrix(projection.kernel) for projection in projections]
        ),
        "self_attn.in_proj_bias": JoinedEntry([vector(part.bias) for part in projections]),
        "self_attn.out_proj.weight": matrix(attention.output_dense.kernel),
        "self_attn.out_proj.bias": _plain(attention.output_dense.bias),
        **under("linear1", layer.linear1),
        **under("linear2", layer.linear2),
        "norm1.weight": _plain(layer.norm1.gamma),
        "norm1.bias": _plain(layer.norm1.beta),
        "norm2.weight": _plain(layer.norm2.gamma),
        "norm2.bias": _plain(layer.norm2.beta),
    }


@torchrec_entries.register(dlrm.DLRM)
@torchrec_entries.register(deepfm.SimpleDeepFMNN)
def _(model):
    return {
        **under("sparse_arch", model.sparse_arch),
        **under("dense_arch", model.dense_arch),
        **under("inter_arch", model.inter_arch),
        **under("over_arch", model.over_arch),
    }


@torchrec_entries.register
def _(model: dlrm.DLRMTrain):
    return under("model", model.model)
