"""Normalizes every form of sparse input: a dict, a packed tensor or a KeyedJaggedTensor."""

from collections.abc import Mapping

import tensorflow as tf

from tfrec_models.sparse import _checks
from tfrec_models.sparse._take_bags import take_bags
from tfrec_models.sparse.bag_batch import BagBatch
from tfrec_models.sparse.check_form import check_form
from tfrec_models.sparse.keyed_jagged_tensor import KeyedJaggedTensor


class SparseFeatures:
    """Sparse features of one batch, of any form of input.

    Args:
        features: dict from name to `tf.RaggedTensor` (B, None) or id tensor (B,) or (B, L); or
            packed in the order of `names` a `tf.RaggedTensor` (B, F, None) or an id tensor
            (B, F) or (B, F, L); or a `KeyedJaggedTensor`. With weights: a KeyedJaggedTensor that
            has them, or a pair (ids, weights) in place of ids.
        names: list of str, the features the model wants.
        is_weighted: bool, whether weights are wanted.

    Raises:
        ValueError: on missing or unknown features, unequal batch sizes, or missing weights.
        TypeError: on ids that are not integers, or what `check_form` refuses.
    """

    def __init__(self, features, names, is_weighted):
        self.names = list(names)
        self.is_weighted = is_weighted
        check_form(features)
        if isinstance(features, KeyedJaggedTensor):
            form = _FromKeyedJaggedTensor
        elif isinstance(features, Mapping):
            form = _FromDict
        else:
            form = _FromPacked
        self._form = form(features, self.names, is_weighted)

    def batch_size(self):
        """Returns the number of examples: an int where known, else a scalar tensor."""
        return self._form.batch_size()

    def select(self, names):
        """Returns the `BagBatch` of the named features."""
        return self._form.select(names)


class _FromDict:
    def __init__(self, features, names, is_weighted):
        _check_names(features, names)
        self.parts = {}
        for name in names:
            ids, weights = _split_weights(features[name], is_weighted, f"Feature {name!r}")
            ids = _checked_ids(ids, f"Feature {name!r}", (1, 2), "(batch,), (batch, length)", 1)
            self.parts[name] = (ids, _checked_weights(weights, ids, f"Feature {name!r}"))
        ids = _with_equal_batch_sizes({name: ids for name, (ids, _) in self.parts.items()})
        self.parts = {name: (ids[name], weights) for name, (_, weights) in self.parts.items()}

    def batch_size(self):
        return _rows(next(iter(self.parts.values()))[0])

    def select(self, names):
        parts = [self.parts[name] for name in names]
        dtype = _common_dtype([ids for ids, _ in parts])
        if all(_is_single(ids) for ids, _ in parts):
            ids = tf.stack([tf.cast(tf.reshape(ids, [-1]), dtype) for ids, _ in parts], axis=1)
            weights = None
            if parts[0][1] is not None:
                weights = tf.stack([tf.reshape(weights, [-1]) for _, weights in parts], axis=1)
            return BagBatch.of_one_id(ids, weights)
        bags = [_as_bags(ids) for ids, _ in parts]
        weights = None
        if parts[0][1] is not None:
            weights = tf.concat([_as_bags(weights).values for _, weights in parts], 0)
        # Features have as many examples each, so that a few operations shift all of their splits.
        splits = tf.stack([tf.cast(bag.row_splits, tf.int64) for bag in bags])
        num_ids = splits[:, -1]
        starts = splits[:, :-1] + tf.cumsum(num_ids, exclusive=True)[:, tf.newaxis]
        return BagBatch.of_splits(
            tf.concat([tf.cast(bag.values, dtype) for bag in bags], 0),
            weights,
            tf.concat([tf.reshape(starts, [-1]), [tf.reduce_sum(num_ids)]], 0),
            len(names),
            by_example=False,
        )


