"""Several jagged features of one batch, as TorchRec lays them out."""

import typing
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfrec_models._compat.tensorflow import complete_spec
from tfrec_models.sparse import _kjt_construction, _kjt_regroup, kjt_layout
from tfrec_models.sparse.batching import KeyedJaggedTensorBatchEncoder
from tfrec_models.sparse.jagged_tensor import JaggedTensor


class KeyedJaggedTensor(tf.experimental.BatchableExtensionType):
    """Bags of ids for several features, key by key in one tensor of values.

    TorchRec's sparse input. With F keys and B examples, the bag of key i in example b is
    `values[offsets[i * B + b] : offsets[i * B + b + 1]]`:

    ```
              example 0   1     2
    key "f1"  [v0, v1]   []   [v2]      values  = [v0, v1, v2, v3, v4, v5]
    key "f2"  [v3]      [v4]  [v5]      offsets = [0, 2, 2, 3, 4, 5, 6]
    ```

    Works eagerly, inside `tf.function` and as an element of a `tf.data.Dataset`, which is what
    `fit`, `evaluate` and `predict` of any Keras model take it from. The ranking models of this
    package also take it there as it is, alone in "sparse_features", from a generator or from a
    `keras.utils.PyDataset`. `Dataset.batch` puts the examples of its elements after one another,
    so a batch of n elements with B examples each has n x B examples; `Dataset.unbatch` gives
    elements of one example.

    Unlike TorchRec's, the contents are checked, and all keys have the same number of examples:
    bags that examples share, given with `inverse_indices`, are repeated here.

    Args:
        keys: list of str, distinct feature names.
        values: int tensor of shape `(num_values,)`. Integers of any type become int32 or int64,
            and so does an empty list or array.
        weights: optional float tensor of shape `(num_values,)`, one weight per id.
        lengths: int tensor of shape `(F * B,)` or `(F, B)`, the bag lengths; give this or
            `offsets`.
        offsets: int tensor of shape `(F * B + 1,)`.
        stride: optional int, the expected number of examples B. Without keys nothing else tells
            it, and it is 0 unless given.
        stride_per_key_per_rank: with `inverse_indices`, the number of bags of each key, a list
            for each with one for each rank. None where all have equally many.
        inverse_indices: optional pair of a list of keys and an int tensor (F, B): which of the
            bags of a key is that of an example.

    Raises:
        ValueError: if keys repeat, or lengths, offsets, weights and values do not fit together.
        TypeError: if lengths or offsets are not integers, or weights not floats.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models import KeyedJaggedTensor
    >>> kjt = KeyedJaggedTensor.from_offsets_sync(
    ...     keys=["f1", "f2"],
    ...     values=tf.constant([0, 1, 2, 3, 4, 5]),
    ...     offsets=tf.constant([0, 2, 2, 3, 4, 5, 6]),
    ... )
    >>> kjt["f1"].to_ragged().to_list()
    [[0, 1], [], [2]]
    """

    __name__ = "tfrec_models.KeyedJaggedTensor"
    __batch_encoder__ = KeyedJaggedTensorBatchEncoder()
    feature_names: tuple[str, ...]
    flat_values: tf.Tensor
    row_splits: tf.Tensor
    flat_weights: typing.Optional[tf.Tensor]  # noqa: UP045, ExtensionType knows no `X | None`

    class Spec:
        """The type of a KeyedJaggedTensor; strategies ask it for the shape of a batch."""

        @property
        def shape(self):
            return kjt_layout.static_shape(self)

        @property
        def dtype(self):
            return self.flat_values.dtype

    def __init__(
        self,
        keys: Sequence[str],
        values: Any,
        weights: Any = None,
        lengths: Any = None,
        offsets: Any = None,
        stride: int | tf.Tensor | None = None,
        stride_per_key_per_rank: Any = None,
        inverse_indices: tuple[Sequence[str], Any] | None = None,
    ) -> None:
        bags = (keys, values, weights, lengths, offsets, stride)
        self.feature_names, self.flat_values, self.row_splits, self.flat_weights = (
            _kjt_construction.keyed_parts(*bags, stride_per_key_per_rank, inverse_indices)
        )

    @classmethod
    def from_offsets_sync(
        cls,
        keys: Sequence[str],
        values: Any,
        offsets: Any,
        weights: Any = None,
        stride: int | tf.Tensor | None = None,
    ) -> "KeyedJaggedTensor":
        """Returns a KeyedJaggedTensor from the offsets of all bags."""
        return cls(keys, values, weights=weights, offsets=offsets, stride=stride)

    @classmethod
    def from_lengths_sync(
        cls,
        keys: Sequence[str],
        values: Any,
        lengths: Any,
        weights: Any = None,
        stride: int | tf.Tensor | None = None,
    ) -> "KeyedJaggedTensor":
        """Returns a KeyedJaggedTensor from the number of ids in each bag."""
        return cls(keys, values, weights=weights, lengths=lengths, stride=stride)

    @classmethod
    def from_dict(cls, features: Any, weights: Any = None) -> "KeyedJaggedTensor":
        """Returns a KeyedJaggedTensor from a dict of features.

        Args:
            features: dict from name to `tf.RaggedTensor` of shape `(B, None)` or int tensor of
                shape `(B,)` or `(B, L)`.
            weights: optional dict from the same names to float tensors of the same form.

        Raises:
            ValueError: if the features differ in their number of examples, or `weights` has other
                names or other bag lengths than `features`.
        """
        return cls(**_kjt_construction.parts_of_dict(features, weights))

    @classmethod
    def from_jt_dict(cls, jt_dict: Mapping[str, Any]) -> "KeyedJaggedTensor":
        """Returns a KeyedJaggedTensor from a dict of `JaggedTensor`, the inverse of `to_dict`.

        Raises:
            ValueError: if they differ in their number of examples, or only some have weights.
        """
        return cls(**_kjt_construction.parts_of_jt_dict(jt_dict))

    @classmethod
    def concat(cls, kjt_list: Sequence[Any]) -> "KeyedJaggedTensor":
        """Returns one KeyedJaggedTensor with the keys of all in `kjt_list`, in their order.

        Raises:
            ValueError: if the list is empty, keys repeat, only some have weights or the numbers of
                examples differ.
        """
        return kjt_layout.assemble(cls, *_kjt_construction.parts_of_list(kjt_list))

    @classmethod
    def empty(
        cls,
        is_weighted: bool = False,
        values_dtype: Any = tf.int64,
        weights_dtype: Any = tf.float32,
        lengths_dtype: Any = tf.int32,
    ) -> "KeyedJaggedTensor":
        """Returns a KeyedJaggedTensor without keys and examples; its offsets are `[0]`."""
        return cls(
            (),
            tf.zeros([0], values_dtype),
            weights=tf.zeros([0], weights_dtype) if is_weighted else None,
            lengths=tf.zeros([0], lengths_dtype),
        )

    @classmethod
    def empty_like(cls, kjt: Any) -> "KeyedJaggedTensor":
        """Returns a KeyedJaggedTensor without keys, of the types and the stride of another one."""
        return _kjt_regroup.slice_keys(kjt, 0, 0)

    @property
    def shape(self):
        """Static shape `(B, F, None)`: examples, keys, ids of a bag."""
        return kjt_layout.static_shape(self)

    @property
    def dtype(self):
        """The dtype of the ids."""
        return self.flat_values.dtype

    def is_tensor_like(self):
        return True

    # Keras calls it of what is given to `fit`.
    def __array__(self, *args, **kwargs):
        raise TypeError(
            "A KeyedJaggedTensor cannot be converted to an array. To give it to fit, evaluate or "
            "predict, make a dataset of it: tf.data.Dataset.from_tensors(kjt), or of (kjt, y)."
        )

    def keys(self) -> list[str]:
        """Returns the feature names in order."""
        return list(self.feature_names)

    def values(self) -> tf.Tensor:
        """Returns all ids, key by key: `(num_values,)`."""
        return self.flat_values

    def offsets(self) -> tf.Tensor:
        """Returns where each bag starts, and the end: `(F * B + 1,)`."""
        return self.row_splits if self.feature_names else self.row_splits[:1]

    # Computed where TorchRec may not have them yet, so never None.
    offsets_or_none = offsets

    def lengths(self) -> tf.Tensor:
        """Returns the number of ids in each bag, key by key: `(F * B,)`."""
        offsets = self.offsets()
        return offsets[1:] - offsets[:-1]

    # Computed where TorchRec may not have them yet, so never None.
    lengths_or_none = lengths

    def weights(self) -> tf.Tensor:
        """Returns the weight of each id, `(num_values,)`.

        Raises:
            ValueError: if there are none.
        """
        if self.flat_weights is None:
            raise ValueError("This KeyedJaggedTensor has no weights. Pass weights when making it.")
        return self.flat_weights

    def weights_or_none(self) -> tf.Tensor | None:
        """Returns the weight of each id, or None."""
        return self.flat_weights

    def stride(self):
        """Returns the number of examples B: an int where known, else a scalar int32 tensor."""
        return kjt_layout.dynamic_stride(self)

    def stride_per_key(self):
        """Returns a list with the number of examples of each key, the stride for all."""
        return [self.stride()] * len(self.feature_names)

    def variable_stride_per_key(self) -> bool:
        """Returns False: all keys have the same number of examples."""
        return False

    def inverse_indices(self) -> Any:
        """Raises ValueError: there are none, see the class."""
        raise ValueError(
            "A KeyedJaggedTensor has no inverse indices, since all its keys have the same number "
            "of examples. Use inverse_indices_or_none, which returns None."
        )

    def inverse_indices_or_none(self) -> Any:
        """Returns None: there are none, see the class."""
        return None

    def length_per_key(self) -> list[int]:
        """Returns a list with the number of ids of each key.

        Raises:
            ValueError: in a graph that does not know the offsets.
        """
        edges = _kjt_regroup.edges_of_keys(self, "length_per_key")
        return [end - start for start, end in zip(edges[:-1], edges[1:], strict=True)]

    def length_per_key_or_none(self) -> list[int] | None:
        """Returns `length_per_key`, or None in a graph that does not know the offsets."""
        return self.length_per_key() if _kjt_regroup.has_known_edges(self) else None

    def offset_per_key(self) -> list[int]:
        """Returns a list with the start of each key's ids, and the end.

        Raises:
            ValueError: in a graph that does not know the offsets.
        """
        return _kjt_regroup.edges_of_keys(self, "offset_per_key")

    def offset_per_key_or_none(self) -> list[int] | None:
        """Returns `offset_per_key`, or None in a graph that does not know the offsets."""
        return self.offset_per_key() if _kjt_regroup.has_known_edges(self) else None

    def to_dict(self) -> dict[str, JaggedTensor]:
        """Returns a dict from key to `JaggedTensor`."""
        return {key: self[key] for key in self.feature_names}

    def __getitem__(self, key):
        if key not in self.feature_names:
            raise KeyError(f"KeyedJaggedTensor has no key {key!r}; it has {self.keys()}.")
        part = _kjt_regroup.slice_keys(self, self.feature_names.index(key), 1)
        return JaggedTensor(part.flat_values, weights=part.flat_weights, offsets=part.row_splits)

    def permute(self, indices: Sequence[int]) -> "KeyedJaggedTensor":
        """Returns the keys at `indices` (a list of int) in that order; repeats are allowed.

        Raises:
            ValueError: if an index is out of range.
        """
        return _kjt_regroup.permute_keys(self, list(indices))

    def split(self, segments: Sequence[int]) -> list["KeyedJaggedTensor"]:
        """Returns one KeyedJaggedTensor for each number of keys in `segments`.

        Raises:
            ValueError: if the numbers do not sum to the number of keys.
        """
        return _kjt_regroup.split_keys(self, list(segments))

    def to_packed(self):
        """Returns the ids as a packed `tf.RaggedTensor` of shape `(B, F, None)`."""
        return kjt_layout.example_major(self, self.flat_values)

    def to_packed_weights(self):
        """Returns the weights as `to_packed` returns the ids, or None if there are none."""
        return (
            None if self.flat_weights is None else kjt_layout.example_major(self, self.flat_weights)
        )

    def as_bags(self, flat: bool):
        """Returns `flat` (the values or the weights) as ragged `(F * B, None)`, key by key."""
        return tf.RaggedTensor.from_row_splits(flat, self.offsets(), validate=False)


complete_spec(KeyedJaggedTensor.Spec, kjt_layout.without_examples)
