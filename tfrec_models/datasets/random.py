"""Random batches for benchmarks and smoke tests, with TorchRec's arguments."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfrec_models.sparse import KeyedJaggedTensor

_DEFAULT_HASH_SIZE = 100
_DEFAULT_IDS_PER_FEATURE = 2
# Integers are drawn from this range and reduced to the one asked for.
_WIDE = 1 << 62


def RandomRecDataset(  # TorchRec's name, and like `tf.data.TFRecordDataset` it makes a dataset.
    keys: Sequence[str],
    batch_size: int,
    hash_size: int | None = None,
    hash_sizes: Sequence[int] | None = None,
    ids_per_feature: int | None = None,
    ids_per_features: Sequence[int] | None = None,
    num_dense: int = 50,
    manual_seed: int | None = None,
    num_batches: int | None = None,
    num_generated_batches: int = 10,
    min_ids_per_feature: int | None = None,
    min_ids_per_features: Sequence[int] | None = None,
) -> tf.data.Dataset:
    """A `tf.data.Dataset` of random batches.

    Use it to time a model or to try one out; there is nothing to learn in it. Ids are uniform
    over the table, bag lengths uniform between their bounds, dense features standard normal,
    labels 0 or 1 with equal chance:

        id ~ U{0, hash_size - 1},  length ~ U{min_ids, ids},  dense ~ N(0, 1),  label ~ U{0, 1}

    `num_generated_batches` batches are made in the first pass, kept in memory and repeated, so
    that feeding costs next to nothing.

    Args:
        keys: list of str, the sparse features.
        batch_size: int, examples a batch.
        hash_size: int, ids of every feature. Defaults to 100.
        hash_sizes: list of int, ids of each feature, in place of `hash_size`.
        ids_per_feature: int, longest bag of every feature. Defaults to 2.
        ids_per_features: list of int, longest bag of each feature, in place of `ids_per_feature`.
        num_dense: int, dense features. Defaults to 50.
        manual_seed: int, makes the batches reproducible. Defaults to None, other batches each
            time.
        num_batches: int, length of the dataset. Defaults to None, endless.
        num_generated_batches: int, different batches; negative to draw each when it is read.
            Defaults to 10.
        min_ids_per_feature: int, shortest bag of every feature. Defaults to `ids_per_feature`
            where that is given, so that all bags are equally long, and to 0 otherwise.
        min_ids_per_features: list of int, shortest bag of each feature, in place of
            `min_ids_per_feature`.

    Returns:
        `tf.data.Dataset` of `({"dense_features": (B, num_dense) float32, "sparse_features":
        KeyedJaggedTensor}, labels)`, ids int64, lengths int32, labels `(B,)` float32.

    Raises:
        ValueError: if a list is not one number for each key, a number is out of range, or both
            forms of one argument are given.

    Example:
        >>> from tfrec_models.datasets import RandomRecDataset
        >>> data = RandomRecDataset(
        ...     keys=["f1", "f2"], batch_size=4, hash_size=10, ids_per_feature=3, num_dense=5,
        ...     num_batches=2,
        ... )
        >>> for features, labels in data:
        ...     print(features["dense_features"].shape, features["sparse_features"].keys())
        (4, 5) ['f1', 'f2']
        (4, 5) ['f1', 'f2']
    """
    keys = list(keys)
    if not keys:
        raise ValueError("keys must name at least one sparse feature, received none.")
    for name, value, least in (
        ("batch_size", batch_size, 1),
        ("num_dense", num_dense, 0),
        ("num_batches", num_batches, 0),
    ):
        if value is not None and value < least:
            raise ValueError(f"{name} must be at least {least}, received {value!r}.")
    if num_generated_batches == 0:
        raise ValueError(
            "num_generated_batches must not be 0. Give the number of different batches to make, "
            "or a negative number to draw every batch when it is read."
        )
    if min_ids_per_feature is None and min_ids_per_features is None:
        min_ids_per_feature = ids_per_feature or 0
    hash_sizes = _per_key(keys, "hash_size", hash_size, hash_sizes, _DEFAULT_HASH_SIZE, 1)
    most = _per_key(
        keys, "ids_per_feature", ids_per_feature, ids_per_features, _DEFAULT_IDS_PER_FEATURE, 0
    )
    least = _per_key(keys, "min_ids_per_feature", min_ids_per_feature, min_ids_per_features, 0, 0)
    for key, low, high in zip(keys, least, most, strict=True):
        if low > high:
            raise ValueError(
                f"Feature {key!r} has a shortest bag of {low} ids and a longest bag of {high}. "
                "min_ids_per_feature must not exceed ids_per_feature."
            )
    if manual_seed is None:
        manual_seed = int(np.random.default_rng().integers(_WIDE))

    def make_batch(number):
        seeds = tf.random.split(tf.stack([tf.constant(manual_seed, tf.int64), number]), 4)

        def integers(shape, seed):
            return tf.random.stateless_uniform(shape, seed, 0, _WIDE, tf.int64)

        spread = np.repeat(most - least + 1, batch_size)
        lengths = np.repeat(least, batch_size) + integers(spread.shape, seeds[0]) % spread
        ids_of_key = tf.reduce_sum(tf.reshape(lengths, (len(keys), batch_size)), axis=1)
        ids = integers([tf.reduce_sum(lengths)], seeds[1]) % tf.repeat(hash_sizes, ids_of_key)
        dense = tf.random.stateless_normal((batch_size, num_dense), seeds[2])
        labels = tf.cast(integers((batch_size,), seeds[3]) % 2, tf.float32)
        sparse = KeyedJaggedTensor.from_lengths_sync(keys, ids, tf.cast(lengths, tf.int32))
        return {"dense_features": dense, "sparse_features": sparse}, labels

    if num_generated_batches > 0:
        numbers = tf.data.Dataset.range(num_generated_batches)
        batches = numbers.map(make_batch, num_parallel_calls=tf.data.AUTOTUNE).cache().repeat()
    else:
        numbers = tf.data.Dataset.range(tf.int64.max)
        batches = numbers.map(make_batch, num_parallel_calls=tf.data.AUTOTUNE).repeat()
    if num_batches is not None:
        batches = batches.take(num_batches)
    return batches.prefetch(tf.data.AUTOTUNE)


def _per_key(keys, name, value, values, default, smallest):
    """One integer per key from the two forms of an argument, `<name>` and `<name>s`."""
    if value is not None and values is not None:
        raise ValueError(f"Give either {name} or {name}s, received {value} and {values}.")
    if values is None:
        values = [default if value is None else value] * len(keys)
    if len(values) != len(keys):
        raise ValueError(
            f"{name}s must have one number for each of the {len(keys)} keys, received "
            f"{len(values)}: {values}."
        )
    if min(values) < smallest:
        raise ValueError(f"{name} must be at least {smallest}, received {min(values)}.")
    return np.asarray(values, np.int64)