class _FromPacked:
    def __init__(self, features, names, is_weighted):
        what = "Packed sparse features"
        ids, weights = _split_weights(features, is_weighted, what)
        self.names = names
        self.ids = _checked_ids(
            ids, what, (2, 3), "(batch, features), (batch, features, length)", 2
        )
        self.weights = _checked_weights(weights, self.ids, what)
        columns = self.ids.shape[1]
        if columns is not None and columns != len(names):
            raise ValueError(
                f"Packed sparse features must have {len(names)} features in axis 1, in the order "
                f"of sparse_feature_names {names}, received {columns}."
            )
        if isinstance(self.ids, tf.RaggedTensor) and self.ids.uniform_row_length is None:
            self.ids = _checks.checked(
                self.ids,
                tf.reduce_all(self.ids.row_lengths() == len(names)),
                f"Packed sparse features must have {len(names)} bags in every example, in the "
                f"order of sparse_feature_names.",
            )

    def batch_size(self):
        return _rows(self.ids)

    def select(self, names):
        columns = [self.names.index(name) for name in names]
        everything = columns == list(range(len(self.names)))
        if not isinstance(self.ids, tf.RaggedTensor) and self.ids.shape.rank == 2:
            return BagBatch.of_one_id(
                self.ids if everything else tf.gather(self.ids, columns, axis=1),
                self.weights
                if everything or self.weights is None
                else tf.gather(self.weights, columns, axis=1),
            )
        bags = self._flat_bags(self.ids)
        splits, ids = bags.row_splits, bags.values
        weights = None if self.weights is None else self._flat_bags(self.weights).values
        if not everything:
            starts = tf.range(tf.cast(self.batch_size(), tf.int64)) * len(self.names)
            order = tf.reshape(starts[:, tf.newaxis] + tf.constant(columns, tf.int64), [-1])
            splits, (ids, weights) = take_bags(splits, order, [ids, weights])
        return BagBatch.of_splits(ids, weights, splits, len(names), by_example=True)

    @staticmethod
    def _flat_bags(packed):
        """The (B, F, None) bags as (B x F, None)."""
        if isinstance(packed, tf.RaggedTensor):
            return packed.values
        return tf.RaggedTensor.from_tensor(
            tf.reshape(
                packed, tf.stack([tf.shape(packed)[0] * packed.shape[1], tf.shape(packed)[2]])
            )
        )


class _FromKeyedJaggedTensor:
    def __init__(self, features, names, is_weighted):
        # Keys the model does not use are ignored, as TorchRec does.
        missing = [name for name in names if name not in features.feature_names]
        if missing:
            raise ValueError(_missing_message(missing, features.keys()))
        if is_weighted and features.weights_or_none() is None:
            raise ValueError(
                "A weighted embedding bag collection needs one weight per id, received a "
                "KeyedJaggedTensor without weights. Pass weights when making it."
            )
        if features.dtype not in (tf.int32, tf.int64):
            raise TypeError(_not_integers_message("KeyedJaggedTensor values", features.dtype))
        self.kjt = features
        self.is_weighted = is_weighted

    def batch_size(self):
        return self.kjt.stride()

    def select(self, names):
        kjt = self.kjt
        if names != kjt.keys():
            kjt = kjt.permute([kjt.feature_names.index(name) for name in names])
        weights = kjt.weights() if self.is_weighted else None
        return BagBatch.of_splits(
            kjt.values(), weights, kjt.offsets(), len(names), by_example=False
        )


def _check_names(features, names):
    missing = [name for name in names if name not in features]
    if missing:
        raise ValueError(_missing_message(missing, features))
    unknown = [name for name in features if name not in names]
    if unknown:
        raise ValueError(
            f"Unknown sparse features {unknown}: no embedding table has them among its "
            f"feature_names, which are {names}. Leave them out, or add them to a table."
        )


def _missing_message(missing, received):
    return (
        f"sparse_features must have {missing}, received {sorted(received)}; add them to the input, "
        "or take them out of the feature_names of their tables."
    )


