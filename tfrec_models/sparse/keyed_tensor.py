"""Pooled embeddings of several features, side by side."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrec_models._compat.keras import register_tree_node


class KeyedTensor:
    """Named column blocks of one `(batch, sum of lengths)` tensor.

    What `EmbeddingBagCollection` returns: the pooled embeddings of all features in one tensor,
    each under its name. Goes through `tf.function` and functional Keras models.

    Args:
        keys: list of str, the names in column order.
        length_per_key: list of int, the number of columns of each.
        values: float tensor of shape `(batch, sum(length_per_key))`.
        key_dim: int, the axis of `values` along which the blocks lie.

    Raises:
        ValueError: if the numbers of keys, lengths and columns do not fit, or `key_dim` is no axis.
        KeyError: on an unknown key.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models.sparse import KeyedTensor
    >>> pooled = KeyedTensor(["f1", "f2"], [1, 2], tf.constant([[1.0, 2.0, 3.0]]))
    >>> pooled["f2"].numpy().tolist()
    [[2.0, 3.0]]
    """

    def __init__(
        self, keys: Sequence[str], length_per_key: Sequence[int], values: Any, key_dim: int = 1
    ) -> None:
        keys, length_per_key = tuple(keys), tuple(length_per_key)
        if len(keys) != len(length_per_key):
            raise ValueError(
                f"KeyedTensor needs one length per key, received {len(keys)} keys and "
                f"{len(length_per_key)} lengths."
            )
        columns = _size(values, key_dim)
        if columns is not None and columns != sum(length_per_key):
            raise ValueError(
                f"KeyedTensor's length_per_key {list(length_per_key)} must sum to the number of "
                f"columns of values, received {columns} columns."
            )
        self._keys, self._length_per_key, self._values = keys, length_per_key, values
        self._key_dim = key_dim

    @classmethod
    def from_tensor_list(
        cls, keys: Sequence[str], tensors: Sequence[Any], key_dim: int = 1, cat_dim: int = 1
    ) -> "KeyedTensor":
        """Returns tensors side by side under the names `keys`.

        Args:
            keys: list of str.
            tensors: list of tensors that differ in the size of axis `key_dim` alone.
            key_dim: int, the axis of the names.
            cat_dim: int, the axis to join along, which must be `key_dim`.

        Raises:
            ValueError: if `cat_dim` is not `key_dim`.
        """
        if cat_dim != key_dim:
            raise ValueError(
                f"cat_dim must be key_dim, received cat_dim={cat_dim} and key_dim={key_dim}: "
                "blocks joined along another axis have no place of their own."
            )
        lengths = [_size(tensor, key_dim) for tensor in tensors]
        return cls(keys, lengths, _concat(tensors, key_dim), key_dim)

    @staticmethod
    def regroup(keyed_tensors: Sequence[Any], groups: Sequence[Sequence[str]]) -> list[tf.Tensor]:
        """Collects named blocks from several KeyedTensors into one tensor per group.

        Args:
            keyed_tensors: list of `KeyedTensor`; of blocks of the same name the last is taken.
            groups: list of lists of names; a name may occur in several groups.

        Returns:
            A list of `(batch, n)` tensors, one per group.

        Raises:
            KeyError: on an unknown name.
            ValueError: if the KeyedTensors differ in `key_dim`.
        """
        key_dims = sorted({keyed_tensor.key_dim() for keyed_tensor in keyed_tensors})
        if len(key_dims) > 1:
            raise ValueError(f"regroup needs KeyedTensors of one key_dim, received {key_dims}.")
        blocks = {}
        for keyed_tensor in keyed_tensors:
            blocks.update(keyed_tensor.to_dict())
        return [
            _concat([_block(blocks, name) for name in group], *key_dims)
            if group
            else keyed_tensors[0]._columns(0, 0)
            for group in groups
        ]

    @staticmethod
    def regroup_as_dict(
        keyed_tensors: Sequence[Any], groups: Sequence[Sequence[str]], keys: Sequence[str]
    ) -> dict[str, tf.Tensor]:
        """Collects named blocks as `regroup` does, into a dict.

        Args:
            keyed_tensors: list of `KeyedTensor`.
            groups: list of lists of names.
            keys: list of str, one for each group.

        Raises:
            ValueError: if there are not as many keys as groups.
        """
        if len(groups) != len(keys):
            raise ValueError(
                f"regroup_as_dict needs a key for each group, received {len(groups)} groups and "
                f"keys {list(keys)}."
            )
        return dict(zip(keys, KeyedTensor.regroup(keyed_tensors, groups), strict=True))

    def keys(self) -> list[str]:
        """Returns the names in column order."""
        return list(self._keys)

    def values(self) -> tf.Tensor:
        """Returns all blocks as one `(batch, sum of lengths)` tensor."""
        return self._values

    def key_dim(self) -> int:
        """Returns the axis along which the blocks lie."""
        return self._key_dim

    def length_per_key(self) -> list[int]:
        """Returns the number of columns of each name."""
        return list(self._length_per_key)

    def offset_per_key(self) -> list[int]:
        """Returns the first column of each name, and the end."""
        offsets = [0]
        for length in self._length_per_key:
            offsets.append(offsets[-1] + length)
        return offsets

    def to_dict(self) -> dict[str, tf.Tensor]:
        """Returns the blocks as a dict from name to `(batch, n)` tensor."""
        offsets = self.offset_per_key()
        return {key: self._columns(offsets[i], offsets[i + 1]) for i, key in enumerate(self._keys)}

    def _columns(self, start, end):
        return self._values[(slice(None),) * self._key_dim + (slice(start, end),)]

    def __getitem__(self, key):
        return _block(self.to_dict(), key)

    # Keras asks a layer's nested inputs whether they are empty.
    def __len__(self):
        return len(self._keys)

    def __repr__(self):
        return f"KeyedTensor(keys={self.keys()}, length_per_key={self.length_per_key()})"

    # Keras flattens call outputs with its own tree, tf.function with tf.nest: both need to know
    # that the one tensor inside is `values`.
    def tree_flatten(self):
        return (self._values,), (self._keys, self._length_per_key, self._key_dim)

    @classmethod
    def tree_unflatten(cls, metadata, children):
        keyed_tensor = cls.__new__(cls)
        (keyed_tensor._values,) = children
        keyed_tensor._keys, keyed_tensor._length_per_key, keyed_tensor._key_dim = metadata
        return keyed_tensor

    def __tf_flatten__(self):
        return (self._keys, self._length_per_key, self._key_dim), (self._values,)

    __tf_unflatten__ = tree_unflatten


register_tree_node(KeyedTensor)


def _block(blocks, name):
    if name not in blocks:
        raise KeyError(f"KeyedTensor has no key {name!r}; it has {list(blocks)}.")
    return blocks[name]


def _concat(tensors, key_dim):
    if len(tensors) == 1:
        return tensors[0]
    return keras.ops.concatenate(tensors, axis=key_dim)


def _size(values, key_dim):
    """The size of axis `key_dim`, None where it is not known."""
    shape = getattr(values, "shape", None)
    if shape is None or getattr(shape, "rank", 0) is None:
        return None
    if not 0 <= key_dim < len(shape):
        raise ValueError(
            f"key_dim must be an axis of values of shape {tuple(shape)}, received {key_dim}."
        )
    return shape[key_dim]
