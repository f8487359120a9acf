import numpy as np
import pytest
import tensorflow as tf

from tfrec_models import datasets
from tfrec_models.datasets import ClickLog, PlantedModel, Schema
from tfrec_models.metrics import auc

# More rows than one block of 8,192, so that batches cross its border.
SMALL = {"num_train": 9000, "num_validation": 500, "num_test": 700}


@pytest.fixture(scope="module")
def log():
    return ClickLog(**SMALL)


def read(log, split, batch_size):
    """A whole split as (dense, ids, lengths, labels)."""
    dense, ids, lengths, labels = [], [], [], []
    for x, y in log.dataset(split, batch_size):
        dense.append(x["dense_features"].numpy())
        ids.append(x["sparse_features"].flat_values.numpy())
        lengths.append(x["sparse_features"].values.row_lengths().numpy())
        labels.append(y.numpy())
    return [np.concatenate(column) for column in (dense, ids, lengths, labels)]


def test_names_shapes_and_dtypes(log):
    """The log has Criteo's shape, named as TorchRec names it."""
    assert log.dense_feature_names == [f"int_{i}" for i in range(13)]
    assert log.sparse_feature_names == [f"cat_{i}" for i in range(26)]
    assert list(log.table_sizes) == log.sparse_feature_names
    (features, labels), *_, (_, last) = log.dataset("validation", 64)
    sparse = features["sparse_features"]
    assert isinstance(sparse, tf.RaggedTensor)
    assert sparse.shape.as_list() == [64, 26, None]
    assert sparse.dtype == tf.int64
    assert features["dense_features"].shape == (64, 13)
    assert features["dense_features"].dtype == labels.dtype == tf.float32
    assert last.shape == (500 % 64,)
    assert len(log.dataset("validation", 64)) == 8


def test_rows_do_not_depend_on_the_batch_size(log):
    """Row n is the same in batches of any size, also across the border of a block."""
    for a, b in zip(read(log, "train", 1000), read(log, "train", 4096), strict=True):
        np.testing.assert_array_equal(a, b)


def test_rows_do_not_depend_on_where_reading_begins():
    """Validation rows are the rows that follow the training rows in one and the same log."""
    whole = read(ClickLog(num_train=300), "train", 300)
    parts = ClickLog(num_train=100, num_validation=150, num_test=50)
    parts = [read(parts, s, 64) for s in ("train", "validation", "test")]
    for a, *b in zip(whole, *parts, strict=True):
        np.testing.assert_array_equal(a, np.concatenate(b))


def test_seed_fixes_the_log():
    """The same seed makes the same log, another seed another one."""
    a, b, c = (read(ClickLog(num_train=50, seed=s), "train", 50) for s in (1, 1, 2))
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert not np.array_equal(a[0], c[0])


def test_labels_and_probabilities_are_those_of_the_rows(log):
    """`labels` are the dataset's, in its order, and come from `probabilities`."""
    labels, p = log.labels("train"), log.probabilities("train")
    np.testing.assert_array_equal(labels, read(log, "train", 512)[3])
    assert p.shape == labels.shape
    assert p.min() > 0 and p.max() < 1
    deviation = np.sqrt(np.sum(p * (1 - p)))
    assert abs(labels.sum() - p.sum()) < 4 * deviation
    # The same within rows the model calls likely and unlikely.
    for part in (p > 0.5, p < 0.1):
        deviation = np.sqrt(np.sum((p * (1 - p))[part]))
        assert abs(labels[part].sum() - p[part].sum()) < 4 * deviation


