"""Files and tables as batches: forms, order, shards, and what is refused."""

import bz2
import gzip
import importlib
import os
import tarfile
import threading

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tests.datasets import log_files
from tfrec_models.datasets import Dense, Schema, Sparse, read
from tfrec_models.datasets._batches import Batches, Order
from tfrec_models.datasets._encode import Encoder
from tfrec_models.datasets._sources import open_source

NUMBERED = Schema(
    "y", [Dense("x")], [Sparse("n", ids="integer", num_ids=10**6), Sparse("l", like="n")]
)


def numbered(first, count):
    """Rows that carry their own number, once alone and n % 4 times in a list."""
    numbers = np.arange(first, first + count)
    splits = np.concatenate([[0], np.cumsum(numbers % 4)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(splits, np.repeat(numbers, numbers % 4))
    return pa.table({"y": numbers % 2, "x": numbers.astype(float), "n": numbers, "l": lists})


def write(folder, counts, row_group_size=50):
    """Parquet files with so many rows each, numbered on."""
    first = 0
    for i, count in enumerate(counts):
        path = f"{folder}/{i}.parquet"
        pq.write_table(numbered(first, count), path, row_group_size=row_group_size)
        first += count
    return str(folder)


def numbers(dataset):
    """The numbers of the rows, after checking that all columns are of one row."""
    result = []
    for features, labels in dataset:
        # `to_list` takes milliseconds a row.
        bags = features["sparse_features"].values
        bags = np.split(bags.values.numpy(), bags.row_splits.numpy()[1:-1])
        of_batch = [int(bag[0]) for bag in bags[::2]]
        assert [bag.tolist() for bag in bags[1::2]] == [[n] * (n % 4) for n in of_batch]
        assert features["dense_features"].numpy()[:, 0].tolist() == of_batch
        assert labels.numpy().tolist() == [n % 2 for n in of_batch]
        result += of_batch
    return result


def error_of(path, schema, **arguments):
    """What iterating over the dataset says."""
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)) as caught:
        list(read(path, schema, 4, **arguments))
    return str(caught.value)


def test_order_batches_and_remainder(tmp_path):
    """Without shuffling rows come in the files' order; the last batch may be smaller."""
    folder = write(tmp_path, [120, 0, 33])
    dataset = read(folder, NUMBERED, 50)
    assert numbers(dataset) == list(range(153))
    assert [len(labels) for _, labels in dataset] == [50, 50, 50, 3]
    assert int(dataset.cardinality()) == 4
    dropped = read(folder, NUMBERED, 50, drop_remainder=True)
    assert numbers(dropped) == list(range(150))
    assert int(dropped.cardinality()) == 3
    assert dropped.element_spec[1].shape == (50,)


def test_forms_of_inputs():
    """(B, F) where every bag has one id, packed bags else; nothing for features that are not."""
    table = numbered(0, 8)
    single = Schema("y", [], [Sparse("n", ids="hash", num_ids=5)])
    features, _ = next(iter(read(table, single, 4)))
    assert features["dense_features"].shape == (4, 0)
    assert features["sparse_features"].shape == (4, 1)
    features, _ = next(iter(read(table, NUMBERED, 4)))
    assert features["sparse_features"].shape == (4, 2, None)
    features = next(iter(read(table, NUMBERED, 4, labels=False)))
    assert sorted(features) == ["dense_features", "sparse_features"]
    dense = Schema("y", [Dense("x")])
    assert list(next(iter(read(table, dense, 4)))[0]) == ["dense_features"]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_row_once_by_all_shards(tmp_path, count):
    """Shuffled, over two epochs: the parts of all workers are all rows, equal to one row.

    A strategy of several workers divides none of them again.
    """
    folder = write(tmp_path, [120, 7, 333])
    shards = [
        read(folder, NUMBERED, 32, shuffle=True, seed=3, shuffle_buffer=64, shard=(i, count))
        for i in range(count)
    ]
    policies = {shard.options().experimental_distribute.auto_shard_policy.name for shard in shards}
    assert policies == {"AUTO" if count == 1 else "OFF"}
    epochs = [[numbers(shard) for shard in shards] for _ in range(2)]
    for parts in epochs:
        assert sorted(n for part in parts for n in part) == list(range(460))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_row_once_with_a_restore(tmp_path, count):
    """Stopped in the second epoch and started again: every row once, as if never stopped."""
    folder = write(tmp_path, [120, 7, 333])
    rows = []
    for i in range(count):
        arguments = {"shuffle": True, "seed": 3, "shuffle_buffer": 64, "shard": (i, count)}
        stopped, again, whole = (read(folder, NUMBERED, 32, **arguments) for _ in range(3))
        for dataset in (stopped, again, whole):
            iter(dataset)  # The first epoch, which a run that goes on does not read.
        before = list(stopped)[:3]
        after = iter(again)
        for _ in before:
            next(after)
        of_worker = numbers([*before, *after])
        assert of_worker == numbers(whole)
        rows += of_worker
    assert sorted(rows) == list(range(460))


