"""Several jagged features of one batch, as TorchRec lays them out."""

import typing

import tensorflow as tf

from tfrec_models.sparse import _checks
from tfrec_models.sparse.batching import KeyedJaggedTensorBatchEncoder, static_stride
from tfrec_models.sparse.jagged_tensor import JaggedTensor, offsets_from_lengths


class KeyedJaggedTensor(tf.experimental.BatchableExtensionType):
    """Bags of ids for several features, key by key in one tensor of values.

    TorchRec's sparse input. With F keys and B examples, the bag of key i in example b is
    `values[offsets[i * B + b] : offsets[i * B + b + 1]]`:

    ```
              example 0   1     2
    key "f1"  [v0, v1]   []   [v2]      values  = [v0, v1, v2, v3, v4, v5]
    key "f2"  [v3]      [v4]  [v5]      offsets = [0, 2, 2, 3, 4, 5, 6]
    ```

    Works eagerly, inside `tf.function`, as an element of a `tf.data.Dataset` and as input of
    `fit` and `predict`. `Dataset.batch` puts the examples of its elements after one another, so a
    batch of n elements with B examples each has n x B examples; `Dataset.unbatch` gives
    elements of one example.

    Unlike TorchRec's, the contents are checked.

    Args:
        keys: list of str, distinct feature names.
        values: int tensor of shape `(num_values,)`.
        weights: optional float tensor of shape `(num_values,)`, one weight per id.
        lengths: int tensor of shape `(F * B,)`, the bag lengths; give this or `offsets`.
        offsets: int tensor of shape `(F * B + 1,)`.
        stride: optional int, the expected number of examples B.

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
    >>> int(kjt.stride())
    3
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
            return tf.TensorShape([static_stride(self), len(self.feature_names), None])

        @property
        def dtype(self):
            return self.flat_values.dtype

        def _create_empty_value(self):
            """What a strategy gives a replica that has no examples left."""
            weights = self.flat_weights
            return assemble(
                self.feature_names,
                tf.zeros([0], self.flat_values.dtype),
                tf.zeros([1], self.row_splits.dtype),
                None if weights is None else tf.zeros([0], weights.dtype),
            )

    def __init__(self, keys, values, weights=None, lengths=None, offsets=None, stride=None):
        keys = _checks.check_keys(keys)
        if (lengths is None) == (offsets is None):
            raise ValueError(
                "KeyedJaggedTensor needs either lengths or offsets, received "
                + ("neither." if lengths is None else "both.")
            )
        self.feature_names = keys
        self.flat_values = _checks.as_ids(values, "values")
        num_values = tf.shape(self.flat_values)[0]
        if offsets is None:
            lengths = _checks.as_integer(lengths, "lengths")
            lengths = _checks.checked_lengths(lengths, num_values, len(keys))
            offsets = offsets_from_lengths(lengths)
        else:
            offsets = _checks.as_integer(offsets, "offsets")
            offsets = _checks.checked_offsets(offsets, num_values, len(keys))
        if weights is not None:
            weights = _checks.as_ids(weights, "weights")
            weights = _checks.checked_weights(weights, self.flat_values)
        self.flat_weights = weights
        if stride is not None:
            offsets = _checks.checked(
                offsets,
                tf.size(offsets) - 1 == len(keys) * stride,
                f"stride {stride} with {len(keys)} keys needs {len(keys)} x {stride} bags, "
                "received this many:",
                tf.size(offsets) - 1,
            )
        self.row_splits = offsets

    @classmethod
    def from_offsets_sync(cls, keys, values, offsets, weights=None, stride=None):
        """Returns a KeyedJaggedTensor from where each bag starts, and the end."""
        return cls(keys, values, weights=weights, offsets=offsets, stride=stride)

    @classmethod
    def from_lengths_sync(cls, keys, values, lengths, weights=None, stride=None):
        """Returns a KeyedJaggedTensor from the number of ids in each bag."""
        return cls(keys, values, weights=weights, lengths=lengths, stride=stride)

    @classmethod
    def from_dict(cls, features, weights=None):
        """Returns a KeyedJaggedTensor from a dict of features.

        Args:
            features: dict from name to `tf.RaggedTensor` of shape `(B, None)` or int tensor of
                shape `(B,)` or `(B, L)`.
            weights: optional dict from the same names to float tensors of the same form.

        Raises:
            ValueError: if the features differ in their number of examples, or `weights` has other
                names than `features`.
        """
        if weights is not None and set(weights) != set(features):
            raise ValueError(
                f"weights must name the same features as features {sorted(features)}, received "
                f"{sorted(weights)}."
            )
        bags = {name: _as_ragged(ids, name) for name, ids in features.items()}
        rows = [ragged.nrows() for ragged in bags.values()]
        for name, count in zip(bags, rows, strict=True):
            bags[name] = _checks.checked(
                bags[name],
                tf.equal(count, tf.cast(rows[0], count.dtype)),
                f"Features must have the same number of examples. {name!r} and "
                f"{next(iter(bags))!r} have:",
                count,
                rows[0],
            )
        return cls(
            tuple(bags),
            _joined([ragged.values for ragged in bags.values()]) if bags else [],
            lengths=_joined([ragged.row_lengths() for ragged in bags.values()]) if bags else [],
            weights=None
            if weights is None
            else tf.concat([_as_ragged(weights[name], name).values for name in bags], 0),
        )

    @classmethod
    def concat(cls, kjt_list):
        """Returns one KeyedJaggedTensor with the keys of all in `kjt_list`, in their order.

        Raises:
            ValueError: if the list is empty, keys repeat, only some have weights or the numbers of
                examples differ.
        """
        kjt_list = list(kjt_list)
        if not kjt_list:
            raise ValueError("KeyedJaggedTensor.concat needs at least one, received an empty list.")
        weights = [kjt.flat_weights for kjt in kjt_list]
        weighted = [weight is not None for weight in weights]
        if any(weighted) != all(weighted):
            raise ValueError(
                "KeyedJaggedTensor.concat cannot join weighted and unweighted ones; those at "
                f"positions {[i for i, has in enumerate(weighted) if not has]} have no weights."
            )
        strides = [kjt.stride() for kjt in kjt_list]
        offsets = offsets_from_lengths(_joined([kjt.lengths() for kjt in kjt_list]))
        for stride in strides[1:]:
            offsets = _checks.checked(
                offsets,
                tf.equal(stride, strides[0]),
                "KeyedJaggedTensor.concat needs equal numbers of examples, received:",
                tf.convert_to_tensor(strides[0]),
                tf.convert_to_tensor(stride),
            )
        return assemble(
            _checks.check_keys([key for kjt in kjt_list for key in kjt.feature_names]),
            _joined([kjt.flat_values for kjt in kjt_list]),
            offsets,
            tf.concat(weights, 0) if all(weighted) else None,
        )

    @property
    def shape(self):
        """Static shape `(B, F, None)`: examples, keys, ids of a bag."""
        return tf.TensorShape([static_stride(self), len(self.feature_names), None])

    @property
    def dtype(self):
        """The dtype of the ids."""
        return self.flat_values.dtype

    def is_tensor_like(self):
        return True

    def keys(self):
        """Returns the feature names in order."""
        return list(self.feature_names)

    def values(self):
        """Returns all ids, key by key: `(num_values,)`."""
        return self.flat_values

    def offsets(self):
        """Returns where each bag starts, and the end: `(F * B + 1,)`."""
        return self.row_splits

    def lengths(self):
        """Returns the number of ids in each bag, key by key: `(F * B,)`."""
        return self.row_splits[1:] - self.row_splits[:-1]

    def weights(self):
        """Returns the weight of each id, `(num_values,)`.

        Raises:
            ValueError: if there are none.
        """
        if self.flat_weights is None:
            raise ValueError("This KeyedJaggedTensor has no weights. Pass weights when making it.")
        return self.flat_weights

    def weights_or_none(self):
        """Returns the weight of each id, or None."""
        return self.flat_weights

    def stride(self):
        """Returns the number of examples B: an int where known, else a scalar int32 tensor."""
        static = static_stride(self)
        return (
            (tf.size(self.row_splits) - 1) // len(self.feature_names) if static is None else static
        )

    def length_per_key(self):
        """Returns the number of ids of each key: `(F,)`."""
        edges = self._key_edges()
        return edges[1:] - edges[:-1]

    def offset_per_key(self):
        """Returns where each key's ids start, and the end: `(F + 1,)`."""
        return self._key_edges()

    def to_dict(self):
        """Returns a dict from key to `JaggedTensor`."""
        return {key: self[key] for key in self.feature_names}

    def __getitem__(self, key):
        if key not in self.feature_names:
            raise KeyError(f"KeyedJaggedTensor has no key {key!r}; it has {self.keys()}.")
        part = self._slice(self.feature_names.index(key), 1)
        return JaggedTensor(part.flat_values, weights=part.flat_weights, offsets=part.row_splits)

    def permute(self, indices):
        """Returns the keys at `indices` (a list of int) in that order; repeats are allowed.

        Raises:
            ValueError: if an index is out of range.
        """
        indices = list(indices)
        if any(not 0 <= index < len(self.feature_names) for index in indices):
            raise ValueError(
                f"permute needs indices of the {len(self.feature_names)} keys, received {indices}."
            )
        keys = [self.feature_names[index] for index in indices]
        bags = tf.range(self.stride())[tf.newaxis, :] + tf.constant(
            indices, tf.int32, [len(indices), 1]
        ) * tf.convert_to_tensor(self.stride(), tf.int32)
        bags = tf.reshape(bags, [-1])
        ragged = tf.gather(self.as_bags(self.flat_values), bags)
        weights = self.flat_weights
        if weights is not None:
            weights = tf.gather(self.as_bags(weights), bags).values
        return assemble(keys, ragged.values, ragged.row_splits, weights)

    def split(self, segments):
        """Returns one KeyedJaggedTensor for each number of keys in `segments`.

        Raises:
            ValueError: if the numbers do not sum to the number of keys.
        """
        segments = list(segments)
        if any(count < 0 for count in segments) or sum(segments) != len(self.feature_names):
            raise ValueError(
                f"split's segments must sum to the {len(self.feature_names)} keys, received "
                f"{segments}."
            )
        starts = [sum(segments[:i]) for i in range(len(segments))]
        return [self._slice(*part) for part in zip(starts, segments, strict=True)]

    def to_packed(self):
        """Returns the ids as a packed `tf.RaggedTensor` of shape `(B, F, None)`."""
        from tfrec_models.sparse.batching import example_major

        ids, _ = example_major(self)
        return ids

    def as_bags(self, flat):
        """Returns `flat` (the values or the weights) as ragged `(F * B, None)`, key by key."""
        return tf.RaggedTensor.from_row_splits(flat, self.row_splits, validate=False)

    def _key_edges(self):
        stride = self.stride()
        return tf.gather(self.row_splits, tf.range(len(self.feature_names) + 1) * stride)

    def _slice(self, start, count):
        stride = self.stride()
        splits = self.row_splits[start * stride : (start + count) * stride + 1]
        first, last = splits[0], splits[-1]
        return assemble(
            self.feature_names[start : start + count],
            self.flat_values[first:last],
            splits - first,
            None if self.flat_weights is None else self.flat_weights[first:last],
        )


