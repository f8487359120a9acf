"""KeyedJaggedTensors through the operations of tf.data, also where only one input was mapped."""

import pytest
import tensorflow as tf

from tfrec_models import KeyedJaggedTensor

Dataset = tf.data.Dataset
PREPARED = {
    "as_they_are": lambda rows: rows,
    "mapped": lambda rows: rows.map(lambda row: row),
    "filtered": lambda rows: rows.filter(lambda row: row.stride() == 1),
    "permuted": lambda rows: rows.map(lambda row: row.permute([1, 0]).permute([1, 0])),
    "batched_and_mapped": lambda rows: rows.batch(2).map(lambda batch: batch).unbatch(),
}
# How often each row comes out, and the dataset of batches.
OPERATIONS = {
    "batch": (1, lambda rows, other: other.batch(2)),
    "drop_remainder": (1, lambda rows, other: other.batch(3, drop_remainder=True)),
    "rebatch": (1, lambda rows, other: other.batch(2).rebatch(3)),
    "unbatch": (1, lambda rows, other: other.batch(2).unbatch()),
    "shuffle": (1, lambda rows, other: other.shuffle(3).batch(2)),
    "prefetch": (1, lambda rows, other: other.prefetch(1).batch(2)),
    "cache": (1, lambda rows, other: other.cache().batch(2)),
    "repeat": (2, lambda rows, other: other.repeat(2).batch(4)),
    "concatenate": (2, lambda rows, other: rows.concatenate(other).batch(4)),
    "concatenate_other_way": (2, lambda rows, other: other.concatenate(rows).batch(4)),
    "zip": (1, lambda rows, other: Dataset.zip((other, rows)).batch(2).map(lambda a, b: a)),
    "interleave": (2, lambda rows, other: Dataset.range(2).interleave(lambda i: other).batch(4)),
    "flat_map": (2, lambda rows, other: Dataset.range(2).flat_map(lambda i: other).batch(4)),
    "scan": (1, lambda rows, other: other.scan(0, lambda n, row: (n + 1, row)).batch(2)),
    "take_and_skip": (1, lambda rows, other: other.take(1).concatenate(rows.skip(1)).batch(2)),
    "sample": (2, lambda rows, other: Dataset.sample_from_datasets([rows, other], seed=1).batch(2)),
    "ragged_batch": (1, lambda rows, other: other.ragged_batch(2)),
    "enumerate": (1, lambda rows, other: other.enumerate().batch(2).map(lambda i, row: row)),
    "from_generator": (
        1,
        lambda rows, other: Dataset.from_generator(
            lambda: iter(other), output_signature=other.element_spec
        ).batch(2),
    ),
}
EXAMPLES = [([0, 1, 3], [2, 1]), ([2, 5, 6, 7], [1, 3]), ([4], [0, 1])]


@pytest.fixture(scope="module")
def rows():
    """Three examples of two keys, weighted."""
    return make_rows(tf.range(8.0))


def make_rows(weights=None):
    """Three examples of two keys."""
    kjt = KeyedJaggedTensor.from_offsets_sync(
        ["f1", "f2"], tf.range(8), [0, 2, 2, 3, 4, 5, 8], weights=weights
    )
    return without_autotuning(Dataset.from_tensors(kjt).unbatch())


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation(rows, operation):
    """No example and no rank is lost, and weights stay with their ids."""
    times, apply = OPERATIONS[operation]
    check(without_autotuning(apply(rows, PREPARED["mapped"](rows))), times)


def test_without_weights():
    """As with weights; windows too, which hold one component alone."""
    rows = make_rows()
    mapped = PREPARED["mapped"](rows)
    check(without_autotuning(Dataset.sample_from_datasets([rows, mapped], seed=1).batch(2)), 2)
    check(without_autotuning(mapped.window(2).flat_map(lambda part: part.batch(2))), 1)


@pytest.mark.parametrize("prepared", PREPARED)
def test_sampled_with_prepared_rows(rows, prepared):
    """Rows as they are and prepared ones are of one type, so they can be mixed."""
    sampled = Dataset.sample_from_datasets([rows, PREPARED[prepared](rows)], [0.5, 0.5], seed=1)
    check(without_autotuning(sampled.batch(2)), times=2)


def test_reduce(rows):
    """Examples can be counted over a whole dataset."""
    assert rows.reduce(0, lambda count, row: count + tf.size(row.values())) == 8


def test_unknown_rank():
    """Parts of unknown rank get the only one they may have."""

    @tf.function(input_signature=[tf.TensorSpec(None, tf.int64), tf.TensorSpec(None, tf.int64)])
    def pack(values, lengths):
        return KeyedJaggedTensor(["a"], values, lengths=lengths)

    kjt = pack([1, 2, 3], [2, 1])
    assert kjt["a"].to_ragged().to_list() == [[1, 2], [3]]
    with pytest.raises(tf.errors.InvalidArgumentError, match="shape"):
        pack([[1, 2], [3, 4]], [2, 0])


def check(dataset, times):
    """Every example comes `times` times."""
    spec = dataset.element_spec
    assert (spec.flat_values.shape.rank, spec.row_splits.shape.rank) == (1, 1)
    found = []
    for batch in dataset:
        for row in Dataset.from_tensors(batch).unbatch():
            values = row.values().numpy().tolist()
            found.append((values, row.lengths().numpy().tolist()))
            if row.weights_or_none() is not None:
                assert row.weights().numpy().tolist() == values
    assert sorted(found) == sorted(EXAMPLES * times)


def without_autotuning(dataset):
    """The dataset without threads that would outlast it."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