def test_each_row_once_by_all_shards_of_text(tmp_path):
    """The same for files whose number of rows only reading tells."""
    schema = Schema("y", [Dense("n")])
    for name, first in (("a", 0), ("b", 100)):
        rows = [{"y": 0.0, "n": float(n)} for n in range(first, first + 57)]
        log_files.write_csv(tmp_path / f"{name}.csv", rows, ["y", "n"])
    parts = [
        [x for f, _ in read(str(tmp_path), schema, 8, shard=(i, 3)) for x in f["dense_features"]]
        for i in range(3)
    ]
    assert [len(part) for part in parts] == [38, 38, 38]
    assert sorted(float(x[0]) for part in parts for x in part) == [*range(57), *range(100, 157)]


def test_shuffling_is_repeatable(tmp_path):
    """A seed fixes every epoch; another seed, another order; rows leave their neighbourhood."""
    folder = write(tmp_path, [400, 400], row_group_size=40)
    arguments = {"shuffle": True, "shuffle_buffer": 200}
    first, again = (read(folder, NUMBERED, 100, seed=1, **arguments) for _ in range(2))
    epochs = [numbers(first) for _ in range(3)]
    assert [numbers(again) for _ in range(3)] == epochs
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert numbers(read(folder, NUMBERED, 100, seed=2, **arguments)) not in epochs
    # Row groups of 40 rows: the first 100 rows come from more than three of them.
    assert len({n // 40 for n in epochs[0][:100]}) > 3


def test_threads_end_with_the_iterator(tmp_path):
    """Batches that are given up in the middle leave no thread behind."""
    folder = write(tmp_path, [5000])
    source = open_source(folder, NUMBERED, NUMBERED.columns)
    encoder = Encoder(NUMBERED, source.types)
    before = set(threading.enumerate())
    batches = Batches(source, encoder, 4, False, Order(0, 100, (0, 1)), 2).of_epoch(0)
    next(batches)
    started = set(threading.enumerate()) - before
    assert started
    batches.close()
    assert not [thread for thread in started if thread.is_alive()]


def test_globs_directories_and_partitions(tmp_path):
    """Folders named column=value give columns; hidden and bookkeeping files are passed over."""
    for day in (1, 2):
        for country in ("ch", "li"):
            folder = tmp_path / f"day={day}" / f"country={country}"
            folder.mkdir(parents=True)
            pq.write_table(pa.table({"n": [day * 10]}), folder / "part.parquet")
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / ".part.crc").write_text("x")
    schema = Schema(
        None,
        [Dense("n"), Dense("day")],
        [Sparse("country", ids="vocabulary")],
    )
    schema.fit(str(tmp_path), progress=False)
    assert schema.learned["vocabularies"]["country"] == ["ch", "li"]
    [features] = read(str(tmp_path), schema, 9)
    assert features["dense_features"].numpy().tolist() == [[10, 1], [10, 1], [20, 2], [20, 2]]
    assert features["sparse_features"].numpy().tolist() == [[1], [2], [1], [2]]
    no_partitions = Schema(None, [Dense("n")])
    for pattern, rows in (("*/country=ch/*.parquet", 2), ("**/*.parquet", 4), ("*.parquet", 0)):
        if rows:
            [features] = read(f"{tmp_path}/{pattern}", no_partitions, 9)
            assert len(features["dense_features"]) == rows
        else:
            with pytest.raises(FileNotFoundError, match="No such file, folder or glob"):
                read(f"{tmp_path}/{pattern}", no_partitions, 9)


def test_weights_and_longest_bags():
    """Weights go where their ids go; a feature without weights has ones."""
    table = pa.table(
        {
            "l": [[1, 2, None, 3], [], [4]],
            "w": [[0.1, 0.2, 0.3, 0.4], [], [0.5]],
            "s": [7, 8, 9],
        }
    )
    schema = Schema(
        None,
        [],
        [
            Sparse("s", ids="integer", num_ids=10),
            Sparse("l", ids="integer", num_ids=10, missing="drop", max_length=2, weights="w"),
        ],
    )
    [features] = read(table, schema, 3)
    ids, weights = features["sparse_features"]
    assert ids.to_list() == [[[7], [2, 3]], [[8], []], [[9], [4]]]
    expected = [[[1], [0.2, 0.4]], [[1], []], [[1], [0.5]]]
    for row, of_row in zip(weights.to_list(), expected, strict=True):
        for bag, of_bag in zip(row, of_row, strict=True):
            np.testing.assert_allclose(bag, of_bag)
    assert schema.collection(4)((ids, weights))["l"].shape == (3, 4)


def test_crosses_missing_values_and_hexadecimals():
    """A pair has one id; a null has the id that is declared."""
    table = pa.table({"a": ["p", "q", None], "b": [1, 2, 3], "h": ["ff", "10", None]})
    schema = Schema(
        None,
        [],
        [
            Sparse("a", ids="hash", num_ids=100, missing=99),
            Sparse("b", ids="integer", num_ids=4),
            Sparse("h", ids="hex", num_ids=200, missing=5),
            Sparse("a_b", cross=("a", "b"), num_ids=1000, missing=0),
        ],
    )
    [features] = read(table, schema, 3)
    rows = [
        dict(zip(table.column_names, row, strict=True))
        for row in zip(*table.to_pydict().values(), strict=True)
    ]
    expected = log_files.expected_ids(schema, rows[:2])
    ids = features["sparse_features"].numpy()
    assert ids[:2].tolist() == [[bag[0] for bag in row] for row in expected]
    assert ids[:, 2].tolist() == [255 % 200, 16, 5]
    assert ids[2].tolist() == [99, 3, 5, 0]
    schema.sparse[3] = Sparse("a_b", cross=("a", "b"), num_ids=5, missing=5)
    message = error_of(table, schema).replace("\\'", "'")
    assert "column 'a_b': missing must be below the 5 ids of its table, received 5" in message


def test_transforms():
    """Each transform against NumPy."""
    x = np.array([-3.0, 0.0, 1.5, 100.0, np.nan])
    table = pa.table(dict.fromkeys("abcdef", x))
    dense = [
        Dense("a", fill=2),
        Dense("b", fill=0, transform="log1p"),
        Dense("c", fill=0, transform="log", offset=4),
        Dense("d", fill=0, transform="standardize"),
        Dense("e", fill=0, transform="clip", low=-1),
        Dense("f", fill=0, transform="quantile", num_buckets=2),
    ]
    schema = Schema(None, dense)
    schema.fit(table, progress=False)
    [features] = read(table, schema, 5)
    filled = np.nan_to_num(x)
    expected = [
        np.where(np.isnan(x), 2, x),
        np.log(np.maximum(filled, 0) + 1),
        np.log(filled + 4),
        (filled - filled.mean()) / filled.std(),
        np.maximum(filled, -1),
        (filled >= np.quantile(filled, 0.5)) / 2,
    ]
    result = features["dense_features"].numpy()
    np.testing.assert_allclose(result, np.stack(expected, axis=1), rtol=1e-6, atol=1e-7)


def test_repeated_values_have_the_ids_of_single_ones():
    """Columns with few distinct values are looked up by distinct value: the same ids."""
    rng = np.random.default_rng(0)
    texts = [f"value {n}" for n in rng.integers(0, 40, 20_000)]
    schema = Schema(None, [], [Sparse("h", ids="hash", num_ids=997)])
    [features] = read(pa.table({"h": texts}), schema, 20_000)
    expected = tf.strings.to_hash_bucket_fast(texts, 997)
    np.testing.assert_array_equal(features["sparse_features"].numpy()[:, 0], expected)


def test_hash_of_100_000_strings_is_tensorflows():
    """Random bytes of 0 to 100: a column at once as one string at a time in a graph."""
    rng = np.random.default_rng(0)
    data = rng.bytes(10_000_000)
    starts, lengths = rng.integers(0, 9_999_000, 100_000), rng.integers(0, 100, 100_000)
    texts = [data[s : s + n] for s, n in zip(starts, lengths, strict=True)]
    schema = Schema(None, [], [Sparse("h", ids="hash", num_ids=10**9)])
    [features] = read(pa.table({"h": pa.array(texts, pa.binary())}), schema, 100_000)
    expected = tf.strings.to_hash_bucket_fast(texts, 10**9)
    np.testing.assert_array_equal(features["sparse_features"].numpy()[:, 0], expected)


@pytest.mark.parametrize("ending", ["parquet", "csv", "csv.gz", "csv.bz2", "csv.zst", "tfrecord"])
@pytest.mark.parametrize("share", [0.3337, 0.9123, 0.9999])
def test_files_that_are_cut_off(tmp_path, ending, share):
    """Named, and never read as a shorter file."""
    rows = [{"y": 0.0, "n": n * 7919 % 10007} for n in range(3000)]
    schema = Schema("y", [], [Sparse("n", ids="integer", num_ids=10007)])
    path = tmp_path / f"log.{ending}"
    if ending == "parquet":
        log_files.write_parquet(path, rows, {"y": pa.float32(), "n": pa.int64()}, 1000)
    elif ending == "tfrecord":
        log_files.write_tfrecord(path, rows, ["y", "n"])
    else:
        log_files.write_csv(tmp_path / "log.csv", rows, ["y", "n"])
        data = (tmp_path / "log.csv").read_bytes()
        if ending == "csv.bz2":
            path.write_bytes(bz2.compress(data))
        elif ending == "csv.zst":
            path.write_bytes(pa.compress(data, "zstd", asbytes=True))
        elif ending == "csv.gz":
            log_files.write_csv(path, rows, ["y", "n"])
        else:
            # Nothing tells that a text file ends early but its last line.
            path.write_bytes(data[: data.index(b",", int(len(data) * share) - 20)] + b"\n")
            assert str(path) in error_of(path, schema)
            return
    assert sum(len(labels) for _, labels in read(path, schema, 512)) == 3000
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    message = error_of(path, schema)
    assert str(path) in message
    assert "cut off" in message


def test_a_parquet_file_damaged_inside(tmp_path):
    """A page whose checksum does not hold: the file and its row group are named."""
    path = tmp_path / "log.parquet"
    rng = np.random.default_rng(0)
    pq.write_table(pa.table({"n": rng.integers(0, 1000, 5000)}), path, write_page_checksum=True)
    data = bytearray(path.read_bytes())
    data[200:400] = bytes(200)
    path.write_bytes(data)
    schema = Schema(None, [], [Sparse("n", ids="integer", num_ids=1000)])
    assert f"{path}, row group 0 is cut off, damaged" in error_of(path, schema)


def test_a_file_that_changes_while_it_is_read(tmp_path):
    """Another file under the name of one that was listed is refused."""
    folder = write(tmp_path, [10])
    dataset = read(folder, NUMBERED, 4)
    write(tmp_path, [20])
    os.utime(tmp_path / "0.parquet", (1, 1))
    with pytest.raises(tf.errors.InvalidArgumentError, match="0.parquet changed while it was read"):
        list(dataset)


@pytest.mark.parametrize("ending", ["parquet", "csv", "csv.gz", "tfrecord"])
def test_a_file_that_grows(tmp_path, ending):
    """A file still being written is named as such, not as one that is cut off or has bad lines."""
    path, rows = tmp_path / f"log.{ending}", [{"y": 0.0, "n": n} for n in range(100)]
    if ending == "parquet":
        log_files.write_parquet(path, rows, {"y": pa.float32(), "n": pa.int64()})
    elif ending == "tfrecord":
        log_files.write_tfrecord(path, rows, ["y", "n"])
    else:
        log_files.write_csv(path, rows, ["y", "n"])
    schema = Schema("y", [], [Sparse("n", ids="integer", num_ids=100)])
    dataset = read(path, schema, 4)
    with open(path, "ab") as file:
        file.write(b"0,12,7")
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)) as caught:
        list(dataset)
    assert f"{path} changed while it was read" in str(caught.value)


