"""Which variable of a layer belongs to which key of TorchRec's state dict, and how they convert."""

import dataclasses
import functools
from collections.abc import Callable

import keras
import numpy as np

from tfrec_models import dlrm
from tfrec_models.layers import MLP, EmbeddingBagCollection, Perceptron, SwishLayerNorm
from tfrec_models.layers.table_stack import TableStack


@dataclasses.dataclass
class Entry:
    """A variable, or some of its rows, under TorchRec's name.

    Args:
        variable: the `keras.Variable` it is kept in.
        shape: tuple of int, TorchRec's shape.
        convert: function from an array laid out as the variable to TorchRec's layout, and back.
    """

    variable: keras.Variable
    shape: tuple
    convert: Callable = lambda array: array

    def read(self):
        """Returns the value as a NumPy array in TorchRec's layout."""
        return self.take(keras.ops.convert_to_numpy(self.variable))

    def write(self, array):
        """Sets the value from an array in TorchRec's layout."""
        self.variable.assign(self.convert(array))

    def take(self, array):
        """Returns this entry's part of an array laid out as the variable."""
        return np.ascontiguousarray(self.convert(array))


@dataclasses.dataclass
class TableEntry:
    """One table in a stack; read and written without a copy of the others."""

    variable: keras.Variable
    stack: TableStack
    name: str

    @property
    def shape(self):
        """Rows and columns, the row of the "oov" id policy included."""
        return (self.stack.rows_of(self.name)[1], self.stack.embedding_dim)

    def read(self):
        return self.stack.read(self.variable, self.name).numpy()

    def write(self, array):
        self.stack.write(self.variable, self.name, array)

    def take(self, array):
        first, count = self.stack.rows_of(self.name)
        return array[first : first + count]


@functools.singledispatch
def torchrec_entries(layer):
    """Returns a dict from TorchRec's state dict key to `Entry`, in TorchRec's order.

    Raises:
        TypeError: on a layer TorchRec has no counterpart of.
    """
    raise TypeError(
        f"TorchRec has no counterpart of {type(layer).__name__}; state dicts move for the layers "
        "and models of tfrec_models that carry TorchRec's names."
    )


def under(prefix, layer):
    """Returns the entries of a sub-layer, with a prefix to their keys."""
    return {f"{prefix}.{key}": entry for key, entry in torchrec_entries(layer).items()}


def _plain(variable):
    return Entry(variable, tuple(variable.shape))


@torchrec_entries.register
def _(layer: keras.layers.Dense):
    entries = {"weight": Entry(layer.kernel, tuple(layer.kernel.shape[::-1]), np.transpose)}
    if layer.use_bias:
        entries["bias"] = _plain(layer.bias)
    return entries


@torchrec_entries.register
def _(layer: SwishLayerNorm):
    return {"norm.0.weight": _plain(layer.norm.gamma), "norm.0.bias": _plain(layer.norm.beta)}


@torchrec_entries.register
def _(layer: Perceptron):
    entries = under("_linear", layer.linear)
    if isinstance(layer.activation, SwishLayerNorm):
        entries.update(under("_activation_fn", layer.activation))
    return entries


@torchrec_entries.register
def _(layer: MLP):
    entries = {}
    for number, perceptron in enumerate(layer.perceptrons):
        entries.update(under(f"_mlp.{number}", perceptron))
    return entries


@torchrec_entries.register
def _(layer: EmbeddingBagCollection):
    return {
        f"embedding_bags.{table.name}.weight": TableEntry(*layer.stack_of(table.name), table.name)
        for table in layer.tables
    }


@torchrec_entries.register
def _(layer: dlrm.SparseArch):
    return under("embedding_bag_collection", layer.embedding_bag_collection)


@torchrec_entries.register
def _(layer: dlrm.DenseArch):
    return under("model", layer.model)


@torchrec_entries.register
def _(layer: dlrm.InteractionArch):
    return {}


@torchrec_entries.register
def _(layer: dlrm.OverArch):
    return {**under("model.0", layer.mlp), **under("model.1", layer.linear)}


@torchrec_entries.register
def _(model: dlrm.DLRM):
    return {
        **under("sparse_arch", model.sparse_arch),
        **under("dense_arch", model.dense_arch),
        **under("inter_arch", model.inter_arch),
        **under("over_arch", model.over_arch),
    }


@torchrec_entries.register
def _(model: dlrm.DLRMTrain):
    return under("model", model.model)
