"""TorchRec's .npy files against TorchRec's own batches, recorded, and against NumPy."""

import numpy as np
import pytest

from tests.support import oracle
from tfrec_models.datasets import criteo_npys

NAME = "criteo_in_memory_batches"


def save(folder, days):
    """The files of days, each (dense, ids, labels); returns lists of paths for each kind."""
    kinds = ("dense", "sparse", "labels")
    for number, day in enumerate(days):
        for kind, array in zip(kinds, day, strict=True):
            np.save(folder / f"day_{number}_{kind}.npy", array)
    return [[str(folder / f"day_{n}_{kind}.npy") for n in range(len(days))] for kind in kinds]


def days_of(*counts):
    """Days whose rows carry their own number through all days."""
    first, days = 0, []
    for count in counts:
        numbers = np.arange(first, first + count)
        dense = np.repeat(numbers[:, None], 13, 1).astype(np.float32)
        ids = numbers[:, None] * 26 + np.arange(26)
        days.append((dense, ids, (numbers[:, None] % 2).astype(np.int32)))
        first += count
    return days


def numbers_of(dataset):
    """The numbers of the rows, after checking that all arrays are of one row."""
    numbers = []
    for features, labels in dataset:
        of_batch = features["dense_features"].numpy()[:, 12].astype(int)
        ids = features["sparse_features"].numpy()
        np.testing.assert_array_equal(ids, of_batch[:, None] * 26 + np.arange(26))
        np.testing.assert_array_equal(labels, of_batch % 2)
        numbers += of_batch.tolist()
    return numbers


@pytest.mark.parametrize("drop", [0, 1])
def test_batches_are_torchrecs(tmp_path, drop):
    """Dense features, hashed ids and labels of two days, batch by batch; across both days too."""
    case, recorded = oracle.index()[NAME], oracle.arrays(NAME)
    days = [[recorded[f"in/{kind}{n}"] for kind in "dsl"] for n in (0, 1)]
    files = save(tmp_path, days)
    dataset = criteo_npys(*files, 2, case["ctor"]["hashes"], drop_remainder=bool(drop))
    batches = list(dataset)
    assert int(dataset.cardinality()) == len(batches) == (5 if drop else 6)
    # TorchRec deals batches to its two ranks in turn, and drops a round that is not whole.
    for number, (features, labels) in enumerate(batches[:4] if drop else batches):
        name = f"out/rank{number % 2}_drop{drop}/{number // 2}"
        recorded.compare(f"{name}/dense", features["dense_features"], rtol=0, atol=0)
        ids = features["sparse_features"].numpy().T.reshape(-1)
        recorded.compare(f"{name}/values", ids, rtol=0, atol=0)
        recorded.compare(f"{name}/labels", labels, rtol=0, atol=0)


def test_halves_of_a_day(tmp_path):
    """The first has the row in the middle; both together have each row once."""
    files = save(tmp_path, days_of(7))
    assert numbers_of(criteo_npys(*files, 3, stage="val")) == [0, 1, 2, 3]
    assert numbers_of(criteo_npys(*files, 3, stage="test")) == [4, 5, 6]
    two = save(tmp_path, days_of(3, 4))
    with pytest.raises(ValueError, match="stage 'val' is half of one day, received 2 days"):
        criteo_npys(*two, 3, stage="val")


@pytest.mark.parametrize("shuffle", [False, True])
def test_each_row_once_by_all_shards(tmp_path, shuffle):
    """In order or shuffled, another way in each epoch."""
    files = save(tmp_path, days_of(50, 0, 61))
    order = {"shuffle": True, "seed": 1} if shuffle else {}
    shards = [criteo_npys(*files, 8, shard=(i, 3), **order) for i in range(3)]
    epochs = [[n for shard in shards for n in numbers_of(shard)] for _ in range(2)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(111))
    assert (epochs[0] == epochs[1]) == (not shuffle)


def test_forms(tmp_path):
    """One path a kind, small integer ids, flat labels, and -1 for no label."""
    dense, ids, labels = days_of(4)[0]
    labels = np.array([-1, 0, 1, -1])
    [[d], [s], [y]] = save(tmp_path, [(dense, ids.astype(np.int32), labels)])
    [(features, read)] = criteo_npys(d, s, y, 4, num_ids=7)
    np.testing.assert_array_equal(features["sparse_features"], ids % 7)
    np.testing.assert_array_equal(read, [np.nan, 0, 1, np.nan])
    assert features["sparse_features"].dtype == np.int64


def test_files_that_do_not_fit(tmp_path):
    """Each is named, with what was received."""
    dense, ids, labels = days_of(4)[0]

    def message(*day, **arguments):
        files = save(tmp_path, [day])
        with pytest.raises(ValueError) as caught:
            criteo_npys(*files, 2, **arguments)
        return str(caught.value)

    assert "day_0_sparse.npy must have a row for each of the 4 rows" in message(
        dense, ids[:3], labels
    )
    assert "day_0_dense.npy must hold float of shape" in message(ids, ids, labels)
    assert "day_0_sparse.npy must hold integers of shape (rows, features), received float32" in (
        message(dense, dense, labels)
    )
    assert "day_0_labels.npy must hold integers of shape (rows, 1)" in message(dense, ids, ids)
    assert "one for each of the 26 features, received [3, 4]" in message(
        dense, ids, labels, num_ids=[3, 4]
    )
    assert "stage must be one of" in message(dense, ids, labels, stage="validation")
    files = save(tmp_path, [(dense, ids, labels)])
    with open(files[0][0], "r+b") as file:
        file.truncate(200)
    with pytest.raises(ValueError, match=r"day_0_dense.npy is cut off, damaged or no .npy file"):
        criteo_npys(*files, 2)
    with pytest.raises(ValueError, match=r"must name the same days, .* received \[1, 1, 2\]"):
        criteo_npys(files[0], files[1], files[2] * 2, 2)
    with pytest.raises(FileNotFoundError):
        criteo_npys("nowhere.npy", *files[1:], 2)