@pytest.mark.parametrize("ending", ["csv.gz", "csv.bz2"])
def test_a_compressed_file_damaged_inside(tmp_path, ending):
    """Wherever a bit is flipped, the file is named, and no line of the noise it gives."""
    rng = np.random.default_rng(0)
    data = b"y,n\n" + b"".join(b"0,%d\n" % n for n in rng.integers(0, 1000, 4000))
    pack = {"csv.gz": gzip.compress, "csv.bz2": bz2.compress}[ending]
    packed, path = pack(data), tmp_path / f"log.{ending}"
    schema = Schema("y", [], [Sparse("n", ids="integer", num_ids=1000)])
    for place in rng.integers(20, len(packed), 12):
        damaged = bytearray(packed)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        message = error_of(path, schema)
        assert f"{path} is " in message
        assert "is damaged" in message or "is cut off" in message


def test_bad_values_are_named(tmp_path):
    """File, row, column, what was expected and how to mend it."""
    path = str(tmp_path / "log.parquet")

    def message(column, declared, label=None):
        pq.write_table(pa.table({"c": column}), path)
        schema = Schema(label, *declared)
        return error_of(path, schema)

    dense, single = [[Dense("c")]], Sparse("c", ids="integer", num_ids=9)
    assert f"{path}, row 1, column 'c': is null or NaN; declare a fill" in message([1, None], dense)
    assert "must hold a number in each row, received string; declare a Sp" in message(["a"], dense)
    assert "is null or NaN" in message([1.0, None], [], label="c")
    log = [[Dense("c", transform="log", offset=1)]]
    assert f"{path}, row 1, column 'c': holds -1.0, whose log(x + 1.0)" in message([0.0, -1.0], log)
    assert f"{path}, row 1, column 'c': must hold ids from 0 to 8, received 9" in message(
        [1, 9], [[], [single]]
    )
    gaps = Sparse("c", ids="integer", num_ids=9, is_list=True, missing=0)
    assert f"{path}, row 2, column 'c': must hold ids from 0 to 8, received -1" in message(
        [[None, 1], None, [None, -1]], [[], [gaps]]
    )
    assert "must hold integers, received string" in message(["1"], [[], [single]])
    assert f"{path}, row 2, column 'c': is null or has one; declare missing" in message(
        [1, 2, None], [[], [single]]
    )
    lists = Sparse("c", ids="integer", num_ids=9, is_list=True)
    assert "must hold lists, received int64" in message([1], [[], [lists]])
    assert f"{path}, row 1, column 'c': is null or has one" in message(
        [[1], [2, None]], [[], [lists]]
    )
    scalar = Sparse("c", ids="integer", num_ids=9, is_list=False)
    assert "must hold one value in each row, received list" in message([[1]], [[], [scalar]])
    hashed = Sparse("c", ids="hash", num_ids=9)
    assert "must hold strings or integers, received double; tables of pandas" in message(
        [1.5], [[], [hashed]]
    )
    hexed = Sparse("c", ids="hex", num_ids=9)
    assert f"{path}, row 1, column 'c': must hold hexadecimal ids of 1 to 8 d" in message(
        ["1", "xyz"], [[], [hexed]]
    )


