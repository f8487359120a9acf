"""Batches for the models of `tests.support.models`, and inputs of single layers."""

import numpy as np
import tensorflow as tf

from tests.support.models import FEATURES, ROWS
from tfrec_models import KeyedJaggedTensor


def features(examples, seed=0):
    """Dense features, and ragged bags of 0 to 3 ids."""
    rng = np.random.default_rng(seed)
    sparse = {}
    for name in FEATURES:
        lengths = rng.integers(0, 4, examples)
        ids = rng.integers(0, ROWS, lengths.sum())
        sparse[name] = tf.RaggedTensor.from_row_lengths(tf.constant(ids), lengths)
    dense = tf.constant(rng.normal(size=(examples, 5)), tf.float32)
    return {"dense_features": dense, "sparse_features": sparse}


def dataset(examples=10, batch=4):
    """Batches of features and labels; the last batch is smaller."""
    labels = tf.cast(tf.range(examples) % 2, tf.float32)
    return untuned(tf.data.Dataset.from_tensor_slices((features(examples), labels)).batch(batch))


def untuned(batches):
    """Without autotuning: the end of each iterator waits for the tuner's next turn, for seconds."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


def dataset_with_repeated_ids(examples):
    """Batches of four examples, of which the third has the ids of the first.

    Divided between two replicas, each batch has these ids on both.
    """

    def repeat_ids(inputs, labels):
        example = tf.range(tf.shape(labels)[0])
        which = tf.where(example == 2, 0, example)
        bags = {name: tf.gather(b, which) for name, b in inputs["sparse_features"].items()}
        return {**inputs, "sparse_features": bags}, labels

    return dataset(examples).map(repeat_ids)


def ids_in_both_halves(batch):
    """How many ids are in both halves of a batch whose features are a dict, in the same feature."""
    found = 0
    for bags in batch["sparse_features"].values():
        bags = bags.to_list() if isinstance(bags, tf.RaggedTensor) else bags.numpy()[:, None]
        middle = -(-len(bags) // 2)
        found += len({*np.concatenate(bags[:middle])} & {*np.concatenate(bags[middle:])})
    return found


def as_form(form, batches):
    """The batches with their sparse features in another form."""

    def convert(inputs, labels):
        sparse = {name: inputs["sparse_features"][name] for name in ("f1", "f3", "f2")}
        kjt = KeyedJaggedTensor.from_dict(sparse)
        forms = {
            "dict": lambda: sparse,
            "kjt": lambda: kjt,
            "packed": kjt.to_packed,
            "ids": lambda: {name: sparse[name].row_lengths() for name in FEATURES},
        }
        return {**inputs, "sparse_features": forms[form]()}, labels

    return batches.map(convert)


def dense(width):
    """Batches of dense inputs."""
    return lambda size: [tf.random.stateless_normal((size, width), [size, 1])]


def bags(form):
    """Batches of two features: ragged, all empty, or one id each."""

    def batch(size):
        if form == "single":
            return [{"f1": tf.range(size), "f2": tf.range(size)[:, None]}]
        lengths = [0] * size if form == "all_empty" else [(2 * i + 1) % 4 for i in range(size)]
        ragged = tf.RaggedTensor.from_row_lengths(tf.range(sum(lengths)) % 7, lengths)
        return [{"f1": ragged, "f2": ragged}]

    return batch


def dense_and_sparse(size):
    """Inputs of an interaction."""
    return [
        tf.random.stateless_normal((size, 4), [size, 2]),
        tf.random.stateless_normal((size, 3, 4), [size, 3]),
    ]


def model_inputs(form):
    """Inputs of a model."""
    return lambda size: [
        {"dense_features": dense(5)(size)[0], "sparse_features": bags(form)(size)[0]}
    ]
