"""Rows of a log as a model's inputs, whose features can be shuffled one by one."""

import dataclasses

import numpy as np
import tensorflow as tf

from tfrec_models.datasets.read import read

_BATCH = 4096


@dataclasses.dataclass(frozen=True)
class Sample:
    """Packed inputs as arrays.

    Args:
        dense: array (rows, num_dense) float32.
        ids: array of all ids, row after row and in each feature after feature.
        lengths: array (rows, num_features), ids of each bag.
        weights: array like ids, or None.
        labels: array (rows,), or None.
        is_ragged: bool, whether the model is given bags of any length.
    """

    dense: np.ndarray
    ids: np.ndarray
    lengths: np.ndarray
    weights: np.ndarray | None
    labels: np.ndarray | None
    is_ragged: bool

    def __len__(self):
        return len(self.dense)

    def head(self, rows):
        """The first rows."""
        num_ids = self.lengths[:rows].sum()
        return Sample(
            self.dense[:rows],
            self.ids[:num_ids],
            self.lengths[:rows],
            None if self.weights is None else self.weights[:num_ids],
            None if self.labels is None else self.labels[:rows],
            self.is_ragged,
        )

    def bags_of(self, feature):
        """The ids of a feature, by its number, and its lengths of bags."""
        starts = self._starts()[:, feature]
        lengths = self.lengths[:, feature]
        return self.ids[_positions(starts, lengths)], lengths

    def with_dense_shuffled(self, column, order):
        """The same rows but for a dense column, which is that of the rows in another order."""
        dense = self.dense.copy()
        dense[:, column] = dense[order, column]
        return dataclasses.replace(self, dense=dense)

    def with_bags_shuffled(self, feature, order):
        """The same rows but for the bags of a feature, which are those of other rows."""
        starts, lengths = self._starts(), self.lengths.copy()
        starts[:, feature] = starts[order, feature]
        lengths[:, feature] = lengths[order, feature]
        taken = _positions(starts.reshape(-1), lengths.reshape(-1))
        weights = None if self.weights is None else self.weights[taken]
        return dataclasses.replace(self, ids=self.ids[taken], lengths=lengths, weights=weights)

    def batches(self):
        """Yields a model's inputs."""
        ends = np.cumsum(self.lengths.sum(axis=1))
        for first in range(0, len(self), _BATCH):
            last = min(first + _BATCH, len(self))
            inside = slice(ends[first - 1] if first else 0, ends[last - 1])
            features = {"dense_features": tf.constant(self.dense[first:last])}
            lengths = self.lengths[first:last]
            if lengths.shape[1]:
                ids = self._packed(self.ids[inside], lengths)
                if self.weights is not None:
                    ids = (ids, self._packed(self.weights[inside], lengths))
                features["sparse_features"] = ids
            yield features

    def _packed(self, values, lengths):
        if not self.is_ragged:
            return tf.constant(values.reshape(lengths.shape))
        bags = tf.RaggedTensor.from_row_lengths(values, lengths.reshape(-1), validate=False)
        return tf.RaggedTensor.from_uniform_row_length(bags, lengths.shape[1], validate=False)

    def _starts(self):
        flat = self.lengths.reshape(-1)
        return (np.cumsum(flat) - flat).reshape(self.lengths.shape)


def _positions(starts, lengths):
    """The numbers of each range from a start on, one range after the other."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum())


def read_sample(source, schema, rows, seed, **options):
    """Draws rows of a log, or takes all where it has no more.

    Drawn are rows of the first blocks in a random order of blocks, the same for the same seed.

    Args:
        source, options: as for `read`.
        schema: `Schema`, fitted.
        rows: int, at least 1.
        seed: int.
    """
    dataset = read(source, schema, min(rows, _BATCH), shuffle=True, seed=seed, **options)
    parts: list[Sample] = []
    missing = rows
    for batch in dataset:
        features, labels = batch if isinstance(batch, tuple) else (batch, None)
        part = _arrays(features, labels)
        parts.append(part if len(part) <= missing else part.head(missing))
        missing -= len(parts[-1])
        if not missing:
            break
    if not parts:
        raise ValueError(f"{source} has no rows.")

    def together(name):
        values = [getattr(part, name) for part in parts]
        return None if values[0] is None else np.concatenate(values)

    names = ("dense", "ids", "lengths", "weights", "labels")
    return Sample(**{name: together(name) for name in names}, is_ragged=parts[0].is_ragged)


def _arrays(features, labels):
    dense = features["dense_features"].numpy()
    packed = features.get("sparse_features")
    ids, weights = packed if isinstance(packed, tuple) else (packed, None)
    is_ragged = isinstance(ids, tf.RaggedTensor)
    if ids is None:
        values, lengths = np.zeros(0, np.int64), np.zeros((len(dense), 0), np.int64)
    elif is_ragged:
        values = ids.flat_values.numpy()
        lengths = ids.values.row_lengths().numpy().reshape(len(dense), -1)
    else:
        values, lengths = ids.numpy().reshape(-1), np.ones(ids.shape, np.int64)
    if weights is not None:
        weights = weights.flat_values.numpy()
    labels = None if labels is None else labels.numpy()
    return Sample(dense, values, lengths, weights, labels, is_ragged)