def test_columns_that_are_not_there(tmp_path):
    """The nearest name is given, in each format, before anything is read."""
    schema = Schema("clicked", [Dense("prize")])
    types = {"clicked": pa.float32(), "price": pa.float32()}
    rows = [{"clicked": 0.0, "price": 1.0}]
    parquet = log_files.write_parquet(tmp_path / "a.parquet", rows, types)
    text = log_files.write_csv(tmp_path / "a.csv", rows, list(types))
    record = log_files.write_tfrecord(tmp_path / "a.tfrecord", rows, list(types))
    for path in (parquet, text, record):
        assert f"{path} has no column 'prize'; did you mean 'price'?" in error_of(path, schema)
    table = log_files.table(rows, types)
    with pytest.raises(ValueError, match="the pyarrow Table has no column 'prize'; did you mean"):
        read(table, schema, 4)


def test_headers_line_ends_and_columns_of_text(tmp_path):
    """Mixed line ends are read; a header too many or too few and a short line are named."""
    path = tmp_path / "log.csv"
    schema = Schema("y", [Dense("x")])
    bare = Schema("y", [Dense("x")], column_names=["y", "x"])
    path.write_bytes(b"y,x\r\n1,2\n0,3\r\n")
    [(features, labels)] = read(path, schema, 4)
    assert (features["dense_features"].numpy()[:, 0].tolist(), labels.numpy().tolist()) == (
        [2, 3],
        [1, 0],
    )
    assert "begins with a header, which the schema's column_names says" in error_of(path, bare)
    path.write_bytes(b"1,2\n0,3\n")
    assert len(list(read(path, bare, 1))) == 2
    message = error_of(path, schema)
    assert "must name the columns, separated by" in message
    assert "for files without a header, give column_names to the schema" in message
    path.write_bytes(b"y,x\n1,2\n0\n")
    assert f"{path}, line 3, has 1 fields, expected 2. Repair or remove" in error_of(path, schema)
    path.write_bytes(b"y,x\n\n1,2\n\n0\n")
    assert f"{path}, line 5, has 1 fields, expected 2" in error_of(path, schema)
    path.write_bytes(b"y,x\n1,2\n0,abc\n")
    message = error_of(path, schema).replace("\\'", "'")
    assert f"{path}, line 3, column 'x': must hold a number, received 'abc'" in message
    path.write_bytes(b"y,x\r\n\n1,2\n\r\n,3\n")
    message = error_of(path, schema).replace("\\'", "'")
    assert f"{path}, line 5, column 'y': is null or NaN" in message
    path.write_bytes(b"y,x\n1,2\n\n0,3\n\x000,4\n")
    assert f"{path}, line 5, has a NUL byte" in error_of(path, schema)
    path.write_bytes(b"y,x\n1,2\r\n0,3\r0,4\n")
    assert f"{path}, line 3, has a carriage return without a line feed" in error_of(path, schema)
    path.write_bytes(b"y,x\r1,2\r0,3\r")
    assert f"{path}, line 1 has a carriage return without" in error_of(path, schema)
    path.write_bytes("y,x\n1,2\n".encode("utf-16"))
    assert f"{path}, line 1 has a NUL byte: the file is damaged, or text in UTF-16" in error_of(
        path, schema
    )
    path.write_bytes(b"PK\x03\x04" + bytes(20))
    assert (
        "must be text, plain or compressed by gzip, bzip2 or Zstandard, received zip"
        in error_of(path, schema)
    )