def assemble(keys, values, offsets, weights):
    """Returns a KeyedJaggedTensor of parts known to fit, without checking them again."""
    kjt = object.__new__(KeyedJaggedTensor)
    vars(kjt).update(
        feature_names=tuple(keys), flat_values=values, row_splits=offsets, flat_weights=weights
    )
    return kjt


def _joined(tensors):
    """The tensors one after the other; int32 and int64 together become int64."""
    if {tensor.dtype for tensor in tensors} == {tf.int32, tf.int64}:
        tensors = [tf.cast(tensor, tf.int64) for tensor in tensors]
    return tf.concat(tensors, 0)


def _as_ragged(ids, name):
    ids = _checks.as_ids(ids, f"Feature {name!r}")
    if not isinstance(ids, tf.RaggedTensor):
        if ids.shape.rank == 1:
            ids = ids[:, tf.newaxis]
        if ids.shape.rank != 2:
            raise ValueError(
                f"Feature {name!r} must have shape (batch,), (batch, length) or ragged "
                f"(batch, None), received {ids.shape}."
            )
        ids = tf.RaggedTensor.from_tensor(ids)
    if ids.ragged_rank != 1 or ids.shape.rank != 2:
        raise ValueError(
            f"Feature {name!r} must be ragged of shape (batch, None), received {ids.shape}."
        )
    return ids


@tf.experimental.dispatch_for_api(tf.shape, {"input": KeyedJaggedTensor})
def _shape(input, out_type=tf.int32, name=None):
    """Keras asks for the batch size of an input with `tf.shape(x)[0]`."""
    return tf.stack(
        [
            tf.cast(input.stride(), out_type),
            tf.constant(len(input.feature_names), out_type),
            tf.cast(tf.reduce_max(tf.concat([[0], input.lengths()], 0)), out_type),
        ],
        name=name,
    )
