"""Pooled embeddings of several features, side by side."""

import keras

from tfrec_models._compat.keras import register_tree_node


class KeyedTensor:
    """Named column blocks of one `(batch, sum of lengths)` tensor.

    What `EmbeddingBagCollection` returns: the pooled embeddings of all features in one tensor,
    each under its name. Goes through `tf.function` and functional Keras models.

    Args:
        keys: list of str, the names in column order.
        length_per_key: list of int, the number of columns of each.
        values: float tensor of shape `(batch, sum(length_per_key))`.

    Raises:
        ValueError: if the numbers of keys, lengths and columns do not fit.
        KeyError: on an unknown key.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models.sparse import KeyedTensor
    >>> pooled = KeyedTensor(["f1", "f2"], [1, 2], tf.constant([[1.0, 2.0, 3.0]]))
    >>> pooled["f2"].numpy().tolist()
    [[2.0, 3.0]]
    """

    def __init__(self, keys, length_per_key, values):
        keys, length_per_key = tuple(keys), tuple(length_per_key)
        if len(keys) != len(length_per_key):
            raise ValueError(
                f"KeyedTensor needs one length per key, received {len(keys)} keys and "
                f"{len(length_per_key)} lengths."
            )
        columns = getattr(values, "shape", (None,))[-1]
        if columns is not None and columns != sum(length_per_key):
            raise ValueError(
                f"KeyedTensor's length_per_key {list(length_per_key)} must sum to the number of "
                f"columns of values, received {columns} columns."
            )
        self._keys, self._length_per_key, self._values = keys, length_per_key, values

    @classmethod
    def from_tensor_list(cls, keys, tensors):
        """Returns the `(batch, n)` tensors side by side under the names `keys`."""
        return cls(keys, [tensor.shape[-1] for tensor in tensors], _concat(tensors))

    @staticmethod
    def regroup(keyed_tensors, groups):
        """Collects named blocks from several KeyedTensors into one tensor per group.

        Args:
            keyed_tensors: list of `KeyedTensor`.
            groups: list of lists of names; a name may occur in several groups.

        Returns:
            A list of `(batch, n)` tensors, one per group.
        """
        blocks = {}
        for keyed_tensor in keyed_tensors:
            blocks.update(keyed_tensor.to_dict())
        return [_concat([_block(blocks, name) for name in group]) for group in groups]

    def keys(self):
        """Returns the names in column order."""
        return list(self._keys)

    def values(self):
        """Returns all blocks as one `(batch, sum of lengths)` tensor."""
        return self._values

    def length_per_key(self):
        """Returns the number of columns of each name."""
        return list(self._length_per_key)

    def offset_per_key(self):
        """Returns the first column of each name, and the end."""
        offsets = [0]
        for length in self._length_per_key:
            offsets.append(offsets[-1] + length)
        return offsets

    def to_dict(self):
        """Returns the blocks as a dict from name to `(batch, n)` tensor."""
        offsets = self.offset_per_key()
        return {
            key: self._values[:, offsets[i] : offsets[i + 1]] for i, key in enumerate(self._keys)
        }

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
        return (self._values,), (self._keys, self._length_per_key)

    @classmethod
    def tree_unflatten(cls, metadata, children):
        keyed_tensor = cls.__new__(cls)
        (keyed_tensor._values,) = children
        keyed_tensor._keys, keyed_tensor._length_per_key = metadata
        return keyed_tensor

    def __tf_flatten__(self):
        return (self._keys, self._length_per_key), (self._values,)

    __tf_unflatten__ = tree_unflatten


register_tree_node(KeyedTensor)


def _block(blocks, name):
    if name not in blocks:
        raise KeyError(f"KeyedTensor has no key {name!r}; it has {list(blocks)}.")
    return blocks[name]


def _concat(tensors):
    if len(tensors) == 1:
        return tensors[0]
    return keras.ops.concatenate(tensors, axis=-1)