def test_names_in_a_header(tmp_path):
    """In quotes with a delimiter, many, in another order; a name given twice is refused."""
    path = tmp_path / "log.csv"
    schema = Schema("y", [Dense("x"), Dense("a,\tb")])
    path.write_text('y,"a,\tb",x,"say ""x"""\n1,9,5,0\n0,8,6,0\n')
    [(features, labels)] = read(path, schema, 4)
    assert features["dense_features"].numpy().tolist() == [[5, 9], [6, 8]]
    assert labels.numpy().tolist() == [1, 0]
    many = [f"a_column_nobody_wants_{i}" for i in range(4000)]
    path.write_text(f"y,{','.join(many)},x\n1{',0' * 4000},5\n")
    [(features, _)] = read(path, Schema("y", [Dense("x")]), 4)
    assert features["dense_features"].numpy().tolist() == [[5]]
    path.write_text("x,y\n5,1\n")
    declared = Schema("y", [Dense("x")], column_names=["y", "x"])
    assert "begins with a header" in error_of(path, declared)
    path.write_text("y,x,x\n1,2,3\n")
    twice = pa.Table.from_arrays([pa.array([1.0])] * 3, ["y", "x", "x"])
    pq.write_table(twice, tmp_path / "log.parquet")
    schema = Schema("y", [Dense("x")])
    assert "has 2 columns of the name 'x'" in error_of(path, schema).replace("\\'", "'")
    for source in (twice, tmp_path / "log.parquet"):
        with pytest.raises(ValueError, match="has 2 columns of the name 'x'; give each a name"):
            read(source, schema, 4)