def _not_integers_message(what, dtype):
    return (
        f"{what} must be ids of dtype int32 or int64, received {tf.as_dtype(dtype).name}. Cast "
        "them with tf.cast(ids, tf.int64), or hash strings into ids first."
    )


def _split_weights(ids, is_weighted, what):
    if isinstance(ids, (tuple, list)) and len(ids) == 2 and not _is_number(ids[0]):
        ids, weights = ids
        return ids, weights if is_weighted else None
    if is_weighted:
        raise ValueError(
            f"{what} must be a pair (ids, weights), since the embedding bag collection is "
            "weighted, received ids alone."
        )
    return ids, None


def _is_number(item):
    return isinstance(item, (int, float, list, tuple))


def _checked_ids(ids, what, ranks, shapes, ragged_rank):
    ids = _checks.as_ids(ids, what)
    if ids.dtype not in (tf.int32, tf.int64):
        raise TypeError(_not_integers_message(what, ids.dtype))
    is_ragged = isinstance(ids, tf.RaggedTensor)
    fits = ids.shape.rank == ragged_rank + 1 if is_ragged else ids.shape.rank in ranks
    if fits and is_ragged and ids.ragged_rank == 1 and ragged_rank == 2:
        raise ValueError(
            f"{what} as a RaggedTensor must be ragged in axis 2, of shape (batch, features, "
            f"None), received {ids.shape} with ragged_rank 1."
        )
    if not fits:
        ragged = "(batch, None)" if ragged_rank == 1 else "(batch, features, None)"
        raise ValueError(
            f"{what} must have shape {shapes} or ragged {ragged}, received {ids.shape}."
        )
    return ids


def _checked_weights(weights, ids, what):
    if weights is None:
        return None
    weights = _checks.as_tensor(weights, what)
    if not weights.dtype.is_floating:
        raise TypeError(f"{what}: weights must be floats, received {weights.dtype.name}.")
    if isinstance(weights, tf.RaggedTensor) != isinstance(ids, tf.RaggedTensor) or (
        weights.shape.rank != ids.shape.rank
    ):
        raise ValueError(
            f"{what}: ids and weights must have the same form, received ids of shape {ids.shape} "
            f"and weights of shape {weights.shape}."
        )
    flat = [
        item.flat_values if isinstance(item, tf.RaggedTensor) else item for item in (ids, weights)
    ]
    return _checks.checked(
        weights,
        tf.reduce_all(tf.shape(flat[0]) == tf.shape(flat[1])),
        f"{what} must have as many weights as ids, received:",
        tf.shape(flat[0]),
        tf.shape(flat[1]),
    )


def _with_equal_batch_sizes(features):
    """Returns the features once their number of examples is known to be the same."""
    sizes = {name: _rows(ids) for name, ids in features.items()}
    known = {name: size for name, size in sizes.items() if isinstance(size, int)}
    if len(set(known.values())) > 1:
        raise ValueError(f"All features must have the same number of examples, received {known}.")
    unknown = [size for size in sizes.values() if not isinstance(size, int)]
    if not unknown or len(sizes) == 1:
        return features
    stacked = tf.stack([tf.cast(size, tf.int64) for size in sizes.values()])
    return _checks.checked(
        features,
        tf.reduce_all(stacked == stacked[0]),
        f"All features must have the same number of examples. {list(sizes)} have:",
        stacked,
    )


def _rows(ids):
    if ids.shape[0] is not None:
        return ids.shape[0]
    return ids.nrows() if isinstance(ids, tf.RaggedTensor) else tf.shape(ids)[0]


def _is_single(ids):
    return not isinstance(ids, tf.RaggedTensor) and (ids.shape.rank == 1 or ids.shape[1] == 1)


def _as_bags(ids):
    if isinstance(ids, tf.RaggedTensor):
        return ids
    return tf.RaggedTensor.from_tensor(ids[:, tf.newaxis] if ids.shape.rank == 1 else ids)


def _common_dtype(tensors):
    return tf.int64 if any(tensor.dtype == tf.int64 for tensor in tensors) else tf.int32
