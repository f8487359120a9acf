"""What test rows say about features, against counts by hand and a model by hand."""

import numpy as np
import pyarrow as pa
import pytest

from tfrec_models.datasets import Dense, Schema, Sparse, read
from tfrec_models.report._features import id_counts, importance
from tfrec_models.report._sample import read_sample

ROWS = 500


def log(weighted=False):
    """Rows whose label is that of `decides`, but for some."""
    rng = np.random.default_rng(0)
    decides = rng.integers(0, 2, ROWS)
    lengths = rng.integers(0, 4, ROWS)
    table = {
        "y": np.where(rng.random(ROWS) < 0.1, 1 - decides, decides),
        "x": rng.normal(size=ROWS),
        "decides": decides,
        "ignored": rng.integers(0, 7, ROWS),
        "list": [rng.integers(0, 5, k).tolist() for k in lengths],
    }
    if weighted:
        table["w"] = [rng.random(k).tolist() for k in lengths]
    return pa.table(table)


def schema(weighted=False):
    """`list` shares the table of `decides`, so that it is packed before `ignored`."""
    weights = {"weights": "w"} if weighted else {}
    return Schema(
        "y",
        [Dense("x")],
        [
            Sparse("decides", ids="integer", num_ids=5),
            Sparse("ignored", ids="vocabulary"),
            Sparse("list", like="decides", is_list=True, **weights),
        ],
    )


@pytest.fixture(scope="module", params=[False, True], ids=["ids", "weighted"])
def sampled(request):
    """All rows of the log, and its schema."""
    table, fitted = log(request.param), schema(request.param)
    fitted.fit(table.slice(0, 400), progress=False)
    return table, fitted, read_sample(table, fitted, 10_000, seed=0)


def bags(features):
    """The packed ids and weights of batches, row by row, as lists."""
    found = []
    for batch in features:
        packed = batch["sparse_features"]
        parts = packed if isinstance(packed, tuple) else (packed,)
        found += list(zip(*map(as_lists, parts), strict=True))
    return found


def as_lists(ragged):
    """Ragged (rows, 3, None) as lists; `to_list` takes minutes for it."""
    splits = ragged.values.row_splits.numpy()
    each = [part.tolist() for part in np.split(ragged.flat_values.numpy(), splits[1:-1])]
    return [each[first : first + 3] for first in range(0, len(each), 3)]


def test_a_sample_gives_what_the_log_has(sampled):
    """All rows, in any order, as `read` gives them; fewer where fewer are wanted."""
    table, fitted, sample = sampled
    expected = [features for features, _ in read(table, fitted, 64)]
    assert sorted(bags(sample.batches())) == sorted(bags(expected))
    np.testing.assert_allclose(np.sort(sample.dense[:, 0]), np.sort(table["x"].to_numpy()), 1e-6)
    few = read_sample(table, fitted, 30, seed=1)
    assert (len(few), len(few.labels), len(bags(few.batches()))) == (30, 30, 30)
    again = read_sample(table, fitted, 30, seed=1)
    np.testing.assert_array_equal(few.ids, again.ids)


def test_one_feature_is_shuffled_and_no_other(sampled):
    """Bags, with their weights, are those of other rows; the rest stays."""
    _, fitted, sample = sampled
    order = np.random.default_rng(2).permutation(len(sample))
    before = bags(sample.batches())
    for number in range(len(fitted.sparse)):
        after = bags(sample.with_bags_shuffled(number, order).batches())
        for row, parts in enumerate(after):
            for part, kept, moved in zip(parts, before[row], before[order[row]], strict=True):
                assert part[number] == moved[number]
                assert part[:number] + part[number + 1 :] == kept[:number] + kept[number + 1 :]
    dense = sample.with_dense_shuffled(0, order).dense
    np.testing.assert_array_equal(dense[:, 0], sample.dense[order, 0])


def test_counts_of_ids_by_hand(sampled):
    """Shares of the most frequent ids, of empty bags and of ids outside a vocabulary."""
    table, fitted, sample = sampled
    decides, listed, ignored = id_counts(sample, fitted)
    assert [decides["name"], listed["name"], ignored["name"]] == ["decides", "list", "ignored"]
    ones = np.bincount(table["decides"].to_numpy()) / ROWS
    np.testing.assert_allclose(decides["tops"], [ones.max(), 1, 1, 1])
    assert (decides["distinct"], decides["table_rows"], decides["unknown"]) == (2, 5, None)
    assert (decides["empty"], decides["mean_length"]) == (0, 1)
    lengths = np.array([len(bag) for bag in table["list"].to_pylist()])
    np.testing.assert_allclose(listed["empty"], np.mean(lengths == 0))
    np.testing.assert_allclose(listed["mean_length"], lengths.mean())
    assert (listed["ids"], listed["table_rows"]) == (lengths.sum(), 5)
    assert (ignored["unknown"], ignored["table_rows"], ignored["distinct"]) == (0, 8, 7)


class Ranks:
    """A model that scores by `decides` and a little by x."""

    def predict_on_batch(self, features):
        packed = features["sparse_features"]
        ids = packed[0] if isinstance(packed, tuple) else packed
        # The first id of each row: one bag in three, of one id.
        decides = ids.flat_values.numpy()[ids.values.row_splits.numpy()[:-1:3]]
        return decides[:, None] + 1e-3 * features["dense_features"].numpy()


def test_importance_is_that_of_what_the_model_reads(sampled):
    """What is ignored drops nothing, to the bit; what decides drops the AUC to chance."""
    _, fitted, sample = sampled
    area, drops = importance(Ranks(), sample, fitted)
    assert area.value > 0.85
    found = {(drop["kind"], drop["name"]): drop for drop in drops}
    for name in ("ignored", "list"):
        assert (found["sparse", name]["drop"], found["sparse", name]["error"]) == (0, 0)
    decides = found["sparse", "decides"]
    assert abs(area.value - decides["drop"] - 0.5) < 0.1
    assert abs(found["dense", "x"]["drop"]) < 0.05 < decides["drop"]
    again = importance(Ranks(), sample, fitted)[1]
    assert again == drops


def test_importance_that_cannot_be_measured(sampled):
    """One class of labels, several outputs: named."""
    _, fitted, sample = sampled
    with pytest.raises(ValueError, match="must have labels of 0 and of 1"):
        importance(Ranks(), sample.head(1), fitted)

    class TwoOutputs:
        def predict_on_batch(self, features):
            return np.zeros((len(features["dense_features"]), 2))

    with pytest.raises(ValueError, match="must have one output"):
        importance(TwoOutputs(), sample, fitted)


def test_a_sample_without_lists_or_without_sparse_features():
    """Bags of one id each are given as a matrix; a schema may have dense columns alone."""
    table = log()
    single = Schema("y", [], [Sparse("decides", ids="integer", num_ids=2)])
    sample = read_sample(table, single, 100, seed=0)
    [batch] = sample.batches()
    assert batch["sparse_features"].shape == (100, 1)
    dense = read_sample(table, Schema("y", [Dense("x")]), 100, seed=0)
    [batch] = dense.batches()
    assert list(batch) == ["dense_features"]
    assert id_counts(dense, Schema("y", [Dense("x")])) == []
    with pytest.raises(ValueError, match="has no rows"):
        read_sample(table.slice(0, 0), single, 100, seed=0)