def test_probabilities_follow_the_formula():
    """The documented formula, summed term by term, gives the probabilities of the rows."""
    model = PlantedModel(seed=3)
    rows = model.draw(np.random.default_rng(0), 40)
    first_row = np.cumsum(model.table_sizes) - model.table_sizes
    ids = np.split(rows["ids"], np.cumsum(rows["lengths"].reshape(-1))[:-1])
    for r in range(40):
        x = rows["dense"][r].astype(np.float64)
        bags = [ids[r * 26 + f] + first_row[f] for f in range(26)]
        logit = model._bias + x @ model._dense_effect + 0.2 * (x[0] * x[1] + x[2] ** 2 - 1)
        logit += sum(model._id_effect[i] for bag in bags for i in bag)
        for f in range(model.NUM_PAIRED):
            for g in range(f + 1, model.NUM_PAIRED):
                logit += model._id_factors[bags[f][0]] @ model._id_factors[bags[g][0]]
        for i in range(model.NUM_DENSE_PAIRED):
            logit += x[3 + i] * model._dense_id_effect[bags[model.NUM_PAIRED + i][0]]
        assert rows["probability"][r] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-9)


def test_best_auc(log):
    """The ceiling is the expected AUC of the probabilities; the drawn labels' AUC is near it."""
    p = log.probabilities("train")
    assert log.best_auc("train") == auc(p, p)
    assert 0.8 < log.best_auc("train") < 0.9
    assert auc(log.labels("train"), p) == pytest.approx(log.best_auc("train"), abs=0.02)


def test_ids_follow_a_power_law_and_bags_vary(log):
    """Ids lie in their tables and get rarer; only the last four features hold several."""
    _, ids, lengths, _ = read(log, "train", 3000)
    lengths = lengths.reshape(-1, 26)
    assert (lengths[:, :22] == 1).all()
    assert set(lengths[:, 22:].reshape(-1)) == {0, 1, 2, 3, 4}
    feature = np.repeat(np.tile(np.arange(26), len(lengths)), lengths.reshape(-1))
    for f, size in enumerate(log.table_sizes.values()):
        count = np.bincount(ids[feature == f], minlength=size)
        assert len(count) == size
        ratio = 2**PlantedModel.EXPONENT
        assert count[0] / count[1] == pytest.approx(ratio, rel=0.2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_train": -1}, "num_train must be an integer of at least 0, received -1"),
        ({"num_test": 1.5}, "num_test must be an integer of at least 0, received 1.5"),
        ({"seed": None}, "seed must be an integer of at least 0, received None"),
    ],
)
def test_constructor_errors(arguments, message):
    """Each bad argument is refused by name."""
    with pytest.raises(ValueError, match=message):
        ClickLog(**arguments)


def test_split_and_batch_size_errors(log):
    """Unknown and empty splits and impossible batch sizes are refused."""
    with pytest.raises(ValueError, match="split must be one of .*received 'dev'"):
        log.dataset("dev", 2)
    with pytest.raises(ValueError, match="Split 'test' has no rows. Give `num_test`"):
        ClickLog(num_test=0).labels("test")
    with pytest.raises(ValueError, match="batch_size must be an integer of at least 1"):
        log.dataset("train", 0)


def test_written_files_have_the_rows_of_the_dataset(log, tmp_path):
    """Parquet of each split, read by the schema beside it, gives the batches generated."""
    schema = log.write(tmp_path)
    assert Schema.load(tmp_path / "schema.yaml") == schema
    for split in ("train", "validation", "test"):
        written = datasets.read(tmp_path / f"{split}.parquet", schema, 1000)
        for (got, labels), (expected, of_row) in zip(
            written, log.dataset(split, 1000), strict=True
        ):
            np.testing.assert_array_equal(labels, of_row)
            np.testing.assert_array_equal(got["dense_features"], expected["dense_features"])
            got, expected = got["sparse_features"].values, expected["sparse_features"].values
            np.testing.assert_array_equal(got.row_splits, expected.row_splits)
            np.testing.assert_array_equal(got.values, expected.values)
    ClickLog(num_train=0, num_validation=0, num_test=5).write(tmp_path / "few")
    assert not (tmp_path / "few" / "train.parquet").exists()
