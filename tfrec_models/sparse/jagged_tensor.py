"""One jagged feature: a list of ids for each example."""

import typing
from typing import Any

import tensorflow as tf

from tfrec_models.sparse import _checks


class JaggedTensor(tf.experimental.ExtensionType):
    """The ids of one feature, a bag of them for each example.

    What `KeyedJaggedTensor["f1"]` returns. A bag is
    `values[offsets[b] : offsets[b + 1]]`; `to_ragged()` gives it as TensorFlow's own type.

    Args:
        values: int or float tensor of shape `(num_values, ...)`. Integers of any type become
            int32 or int64, and so does an empty list or array.
        weights: optional float tensor of shape `(num_values,)`.
        lengths: int tensor of shape `(batch,)`; give either this or `offsets`.
        offsets: int tensor of shape `(batch + 1,)`.

    Raises:
        ValueError: if neither or both of `lengths` and `offsets` are given, or they do not fit
            the values.
        TypeError: if lengths or offsets are not integers, or weights not floats.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models.sparse import JaggedTensor
    >>> jagged = JaggedTensor(values=tf.constant([7, 8, 9]), lengths=tf.constant([1, 0, 2]))
    >>> jagged.to_ragged().to_list()
    [[7], [], [8, 9]]
    >>> jagged.to_padded_dense(padding_value=-1).numpy().tolist()
    [[7, -1], [-1, -1], [8, 9]]
    """

    __name__ = "tfrec_models.JaggedTensor"
    flat_values: tf.Tensor
    row_splits: tf.Tensor
    flat_weights: typing.Optional[tf.Tensor]  # noqa: UP045, ExtensionType knows no `X | None`

    def __init__(
        self, values: Any, weights: Any = None, lengths: Any = None, offsets: Any = None
    ) -> None:
        values = _checks.with_rank(_checks.as_values(values, "values"), "values")
        self.flat_values, self.row_splits, self.flat_weights = jagged_parts(
            "JaggedTensor", values, weights, lengths, offsets, num_keys=1
        )

    @classmethod
    def from_dense(cls, values: Any, weights: Any = None) -> "JaggedTensor":
        """Returns a JaggedTensor of a list with the values of each example.

        Args:
            values: list of tensors, arrays or lists of shape `(n, ...)`, one for each example.
            weights: optional list of float tensors of shapes `(n,)`.

        Raises:
            ValueError: if the weights are not as many as the values.
            TypeError: if the values are of types that cannot be joined.
        """
        values = [_checks.as_values(part, "values") for part in values]
        lengths = [tf.shape(part)[0] for part in values]
        if weights is not None:
            weights = [_checks.as_weights(part, "weights") for part in weights]
            lengths = _checks.checked(
                lengths,
                tf.reduce_all(tf.equal(_lengths_of(weights, len(values)), tf.stack(lengths))),
                "Each example must have as many weights as values.",
            )
            weights = _checks.joined(weights, "weights") if weights else []
        return cls(
            _checks.joined(values, "values") if values else [],
            weights=weights,
            lengths=tf.stack(lengths) if lengths else [],
        )

    @classmethod
    def from_dense_lengths(cls, values: Any, lengths: Any, weights: Any = None) -> "JaggedTensor":
        """Returns a JaggedTensor of the first `lengths[b]` columns of each row of `values`.

        Args:
            values: tensor of shape `(batch, width, ...)`.
            lengths: int tensor of shape `(batch,)`, between 0 and `width`.
            weights: optional float tensor of shape `(batch, width)`.

        Raises:
            ValueError: if a length is out of range, or the shapes do not fit.
        """
        values = _checks.as_values(values, "values")
        lengths = _checks.as_integer(lengths, "lengths")
        width = tf.shape(values)[1]
        lengths = _checks.checked(
            lengths,
            tf.reduce_all((lengths >= 0) & (lengths <= tf.cast(width, lengths.dtype))),
            "lengths must be between 0 and the number of columns of values, received:",
            lengths,
            width,
        )
        is_filled = tf.sequence_mask(lengths, width)
        if weights is not None:
            weights = tf.boolean_mask(_checks.as_weights(weights, "weights"), is_filled)
        return cls(tf.boolean_mask(values, is_filled), weights=weights, lengths=lengths)

    @classmethod
    def empty(
        cls,
        is_weighted: bool = False,
        values_dtype: Any = tf.int64,
        weights_dtype: Any = tf.float32,
        lengths_dtype: Any = tf.int32,
    ) -> "JaggedTensor":
        """Returns a JaggedTensor without examples; its offsets are `[0]`."""
        return cls(
            tf.zeros([0], values_dtype),
            weights=tf.zeros([0], weights_dtype) if is_weighted else None,
            lengths=tf.zeros([0], lengths_dtype),
        )

    @classmethod
    def empty_like(cls, jagged_tensor: Any) -> "JaggedTensor":
        """Returns a JaggedTensor without examples, of the types of another one."""
        weights = jagged_tensor.flat_weights
        return cls.empty(
            weights is not None,
            jagged_tensor.flat_values.dtype,
            tf.float32 if weights is None else weights.dtype,
            jagged_tensor.row_splits.dtype,
        )

    def values(self) -> tf.Tensor:
        """Returns the ids of all bags, one after the other: `(num_values,)`."""
        return self.flat_values

    def offsets(self) -> tf.Tensor:
        """Returns where each bag starts, and the end: `(batch + 1,)`."""
        return self.row_splits

    # Computed where TorchRec may not have them yet, so never None.
    offsets_or_none = offsets

    def lengths(self) -> tf.Tensor:
        """Returns the number of ids in each bag: `(batch,)`."""
        return self.row_splits[1:] - self.row_splits[:-1]

    # Computed where TorchRec may not have them yet, so never None.
    lengths_or_none = lengths

    def weights(self) -> tf.Tensor:
        """Returns the weights, `(num_values,)`.

        Raises:
            ValueError: if there are none.
        """
        if self.flat_weights is None:
            raise ValueError("This JaggedTensor has no weights. Pass weights when making it.")
        return self.flat_weights

    def weights_or_none(self) -> tf.Tensor | None:
        """Returns the weights, or None."""
        return self.flat_weights

    def to_ragged(self) -> tf.RaggedTensor:
        """Returns the ids as a `tf.RaggedTensor` of shape `(batch, None)`."""
        return self._as_ragged(self.flat_values)

    def to_dense(self) -> list[tf.Tensor]:
        """Returns a list with the values of each example.

        Raises:
            ValueError: in a graph that does not know the number of examples.
        """
        return self._as_list(self.flat_values, "to_dense")

    def to_dense_weights(self) -> list[tf.Tensor] | None:
        """Returns a list with the weights of each example, or None if there are none.

        Raises:
            ValueError: in a graph that does not know the number of examples.
        """
        if self.flat_weights is None:
            return None
        return self._as_list(self.flat_weights, "to_dense_weights")

    def to_padded_dense(
        self, desired_length: int | None = None, padding_value: float = 0.0
    ) -> tf.Tensor:
        """Returns the values as one tensor, each bag padded or cut at its end.

        Args:
            desired_length: optional int, the number of columns; that of the longest bag if None.
            padding_value: number that fills what a bag is short of.

        Returns:
            Tensor of shape `(batch, desired_length, ...)`.

        Raises:
            ValueError: if the values are integers and the padding value is none.
        """
        return self._padded(self.flat_values, desired_length, padding_value)

    def to_padded_dense_weights(
        self, desired_length: int | None = None, padding_value: float = 0.0
    ) -> tf.Tensor | None:
        """Returns the weights as one tensor, as `to_padded_dense` does, or None without any."""
        if self.flat_weights is None:
            return None
        return self._padded(self.flat_weights, desired_length, padding_value)

    def _as_ragged(self, flat):
        return tf.RaggedTensor.from_row_splits(flat, self.row_splits, validate=False)

    def _as_list(self, flat, method):
        num_splits = self.row_splits.shape[0] if self.row_splits.shape.rank else None
        if num_splits is None:
            raise ValueError(
                f"{method} returns a Python list with a tensor for each example, and this graph "
                "does not know their number. Use to_ragged or to_padded_dense in it."
            )
        return tf.split(flat, self.lengths(), num=num_splits - 1) if num_splits > 1 else []

    def _padded(self, flat, desired_length, padding_value):
        if flat.dtype.is_integer and int(padding_value) != padding_value:
            raise ValueError(
                f"padding_value must be an integer, as the values are, received {padding_value}."
            )
        ragged = self._as_ragged(flat)
        shape = [None, desired_length, *ragged.shape[2:]]
        return ragged.to_tensor(tf.cast(padding_value, flat.dtype), shape=shape)


def jagged_parts(what, values, weights, lengths, offsets, num_keys):
    """Returns values, row splits and weights, known to fit together."""
    if (lengths is None) == (offsets is None):
        raise ValueError(
            f"{what} needs either lengths or offsets, received "
            + ("neither." if lengths is None else "both.")
        )
    num_values = tf.shape(values)[0]
    if offsets is None:
        lengths = _checks.as_integer(lengths, "lengths")
        lengths = _checks.checked_lengths(lengths, num_values, num_keys)
        offsets = offsets_from_lengths(lengths)
    else:
        offsets = _checks.as_integer(offsets, "offsets")
        offsets = _checks.checked_offsets(offsets, num_values, num_keys)
    if weights is not None:
        weights = _checks.checked_weights(weights, values)
    return values, offsets, weights


def offsets_from_lengths(lengths):
    """Returns the running sum of `lengths` with a leading 0, in the dtype of `lengths`."""
    return tf.concat([tf.zeros([1], lengths.dtype), tf.cumsum(lengths)], axis=0)


def _lengths_of(weights, expected):
    if len(weights) != expected:
        raise ValueError(
            f"weights must have {expected} examples as values have, received {len(weights)}."
        )
    return tf.stack([tf.shape(part)[0] for part in weights])
