"""Bags of ids of several features, in one form for every lookup."""

import dataclasses

import tensorflow as tf

from tfrec_models.sparse._take_bags import bag_of_id, take_bags


@dataclasses.dataclass(frozen=True)
class BagBatch:
    """The bags of C features ("columns") of a batch of B examples.

    Where every bag is known to hold one id, `ids` is a matrix and there are no splits. Else `ids`
    is flat and `row_splits` cuts it into B x C bags. Inputs come example by example (packed forms)
    or feature by feature (a dict, a KeyedJaggedTensor), and putting one into the other's order
    takes 4 to 7 % of a training step, so bags stay in the order they have: everything that depends
    on it is a method here.

    Args:
        ids: int tensor `(B, C)` if `row_splits` is None, else `(n,)`.
        weights: float tensor of the shape of `ids`, or None.
        row_splits: int tensor `(B C + 1,)`, or None.
        num_columns: int, C.
        by_example: bool, whether bag `b` is column `b % C` of example `b // C`; else it is column
            `b // B` of example `b % B`.
        has_rows: bool, whether managed ids have been replaced by rows of their tables.
    """

    ids: tf.Tensor
    weights: tf.Tensor | None
    row_splits: tf.Tensor | None
    num_columns: int
    by_example: bool = True
    has_rows: bool = False

    @classmethod
    def of_one_id(cls, ids, weights=None):
        """Bags of exactly one id, of ids and weights `(B, C)`."""
        return cls(ids, _of_any_size(weights), None, ids.shape[1])

    @classmethod
    def of_splits(cls, ids, weights, row_splits, num_columns, by_example):
        """Bags of any length.

        Ragged tensors from a tf.data or tf.distribute iterator may not know the rank of their
        parts, so all are given rank 1.
        """
        ids, row_splits = tf.reshape(ids, [-1]), tf.reshape(row_splits, [-1])
        weights = None if weights is None else _of_any_size(tf.reshape(weights, [-1]))
        return cls(ids, weights, row_splits, num_columns, by_example)

    @property
    def is_single(self):
        """Whether every bag is known to hold one id."""
        return self.row_splits is None

    @property
    def num_bags(self):
        """B x C as an int32 tensor."""
        if self.is_single:
            return tf.size(self.ids)
        return tf.size(self.row_splits) - 1

    @property
    def batch_size(self):
        """B as an int32 tensor."""
        return self.num_bags // self.num_columns

    def lengths(self):
        """The number of ids of each bag."""
        return self.row_splits[1:] - self.row_splits[:-1]

    def bag_of_id(self):
        """The bag of each id, int32."""
        return bag_of_id(self.row_splits, tf.size(self.ids))

    def column_of(self, bag):
        """The column of bags, given by their numbers."""
        if self.by_example:
            return bag % self.num_columns
        return bag // tf.maximum(tf.cast(self.batch_size, bag.dtype), 1)

    def example_of(self, bag):
        """The example of bags, given by their numbers."""
        if self.by_example:
            return bag // self.num_columns
        return bag % tf.maximum(tf.cast(self.batch_size, bag.dtype), 1)

    def spreader(self):
        """Returns a function that gives each id the number of its column.

        It takes a list with a number for each column and a dtype, and returns a tensor that
        broadcasts to `ids`.
        """
        bag_of_id = None if self.is_single else self.bag_of_id()

        def spread(numbers, dtype):
            if len(set(numbers)) == 1:
                return tf.constant(numbers[0], dtype)
            numbers = tf.constant(numbers, dtype)
            if bag_of_id is None:
                return numbers[tf.newaxis, :]
            if self.by_example:
                by_bag = tf.tile(numbers, [self.batch_size])
            else:
                by_bag = tf.repeat(numbers, self.batch_size)
            return tf.gather(by_bag, bag_of_id)

        return spread

    def locate(self, position):
        """The example and the column of the id at a position of the flattened ids, int64."""
        if self.is_single:
            return position // self.num_columns, position % self.num_columns
        # The last bag that begins at the position or before it; empty ones begin there too.
        splits = tf.cast(self.row_splits, tf.int64)
        bag = tf.reduce_sum(tf.cast(splits <= position, tf.int64)) - 1
        return self.example_of(bag), self.column_of(bag)

    def arrange(self, pooled):
        """Puts one vector a bag, `(bags, dim)`, into `(B, C, dim)`."""
        dim = pooled.shape[-1]
        if self.by_example:
            return tf.reshape(pooled, [-1, self.num_columns, dim])
        by_column = tf.reshape(pooled, [self.num_columns, self.batch_size, dim])
        return tf.transpose(by_column, [1, 0, 2])

    def as_single(self):
        """The same bags as a matrix, where every bag holds one id at run time."""

        def matrix(flat):
            if self.by_example:
                return tf.reshape(flat, [-1, self.num_columns])
            return tf.transpose(tf.reshape(flat, [self.num_columns, -1]))

        weights = None if self.weights is None else matrix(self.weights)
        single = BagBatch.of_one_id(matrix(self.ids), weights)
        return dataclasses.replace(single, has_rows=self.has_rows)

    def may_be_single(self):
        """Whether every bag may hold one id, as far as shapes tell."""
        num_ids, num_splits = self.ids.shape[0], self.row_splits.shape[0]
        return num_ids is None or (
            num_ids % self.num_columns == 0 and num_splits in (None, num_ids + 1)
        )

    def by_column(self):
        """The ids as a RaggedTensor of all bags, column by column."""
        if self.is_single:
            return tf.RaggedTensor.from_tensor(tf.reshape(tf.transpose(self.ids), [-1, 1]))
        splits, ids = self.row_splits, self.ids
        if self.by_example:
            order = tf.reshape(tf.range(tf.size(splits) - 1), [-1, self.num_columns])
            order = tf.reshape(tf.transpose(order), [-1])
            splits, (ids,) = take_bags(splits, order, [ids])
        return tf.RaggedTensor.from_row_splits(ids, splits, validate=False)


def _of_any_size(weights):
    """Weights whose number the graph does not know where it is 0.

    Grappler takes an empty constant for ones and makes a tile of its product with rows, dividing
    their sizes, 0 by 0: SIGFPE ends the process (ReplaceMulWithBroadcastByTile, TensorFlow 2.21).
    """
    if weights is None or weights.shape[0] != 0 or tf.executing_eagerly():
        return weights
    return tf.raw_ops.PlaceholderWithDefault(input=weights, shape=[None, *weights.shape[1:]])