def test_files_in_other_wrappings(tmp_path):
    """What a file is packed in is named; a packed file without a byte is cut off."""
    schema = Schema("y", [Dense("x")])
    plain = tmp_path / "log.csv"
    plain.write_text("y,x\n1,2\n")
    with tarfile.open(tmp_path / "log.tar.gz", "w:gz") as archive:
        archive.add(plain, "log.csv")
    assert "must be text, received a tar archive; unpack it" in error_of(
        tmp_path / "log.tar.gz", schema
    )
    (tmp_path / "log.tfrecord").write_bytes(bz2.compress(b"some records"))
    assert "must be TFRecord, plain or compressed by gzip, received bz2" in error_of(
        tmp_path / "log.tfrecord", schema
    )
    (tmp_path / "log.parquet").write_bytes(gzip.compress(b"PAR1 and so on PAR1"))
    with pytest.raises(ValueError, match="must be Parquet, which is compressed within.* gzip"):
        read(tmp_path / "log.parquet", schema, 4)
    for name in ("nothing.csv.gz", "nothing.tfrecord.gz"):
        (tmp_path / name).write_bytes(b"")
        assert "is cut off: it has no byte" in error_of(tmp_path / name, schema)
        (tmp_path / name).write_bytes(gzip.compress(b""))
        assert list(read(tmp_path / name, schema, 4)) == []


