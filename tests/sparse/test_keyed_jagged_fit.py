"""KeyedJaggedTensors given to fit, evaluate and predict in every form Keras knows."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec_models import (
    DLRM,
    EmbeddingBagCollection,
    EmbeddingBagConfig,
    KeyedJaggedTensor,
    KeyedTensor,
)

ROWS = 10
RNG = np.random.default_rng(0)
DENSE = RNG.random((ROWS, 2)).astype("float32")
LABELS = RNG.integers(0, 2, (ROWS, 1)).astype("float32")
SAMPLE_WEIGHT = RNG.random(ROWS).astype("float32")


def ragged(rows):
    """Ids below `rows`, some bags empty."""
    lengths = RNG.integers(0, 4, ROWS)
    return tf.RaggedTensor.from_row_lengths(RNG.integers(0, rows, lengths.sum()), lengths)


# Not in the order of the tables.
IDS = {"item": ragged(20), "user": ragged(10)}
WEIGHTS = {name: tf.cast(ids % 3 + 1, tf.float32) / 2 for name, ids in IDS.items()}
AS_DICT = {"dense_features": DENSE, "sparse_features": IDS}
AS_KJT = {
    "dense_features": DENSE,
    "sparse_features": KeyedJaggedTensor.from_dict({**IDS, "unused": np.arange(ROWS)}),
}


def make(is_weighted=False):
    """A compiled DLRM, the same each time."""
    keras.utils.set_random_seed(0)
    tables = [
        EmbeddingBagConfig(10, 4, "users", feature_names=["user"]),
        EmbeddingBagConfig(20, 4, "items", feature_names=["item"]),
    ]
    model = DLRM(EmbeddingBagCollection(tables, is_weighted=is_weighted), 2, [4], [4, 1])
    model.compile(keras.optimizers.SGD(0.1), keras.losses.BinaryCrossentropy(from_logits=True))
    return model


class Batches(keras.utils.PyDataset):
    """The same batch three times; counts the epochs that begin."""

    def __init__(self, x):
        super().__init__()
        self.x, self.begun = x, 0

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return self.x, LABELS, SAMPLE_WEIGHT

    def on_epoch_begin(self):
        self.begun += 1


def generator(x):
    """Three batches."""
    for _ in range(3):
        yield x, LABELS, SAMPLE_WEIGHT


WAYS = {
    "arrays": lambda model, x: model.fit(x, LABELS, batch_size=3, shuffle=False, verbose=0),
    "validation_split": lambda model, x: model.fit(
        x,
        LABELS,
        batch_size=3,
        shuffle=False,
        validation_split=0.3,
        sample_weight=SAMPLE_WEIGHT,
        verbose=0,
    ),
    "validation_data": lambda model, x: model.fit(
        x, LABELS, batch_size=5, shuffle=False, validation_data=(x, LABELS), verbose=0
    ),
    "generator": lambda model, x: model.fit(generator(x), steps_per_epoch=3, verbose=0),
    "PyDataset": lambda model, x: model.fit(
        Batches(x), validation_data=Batches(x), shuffle=False, verbose=0
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_fit(way):
    """Losses and weights are to the bit those of a dict of ragged features."""
    results = []
    for x in (AS_KJT, AS_DICT):
        model = make()
        results.append((WAYS[way](model, x).history, model.get_weights()))
    (history, weights), (expected_history, expected_weights) = results
    assert history == expected_history
    for of_kjt, of_dict in zip(weights, expected_weights, strict=True):
        np.testing.assert_array_equal(of_kjt, of_dict)


def test_predict_and_evaluate():
    """Also with weights, in partial batches, and from a generator."""
    model = make()
    expected = model.predict(AS_DICT, batch_size=4, verbose=0)
    np.testing.assert_array_equal(model.predict(AS_KJT, batch_size=4, verbose=0), expected)
    batches = ((AS_KJT,) for _ in range(2))
    np.testing.assert_array_equal(model.predict(batches, verbose=0), np.tile(expected, (2, 1)))
    losses = [
        model.evaluate(x, LABELS, sample_weight=SAMPLE_WEIGHT, verbose=0) for x in (AS_KJT, AS_DICT)
    ]
    assert losses[0] == losses[1]


def test_weighted():
    """Weights go with their ids."""
    model, kjt = make(is_weighted=True), KeyedJaggedTensor.from_dict(IDS, WEIGHTS)
    pairs = {name: (IDS[name], WEIGHTS[name]) for name in IDS}
    of_kjt, of_dict = (
        model.predict({"dense_features": DENSE, "sparse_features": sparse}, 4, verbose=0)
        for sparse in (kjt, pairs)
    )
    np.testing.assert_array_equal(of_kjt, of_dict)


def test_a_py_dataset_is_told_of_epochs():
    """Its hooks are called as Keras calls them, its length is asked."""
    data = Batches(AS_KJT)
    assert len(make().fit(data, epochs=2, verbose=0).history["loss"]) == 2
    assert data.begun == 2


def test_refused():
    """A KeyedJaggedTensor alone and one without a feature say what is missing."""
    kjt = AS_KJT["sparse_features"]
    with pytest.raises(ValueError, match="a dict with 'dense_features' and 'sparse_features'"):
        make().predict(kjt)
    items = {"dense_features": DENSE, "sparse_features": kjt.split([1, 2])[0]}
    with pytest.raises(ValueError, match=r"sparse_features must have \['user'\].*keys \['item'\]"):
        make().fit(items, LABELS)
    jagged = {"dense_features": DENSE, "sparse_features": kjt.to_dict()}
    with pytest.raises(TypeError, match=r"a JaggedTensor as '\w+'; make one .*from_jt_dict"):
        make().fit(jagged, LABELS)
    pooled = KeyedTensor(["item"], [1], tf.zeros([ROWS, 1]))
    with pytest.raises(TypeError, match="a KeyedTensor, which holds embeddings; give the ids"):
        make().predict({"dense_features": DENSE, "sparse_features": pooled})


class CountIds(keras.Model):
    """A model of its own, not one of this package's rankers."""

    def call(self, kjt):
        return tf.reshape(tf.cast(kjt.lengths(), tf.float32), [-1, len(kjt.keys())])


@pytest.mark.parametrize("arguments", [{}, {"validation_split": 0.3}])
def test_other_models_say_what_they_take(arguments):
    """Keras takes it from a dataset alone, and the error says so."""
    model, kjt = CountIds(), AS_KJT["sparse_features"]
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match="to fit, evaluate or predict, make a dataset of it"):
        model.fit(kjt, LABELS, verbose=0, **arguments)
    assert model.predict(tf.data.Dataset.from_tensors(kjt), verbose=0).shape == (ROWS, 3)
