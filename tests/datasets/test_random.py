import numpy as np
import pytest
import tensorflow as tf

from tfrec_models.datasets import RandomRecDataset
from tfrec_models.sparse import KeyedJaggedTensor


def contents(dataset):
    """Batches as lists of arrays."""
    return [
        [x["dense_features"].numpy(), x["sparse_features"].values().numpy(),
         x["sparse_features"].lengths().numpy(), y.numpy()]
        for x, y in dataset
    ]  # fmt: skip


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_shapes_dtypes_and_ranges():
    """Every array has the promised shape and dtype, and every id and length lies in its range."""
    dataset = RandomRecDataset(
        ["f1", "f2"],
        batch_size=64,
        hash_sizes=[3, 50],
        ids_per_features=[2, 5],
        min_ids_per_features=[1, 0],
        num_dense=4,
        manual_seed=1,
        num_batches=2,
    )
    batches = list(dataset)
    assert len(batches) == len(dataset) == 2
    features, labels = batches[0]
    sparse = features["sparse_features"]
    assert isinstance(sparse, KeyedJaggedTensor)
    assert list(sparse.keys()) == ["f1", "f2"]
    assert features["dense_features"].shape == (64, 4)
    assert features["dense_features"].dtype == labels.dtype == tf.float32
    assert (sparse.values().dtype, sparse.lengths().dtype) == (tf.int64, tf.int32)
    assert set(labels.numpy()) == {0.0, 1.0}
    lengths = sparse.lengths().numpy().reshape(2, 64)
    assert set(lengths[0]) == {1, 2}
    assert set(lengths[1]) == {0, 1, 2, 3, 4, 5}
    ids = sparse.values().numpy()
    first, second = ids[: lengths[0].sum()], ids[lengths[0].sum() :]
    assert set(first) == {0, 1, 2}
    assert first.size + second.size == lengths.sum()
    assert second.min() >= 0 and 3 < second.max() < 50


def test_one_seed_makes_the_same_batches():
    """A seed fixes the batches; another seed and no seed make others."""
    make = lambda seed: contents(RandomRecDataset(["f"], 8, manual_seed=seed, num_batches=3))  # noqa: E731
    first = make(7)
    assert all(equal(a, b) for a, b in zip(first, make(7), strict=True))
    assert not equal(first[0], make(8)[0])
    assert not equal(make(None)[0], make(None)[0])


def test_generated_batches_are_repeated():
    """After `num_generated_batches` batches come again; a negative number never repeats."""
    options = {"manual_seed": 3, "num_batches": 5}
    a = contents(RandomRecDataset(["f"], 8, num_generated_batches=2, **options))
    assert equal(a[0], a[2]) and equal(a[1], a[3]) and equal(a[0], a[4])
    assert not equal(a[0], a[1])
    b = contents(RandomRecDataset(["f"], 8, num_generated_batches=-1, **options))
    assert not any(equal(b[i], b[j]) for i in range(5) for j in range(i))


def test_default_bag_lengths_are_torchrecs():
    """`ids_per_feature` alone makes bags of constant length, `ids_per_features` alone from 0."""
    lengths = lambda **k: contents(RandomRecDataset(["f"], 64, num_batches=1, **k))[0][2]  # noqa: E731
    assert set(lengths(ids_per_feature=3)) == {3}
    assert set(lengths(ids_per_features=[1])) == {0, 1}
    assert set(lengths()) == {0, 1, 2}


def test_endless_without_num_batches():
    """TorchRec's default is an endless dataset."""
    dataset = RandomRecDataset(["f"], 2)
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keys": []}, "keys must name at least one sparse feature, received none"),
        ({"batch_size": 0}, "batch_size must be at least 1, received 0"),
        ({"num_dense": -1}, "num_dense must be at least 0, received -1"),
        ({"num_batches": -1}, "num_batches must be at least 0, received -1"),
        ({"num_generated_batches": 0}, "num_generated_batches must not be 0"),
        ({"hash_size": 0}, "hash_size must be at least 1, received 0"),
        (
            {"hash_sizes": [5]},
            "hash_sizes must have one number for each of the 2 keys",
        ),
        ({"hash_size": 5, "hash_sizes": [5, 5]}, "Give either hash_size or hash_sizes"),
        ({"ids_per_features": [1, 2, 3]}, "ids_per_features must have one number"),
        ({"min_ids_per_features": [1]}, "min_ids_per_features must have one number"),
        (
            {"ids_per_feature": 2, "min_ids_per_feature": 3},
            "Feature 'f1' has a shortest bag of 3 ids and a longest bag of 2",
        ),
    ],
)
def test_errors(arguments, message):
    """Each bad argument is refused by name."""
    with pytest.raises(ValueError, match=message):
        RandomRecDataset(**{"keys": ["f1", "f2"], "batch_size": 2, **arguments})
