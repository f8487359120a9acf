"""Batches of rows as a `tf.data.Dataset` of a model's inputs."""

import dataclasses
import functools

import tensorflow as tf

from tfrec_models._compat.generated_dataset import generated_dataset


@dataclasses.dataclass(frozen=True)
class Form:
    """What a batch is made of.

    Args:
        num_dense: int.
        num_features: int, sparse ones.
        is_ragged: bool, whether bags have any number of ids; else they have one.
        is_weighted: bool.
        has_labels: bool.
    """

    num_dense: int
    num_features: int
    is_ragged: bool
    is_weighted: bool
    has_labels: bool


def dataset_of(batches, form):
    """A dataset that gives an epoch of `Batches` for each of its iterators."""
    rows = batches.batch_size if batches.drop_remainder else None
    num_features = form.num_features
    flat = (None,) if form.is_ragged else (rows, num_features)
    signature = {"dense": tf.TensorSpec((rows, form.num_dense), tf.float32)}
    signature["ids"] = tf.TensorSpec(flat, tf.int64)
    if form.is_ragged:
        num_splits = None if rows is None else rows * num_features + 1
        signature["splits"] = tf.TensorSpec((num_splits,), tf.int64)
    if form.is_weighted:
        signature["weights"] = tf.TensorSpec((None,), tf.float32)
    if form.has_labels:
        signature["labels"] = tf.TensorSpec((rows,), tf.float32)
    # What distinguishes epochs is drawn where an iterator is made, as in tf.data's own shuffle: one
    # that is never read counts, so that a resumed run can skip epochs.
    epochs = tf.data.Dataset.random(batches.order.seed, rerandomize_each_iteration=True).take(1)
    dataset = generated_dataset(
        lambda epoch: (batch.arrays() for batch in batches.of_epoch(int(epoch))), epochs, signature
    )
    dataset = dataset.map(functools.partial(_inputs, num_features=num_features))
    if (num_batches := batches.num_batches()) is not None:
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(num_batches))
    if batches.order.shard[1] > 1:
        # A strategy of several workers would give each of them a part of its part.
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        dataset = dataset.with_options(options)
    return dataset.prefetch(tf.data.AUTOTUNE)


def _inputs(arrays, num_features):
    """The inputs of a model, of a batch's arrays."""
    features = {"dense_features": arrays["dense"]}
    if num_features:
        ids = arrays["ids"]
        if "splits" in arrays:
            ids = _packed(ids, arrays["splits"], num_features)
        if "weights" in arrays:
            ids = (ids, _packed(arrays["weights"], arrays["splits"], num_features))
        features["sparse_features"] = ids
    return (features, arrays["labels"]) if "labels" in arrays else features


def _packed(values, splits, num_features):
    bags = tf.RaggedTensor.from_row_splits(values, splits, validate=False)
    return tf.RaggedTensor.from_uniform_row_length(bags, num_features, validate=False)
