"""One jagged feature: a list of ids for each example."""

import typing

import tensorflow as tf

from tfrec_models.sparse import _checks


class JaggedTensor(tf.experimental.ExtensionType):
    """The ids of one feature, a bag of them for each example.

    What `KeyedJaggedTensor["f1"]` returns. A bag is
    `values[offsets[b] : offsets[b + 1]]`; `to_ragged()` gives it as TensorFlow's own type.

    Args:
        values: int or float tensor of shape `(num_values, ...)`.
        weights: optional float tensor of shape `(num_values,)`.
        lengths: int tensor of shape `(batch,)`; give either this or `offsets`.
        offsets: int tensor of shape `(batch + 1,)`.

    Raises:
        ValueError: if neither or both of `lengths` and `offsets` are given, or they do not fit
            the values.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models.sparse import JaggedTensor
    >>> jagged = JaggedTensor(values=tf.constant([7, 8, 9]), lengths=tf.constant([1, 0, 2]))
    >>> jagged.to_ragged().to_list()
    [[7], [], [8, 9]]
    """

    __name__ = "tfrec_models.JaggedTensor"
    flat_values: tf.Tensor
    row_splits: tf.Tensor
    flat_weights: typing.Optional[tf.Tensor]  # noqa: UP045, ExtensionType knows no `X | None`

    def __init__(self, values, weights=None, lengths=None, offsets=None):
        if (lengths is None) == (offsets is None):
            raise ValueError(
                "JaggedTensor needs either lengths or offsets, received "
                + ("neither." if lengths is None else "both.")
            )
        self.flat_values = _checks.as_ids(values, "values")
        if offsets is None:
            lengths = _checks.as_integer(lengths, "lengths")
            lengths = _checks.checked_lengths(lengths, tf.shape(self.flat_values)[0], 1)
            offsets = offsets_from_lengths(lengths)
        else:
            offsets = _checks.as_integer(offsets, "offsets")
            offsets = _checks.checked_offsets(offsets, tf.shape(self.flat_values)[0], 1)
        self.row_splits = offsets
        if weights is not None:
            weights = _checks.as_ids(weights, "weights")
            weights = _checks.checked_weights(weights, self.flat_values)
        self.flat_weights = weights

    def values(self):
        """Returns the ids of all bags, one after the other: `(num_values,)`."""
        return self.flat_values

    def offsets(self):
        """Returns where each bag starts, and the end: `(batch + 1,)`."""
        return self.row_splits

    def lengths(self):
        """Returns the number of ids in each bag: `(batch,)`."""
        return self.row_splits[1:] - self.row_splits[:-1]

    def weights(self):
        """Returns the weights, `(num_values,)`.

        Raises:
            ValueError: if there are none.
        """
        if self.flat_weights is None:
            raise ValueError("This JaggedTensor has no weights. Pass weights when making it.")
        return self.flat_weights

    def weights_or_none(self):
        """Returns the weights, or None."""
        return self.flat_weights

    def to_ragged(self):
        """Returns the ids as a `tf.RaggedTensor` of shape `(batch, None)`."""
        return tf.RaggedTensor.from_row_splits(self.flat_values, self.row_splits, validate=False)


def offsets_from_lengths(lengths):
    """Returns the running sum of `lengths` with a leading 0, in the dtype of `lengths`."""
    return tf.concat([tf.zeros([1], lengths.dtype), tf.cumsum(lengths)], axis=0)
