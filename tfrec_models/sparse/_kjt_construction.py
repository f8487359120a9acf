"""The parts of a KeyedJaggedTensor, checked, from the forms in which features are given."""

import tensorflow as tf

from tfrec_models.sparse import _checks
from tfrec_models.sparse._kjt_variable_stride import repeated_parts
from tfrec_models.sparse.jagged_tensor import jagged_parts, offsets_from_lengths
from tfrec_models.sparse.kjt_layout import without_keys


def keyed_parts(
    keys, values, weights, lengths, offsets, stride, stride_per_key_per_rank, inverse_indices
):
    """Returns keys, values, row splits and weights, known to fit together."""
    keys = _checks.check_keys(keys)
    values = _checks.with_rank(_checks.as_ids(values, "values"), "values")
    if inverse_indices is not None:
        parts = (values, weights, lengths, offsets, stride_per_key_per_rank, inverse_indices)
        values, splits, weights = repeated_parts(keys, *parts)
    elif stride_per_key_per_rank is not None:
        raise ValueError(
            "stride_per_key_per_rank goes with inverse_indices, which tell the bag of each "
            "example; give stride where all keys have the same number of examples."
        )
    else:
        values, splits, weights = jagged_parts(
            "KeyedJaggedTensor", values, weights, lengths, offsets, len(keys)
        )
    if stride is None:
        return keys, values, splits, weights
    if stride < 0:
        raise ValueError(f"stride must be 0 or above, received {stride}.")
    if not keys:
        return keys, values, without_keys(stride, splits.dtype), weights
    splits = _checks.checked(
        splits,
        tf.size(splits) - 1 == len(keys) * stride,
        f"stride {stride} with {len(keys)} keys needs {len(keys)} x {stride} bags, received this "
        "many:",
        tf.size(splits) - 1,
    )
    return keys, values, splits, weights


def parts_of_dict(features, weights):
    """Returns the arguments of a KeyedJaggedTensor of a dict of ragged or dense ids."""
    if weights is not None and set(weights) != set(features):
        raise ValueError(
            f"weights must name the same features as features {sorted(features)}, received "
            f"{sorted(weights)}."
        )
    bags = {
        name: _as_bags(_checks.as_ids(ids, f"Feature {name!r}"), f"Feature {name!r}")
        for name, ids in features.items()
    }
    if not bags:
        return _no_features()
    bags = _with_equal_rows(bags, {name: ragged.nrows() for name, ragged in bags.items()})
    return {
        "keys": tuple(bags),
        "values": _checks.joined([ragged.values for ragged in bags.values()], "features"),
        "lengths": _checks.joined([ragged.row_lengths() for ragged in bags.values()], "lengths"),
        "weights": None if weights is None else _weights_of_bags(bags, weights),
    }


def parts_of_jt_dict(jt_dict):
    """Returns the arguments of a KeyedJaggedTensor of a dict of JaggedTensors."""
    if not jt_dict:
        return _no_features()
    lengths = {key: jagged.lengths() for key, jagged in jt_dict.items()}
    lengths = _with_equal_rows(lengths, {key: tf.size(length) for key, length in lengths.items()})
    jagged_tensors = list(jt_dict.values())
    return {
        "keys": tuple(jt_dict),
        "values": _checks.joined([jagged.flat_values for jagged in jagged_tensors], "values"),
        "lengths": _checks.joined(list(lengths.values()), "lengths"),
        "weights": _checks.joined_weights(
            [jagged.flat_weights for jagged in jagged_tensors],
            {"keys": jt_dict},
            "KeyedJaggedTensor.from_jt_dict",
        ),
    }


def parts_of_list(kjt_list):
    """Returns keys, values, row splits and weights of KeyedJaggedTensors one after the other."""
    kjt_list = list(kjt_list)
    if not kjt_list:
        raise ValueError("KeyedJaggedTensor.concat needs at least one, received an empty list.")
    weights = _checks.joined_weights(
        [kjt.flat_weights for kjt in kjt_list],
        {"positions": range(len(kjt_list))},
        "KeyedJaggedTensor.concat",
    )
    keys = _checks.check_keys([key for kjt in kjt_list for key in kjt.feature_names])
    stride, *others = [kjt.stride() for kjt in kjt_list]
    lengths = _checks.joined([kjt.lengths() for kjt in kjt_list], "lengths")
    splits = offsets_from_lengths(lengths) if keys else without_keys(stride, lengths.dtype)
    for other in others:
        splits = _checks.checked(
            splits,
            tf.equal(other, stride),
            "KeyedJaggedTensor.concat needs equal numbers of examples, received:",
            tf.convert_to_tensor(stride),
            tf.convert_to_tensor(other),
        )
    values = _checks.joined([kjt.flat_values for kjt in kjt_list], "values")
    return keys, values, splits, weights


def _no_features():
    return {"keys": (), "values": [], "lengths": [], "weights": None}


def _with_equal_rows(features, rows):
    """Returns a dict of features once all are known to have the same number of examples."""
    first = next(iter(rows))
    return {
        name: _checks.checked(
            feature,
            tf.equal(rows[name], tf.cast(rows[first], rows[name].dtype)),
            f"Features must have the same number of examples. {name!r} and {first!r} have:",
            rows[name],
            rows[first],
        )
        for name, feature in features.items()
    }


def _weights_of_bags(bags, weights):
    """The weights of all features, one after the other, once they have the form of the ids."""
    flat = []
    for name, ragged in bags.items():
        what = f"The weights of feature {name!r}"
        given = _as_bags(_checks.as_weights(weights[name], what), what)
        expected = tf.cast(ragged.row_lengths(), tf.int64)
        lengths = tf.cast(given.row_lengths(), tf.int64)
        lengths = _checks.checked(
            lengths,
            tf.equal(tf.size(lengths), tf.size(expected)),
            f"{what} must have as many examples as its ids, received:",
            tf.size(lengths),
            tf.size(expected),
        )
        values = _checks.checked(
            given.values,
            tf.reduce_all(lengths == expected),
            f"{what} must have one for each id of each example, received numbers of:",
            lengths,
            expected,
        )
        flat.append(values)
    return _checks.joined(flat, "weights")


def _as_bags(values, what):
    if not isinstance(values, tf.RaggedTensor):
        if values.shape.rank == 1:
            values = values[:, tf.newaxis]
        if values.shape.rank != 2:
            raise ValueError(
                f"{what} must have shape (batch,), (batch, length) or ragged (batch, None), "
                f"received {values.shape}."
            )
        values = tf.RaggedTensor.from_tensor(values)
    if values.ragged_rank != 1 or values.shape.rank != 2:
        raise ValueError(f"{what} must be ragged of shape (batch, None), received {values.shape}.")
    return values
