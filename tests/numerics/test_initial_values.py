"""Where models and tables start."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.numerics.models import FAMILIES, make
from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig, xla_disabled


@pytest.mark.parametrize(
    ("dense", "sparse"), [(0, 2), (1, 1), (8, 26), (100, 1), (1, 60), (100, 60)]
)
@pytest.mark.parametrize("family", FAMILIES)
def test_first_loss_is_ln_2(family, dense, sparse):
    """Whatever the numbers of features, also with tables of few rows."""
    numbers = np.random.default_rng(0)
    inputs = (
        tf.constant(numbers.normal(size=(256, dense)), tf.float32),
        tf.constant(numbers.integers(0, 10, (256, sparse))),
    )
    labels = numbers.integers(0, 2, (256, 1)).astype("float32")
    with xla_disabled():
        logits = make(family, dense, sparse, rows=10, dim=8).logits(*inputs)
    loss = float(keras.losses.BinaryCrossentropy(from_logits=True)(labels, logits))
    assert abs(loss - np.log(2)) < 0.1


def build(init_fn, count=2, rows=50, **arguments):
    ebc = EmbeddingBagCollection(
        [EmbeddingBagConfig(rows, 4, f"t{i}", init_fn=init_fn, **arguments) for i in range(count)]
    )
    ebc.build()
    return [ebc.read_table(f"t{i}").numpy() for i in range(count)]


@pytest.mark.parametrize(
    "initializer",
    [
        keras.initializers.RandomNormal(),
        keras.initializers.RandomUniform(seed=3),
        keras.initializers.GlorotNormal(seed=3),
        keras.initializers.Orthogonal(),
    ],
)
def test_one_initializer_for_two_tables(initializer):
    """Each has its own numbers, and a seed repeats them."""
    first, second = build(initializer)
    assert np.abs(first - second).max() > 1e-3
    if initializer.get_config()["seed"] is None:
        keras.utils.set_random_seed(7)
        first, second = build(initializer)
        keras.utils.set_random_seed(7)
    np.testing.assert_array_equal(build(initializer), [first, second])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize(
    ("initializer", "mean", "deviation", "largest"),
    [
        (keras.initializers.RandomNormal(1.0, 0.5), 1.0, 0.5, np.inf),
        (keras.initializers.TruncatedNormal(0.0, 1.0), 0.0, 0.8796, 2.0),
        (keras.initializers.RandomUniform(1.0, 3.0), 2.0, 2 / 12**0.5, 3.0),
        # Glorot: variance 2 / (rows + columns), with 99,996 rows of 4 columns.
        (keras.initializers.GlorotUniform(), 0.0, (2 / 100_000) ** 0.5, 0.01),
        (keras.initializers.HeNormal(), 0.0, (2 / 99_996) ** 0.5, 0.0102),
        (None, 0.0, 99_996**-0.5 / 3**0.5, 99_996**-0.5),
    ],
)
def test_tables_drawn_by_blocks(monkeypatch, dtype, initializer, mean, deviation, largest):
    """Moments and bounds are those of the distribution, over many blocks, none like another."""
    monkeypatch.setattr("tfrec_models.embeddings.table_initializer.BLOCK_SIZE", 40_004)
    (table,) = build(initializer, count=1, rows=99_996, data_type=dtype)
    table = table.astype("float64")
    assert abs(table.mean() - mean) < 0.01 * deviation
    assert abs(table.std() / deviation - 1) < 0.01
    assert np.abs(table).max() <= largest * 1.01
    assert np.abs(table[10_001:20_002] - table[20_002:30_003]).max() > deviation


def test_pieces_are_parts_of_the_whole(monkeypatch):
    """Servers that fill pieces of a table fill what one process would."""
    from tfrec_models.embeddings.table_initializer import TableInitializer
    from tfrec_models.embeddings.table_stack import TableStack

    monkeypatch.setattr("tfrec_models.embeddings.table_initializer.BLOCK_SIZE", 40)
    fills = [
        None,
        keras.initializers.RandomNormal(seed=2),
        "ones",
        lambda s, dtype: tf.fill(s, 5.0),
    ]
    tables = [EmbeddingBagConfig(30, 3, f"t{i}", init_fn=fill) for i, fill in enumerate(fills)]
    initializer = TableInitializer(TableStack(tables))
    whole = initializer((121, 3), "float32").numpy()
    pieces = [initializer((n, 3), "float32", first).numpy() for first, n in [(0, 50), (50, 71)]]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    assert (whole[0] == 0).all() and (whole[61:91] == 1).all() and (whole[91:] == 5).all()