def test_infinite_numbers(tmp_path):
    """Named, also where float32 alone makes them so, unless a transform bounds them."""
    clip = Schema("y", [Dense("x", transform="clip", low=-1, high=1e30)])
    for number in (np.inf, -np.inf, 1e300):
        table = pa.table({"y": [1.0, 0.0], "x": [1.0, number]})
        message = error_of(table, Schema("y", [Dense("x")]))
        assert f"row 1, column 'x': holds {number}, which gives" in message.replace("\\'", "'")
        [(features, _)] = read(table, clip, 2)
        expected = np.float32(np.clip(number, -1, 1e30))
        assert features["dense_features"].numpy().tolist() == [[1], [expected]]
        swapped = table.rename_columns(["x", "y"])
        assert "'y': holds" in error_of(swapped, Schema("y")).replace("\\'", "'")
    weighted = Schema(None, [], [Sparse("s", ids="integer", num_ids=9, weights="w")])
    for table in (
        pa.table({"s": [1, 2], "w": [1, np.inf]}),
        pa.table({"s": [[1], [2, 3]], "w": [[1], [1, 1e300]]}),
    ):
        message = error_of(table, weighted).replace("\\'", "'")
        assert "row 1, column 'w': holds a number that is infinite" in message
    path = tmp_path / "log.csv"
    path.write_text("y,x\n1,2\n0,inf\n")
    assert "line 3, column 'x': holds inf" in error_of(path, Schema("y", [Dense("x")])).replace(
        "\\'", "'"
    )


def test_columns_in_every_encoding():
    """Categories, runs and views, alone and in lists, read as what they stand for."""
    texts = pa.array(["a", "b", "a"])
    plain = pa.ListArray.from_arrays(pa.array([0, 2, 3], pa.int32()), texts)
    of_categories = pa.ListArray.from_arrays(plain.offsets, texts.dictionary_encode())
    # The second list lies before the first one.
    starts, lengths = pa.array([1, 0], pa.int32()), pa.array([2, 1], pa.int32())
    view = pa.ListViewArray.from_arrays(starts, lengths, pa.array(["a", "a", "b"]))
    runs = pc.run_end_encode(pa.array(["a", "a"]))
    for column, expected in (
        (of_categories, plain),
        (view, plain),
        (pa.ListViewArray.from_arrays(starts, lengths, view.values.dictionary_encode()), plain),
        (runs, pa.array(["a", "a"])),
        (pa.array(["a", "b"]).dictionary_encode(), pa.array(["a", "b"])),
    ):
        schema = Schema(None, [], [Sparse("s", ids="vocabulary")])
        schema.fit(pa.table({"s": expected}), progress=False)
        found, wanted = (
            [batch["sparse_features"] for batch in read(pa.table({"s": each}), schema, 2)]
            for each in (column, expected)
        )
        for one, other in zip(found, wanted, strict=True):
            arrays, others = (
                [part.numpy().tolist() for part in tf.nest.flatten(each, expand_composites=True)]
                for each in (one, other)
            )
            assert arrays == others


@pytest.mark.parametrize("rest", ["", "\n", "\n\r\n\n"])
def test_text_without_a_row(tmp_path, rest):
    """A header alone, and empty lines, are no rows."""
    path = tmp_path / "log.csv"
    path.write_text("y,x,t" + rest)
    schema = Schema("y", [Dense("x")], [Sparse("t", ids="hash", num_ids=9)])
    assert list(read(path, schema, 4)) == []


def test_a_quote_that_is_not_closed(tmp_path):
    """The lines up to the next quote are no part of a field: the place is named."""
    path = tmp_path / "log.csv"
    schema = Schema("y", [Dense("x")], [Sparse("t", ids="hash", num_ids=9)])
    path.write_text('y,x,t\n1,1,a\n0,2,"\n1,3,c\n0,4,"d\n1,5,e\n')
    message = error_of(path, schema)
    assert f"{path}: one of the lines 2 to 6 has a quote that is not closed" in message
    path.write_text('y,x,t\n1,1,"a ""b"", c"\n\n0,2,5" pipe\n')
    assert sum(len(labels) for _, labels in read(path, schema, 4)) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a positive integer, received 0"),
        ({"shuffle_buffer": 0}, "shuffle_buffer must be a positive integer"),
        ({"num_threads": 0}, "num_threads must be a positive integer"),
        ({"shard": (2, 2)}, r"shard must be \(index, count\).*received \(2, 2\)"),
        ({"shard": (0, 2), "shuffle": True}, "Shuffled shards need a seed"),
        ({"shard": 1}, r"shard must be \(index, count\).*received 1"),
        ({"shard": (0.5, 2)}, r"shard must be \(index, count\).*received \(0.5, 2\)"),
        ({"seed": 1}, "seed goes with shuffle=True"),
        ({"seed": -1, "shuffle": True}, "seed must be an integer of at least 0 or None"),
        ({"seed": "a", "shuffle": True}, "seed must be an integer of at least 0 or None"),
        ({"format": "parquet"}, "format is for files, received 'parquet' with a table"),
    ],
)
def test_argument_errors(arguments, message):
    """Each bad argument is refused by name."""
    with pytest.raises(ValueError, match=message):
        read(numbered(0, 3), NUMBERED, **{"batch_size": 2, **arguments})
    for schema in ("schema.yaml", {"label": "y"}):
        with pytest.raises(TypeError, match=r"schema must be a Schema, .* Schema.load\(path\)"):
            read(numbered(0, 3), schema, 2)


def test_source_errors(tmp_path):
    """What is no source, formats that differ, and schemas not fitted."""
    with pytest.raises(TypeError, match="source must be paths of files, or a pandas.*received int"):
        read(3, NUMBERED, 2)
    with pytest.raises(ValueError, match="There is no file to read"):
        read([], NUMBERED, 2)
    (tmp_path / "a.csv").write_text("y\n")
    (tmp_path / "b.parquet").write_text("")
    with pytest.raises(ValueError, match="Files must be of one format"):
        read(str(tmp_path), NUMBERED, 2)
    with pytest.raises(ValueError, match="format must be one of .*received 'orc'"):
        read(tmp_path / "a.csv", NUMBERED, 2, format="orc")
    learned = Schema(None, [Dense("x", transform="standardize")])
    with pytest.raises(ValueError, match="'x' is learned from the data, and is not yet"):
        read(numbered(0, 3), learned, 2)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames(library):
    """Tables of pandas and polars read as those of Arrow; columns nobody wants may be anything."""
    module = importlib.import_module(library)
    table = numbered(0, 20)
    frame = module.DataFrame({name: table[name].to_pylist() for name in table.column_names})
    if library == "pandas":
        frame["junk"] = [object()] * 20
    assert numbers(read(frame, NUMBERED, 8)) == list(range(20))


def test_an_iterator_that_is_not_read_counts_as_an_epoch():
    """As with tf.data's own shuffle, so that a run that is resumed can pass over epochs."""
    table = numbered(0, 40)

    def epochs(dataset, passed_over):
        for _ in range(passed_over):
            iter(dataset)
        return [np.concatenate([f["dense_features"][:, 0] for f, _ in dataset]) for _ in range(3)]

    def make():
        return read(table, NUMBERED, 8, shuffle=True, seed=5)

    whole, resumed = epochs(make(), 0), epochs(make(), 1)
    np.testing.assert_array_equal(whole[1:], resumed[:2])
    assert len({tuple(epoch) for epoch in whole}) == 3
