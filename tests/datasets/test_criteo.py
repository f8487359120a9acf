import bz2
import gzip
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from tests.support import oracle
from tfrec_models.datasets import (
    DEFAULT_CAT_NAMES,
    DEFAULT_COLUMN_NAMES,
    DEFAULT_INT_NAMES,
    DEFAULT_LABEL_NAME,
    _text_lines,
    criteo_dense_min,
    criteo_tsv,
)

WHOLE = 2**32  # More than any 8-digit hexadecimal id: leaves ids as they are.


def line(label="0", ints=("3",) * 13, cats=("0000000a",) * 26):
    return "\t".join([label, *ints, *cats])


def write(path, lines, end="\n"):
    path.write_bytes("".join(text + end for text in lines).encode())
    return str(path)


def numbered(first, count):
    """Rows that carry their own number in int_0 and cat_25."""
    return [
        line(ints=(str(i),) + ("0",) * 12, cats=("",) * 25 + (format(i, "x"),))
        for i in range(first, first + count)
    ]


def row_numbers(dataset):
    return [i for x, _ in dataset for i in x["sparse_features"][:, 25].numpy().tolist()]


def error_of(path, **arguments):
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        list(criteo_tsv(path, 4, 10, **arguments))
    return str(caught.value).replace("\\'", "'")


def read_all(dataset):
    batches = [(x["dense_features"], x["sparse_features"], y) for x, y in dataset]
    return [np.concatenate(column) for column in zip(*batches, strict=True)]


@pytest.fixture(scope="module")
def torchrec_case():
    return oracle.index()["criteo_tsv_to_npys"]["tsv"], oracle.arrays("criteo_tsv_to_npys")


def test_column_names_are_torchrecs():
    """The label, 13 numbers and 26 categories, under TorchRec's names."""
    assert DEFAULT_LABEL_NAME == "label"
    assert (DEFAULT_INT_NAMES[0], DEFAULT_INT_NAMES[-1], len(DEFAULT_INT_NAMES)) == (
        "int_0",
        "int_12",
        13,
    )
    assert (DEFAULT_CAT_NAMES[0], DEFAULT_CAT_NAMES[-1], len(DEFAULT_CAT_NAMES)) == (
        "cat_0",
        "cat_25",
        26,
    )
    assert [DEFAULT_LABEL_NAME, *DEFAULT_INT_NAMES, *DEFAULT_CAT_NAMES] == DEFAULT_COLUMN_NAMES


def test_equals_torchrecs_tsv_to_npys(tmp_path, torchrec_case):
    """Log transform, hexadecimal ids, empty fields and labels are TorchRec's own numbers."""
    lines, expected = torchrec_case
    path = write(tmp_path / "day_0.tsv", lines)
    dense, sparse, labels = read_all(criteo_tsv(path, 3, WHOLE, dense_min=criteo_dense_min(path)))
    assert (dense.dtype, sparse.dtype, labels.dtype) == (np.float32, np.int64, np.float32)
    expected.compare("out/dense", dense, rtol=1e-6, atol=0)
    expected.compare("out/sparse", sparse, rtol=0, atol=0)
    expected.compare("out/labels", labels[:, None], rtol=0, atol=0)


def test_hashing_equals_torchrecs(tmp_path):
    """Ids modulo each table's rows are TorchRec's `hashes`, on the ids of its recorded batches."""
    name = "criteo_in_memory_batches"
    case, recorded = oracle.index()[name], oracle.arrays(name)
    ids = recorded["in/s0"]
    path = write(tmp_path / "a", [line(cats=[format(i, "08x") for i in row]) for row in ids])
    _, sparse, _ = read_all(criteo_tsv(path, 2, case["ctor"]["hashes"]))
    # TorchRec deals batches of 2 to 2 ranks in turn and lays the ids out feature by feature.
    for batch, name in enumerate(("rank0_drop0/0", "rank1_drop0/0", "rank0_drop0/1")):
        values = sparse[2 * batch : 2 * batch + 2].T.reshape(-1)
        recorded.compare(f"out/{name}/values", values, rtol=0, atol=0)


def test_hexadecimal_forms(tmp_path):
    """Short, long, empty and upper-case ids read as Python's int(text, 16) does."""
    texts = ["", "0", "f", "F", "10", "abc", "ABCDEF", "ffffffff", "00000001", "1234567"] + [
        "7"
    ] * 16
    path = write(tmp_path / "a", [line(cats=texts)])
    _, sparse, _ = read_all(criteo_tsv(path, 1, WHOLE))
    assert sparse[0].tolist() == [int(t, 16) if t else 0 for t in texts]


def test_integers(tmp_path):
    """Negative, large and empty integers go through log(v + 2 - dense_min)."""
    path = write(tmp_path / "a", [line(ints=["-2", "", "0", "65535"] + ["1"] * 9)])
    dense, _, _ = read_all(criteo_tsv(path, 1, 10, dense_min=-2))
    np.testing.assert_allclose(dense[0, :4], np.log([2, 4, 4, 65539]), rtol=1e-6)
    dense, _, _ = read_all(criteo_tsv(path, 1, 10))
    np.testing.assert_allclose(dense[0, :4], np.log([3, 5, 5, 65540]), rtol=1e-6)


def test_several_files_gzip_and_line_ends(tmp_path):
    """Files follow one another across batches; gzip is recognised whatever the file's name."""
    a = write(tmp_path / "a.tsv", numbered(0, 3))
    b = str(tmp_path / "b.gz")
    pathlib.Path(b).write_bytes(gzip.compress("\n".join(numbered(3, 4)).encode()))
    c = tmp_path / "c"
    c.write_bytes(gzip.compress("\n".join(numbered(7, 1)).encode()))
    d = write(tmp_path / "d.gz", numbered(8, 2), end="\r\n")
    dataset = criteo_tsv([a, b, c, d], 4, WHOLE)
    assert row_numbers(dataset) == list(range(10))
    assert [len(y) for _, y in dataset] == [4, 4, 2]


def test_splits_are_every_fifth_row_of_each_file(tmp_path):
    """Test rows are the fifth, tenth, ... of each file, and training rows all others."""
    files = [write(tmp_path / "a", numbered(0, 1203)), write(tmp_path / "b", numbered(2000, 7))]
    test = [i for i in range(1203) if i % 5 == 4] + [2004]
    train = [i for i in [*range(1203), *range(2000, 2007)] if i not in test]
    assert row_numbers(criteo_tsv(files, 100, WHOLE, split="test")) == test
    dataset = criteo_tsv(files, 100, WHOLE, split="train")
    assert row_numbers(dataset) == train
    assert {len(y) for _, y in dataset} == {100, len(train) % 100}
    assert row_numbers(criteo_tsv(files[1], 9, WHOLE, split="test", test_every=3)) == [2002, 2005]


def test_shuffling(tmp_path):
    """Shuffling keeps every row, differs between epochs and is fixed by the seed."""
    files = [write(tmp_path / "a", numbered(0, 30)), write(tmp_path / "b", numbered(30, 30))]
    make = lambda: criteo_tsv(files, 8, WHOLE, shuffle_buffer=60, seed=1)  # noqa: E731
    dataset = make()
    first, second = row_numbers(dataset), row_numbers(dataset)
    assert sorted(first) == sorted(second) == list(range(60))
    assert first != second
    assert row_numbers(make()) == first


def test_cycle_reads_files_in_turn(tmp_path, monkeypatch):
    """With a cycle of two, pieces of both files come in turn, each file in its own order."""
    monkeypatch.setattr(_text_lines, "_CHUNK", 1 << 13)
    files = [write(tmp_path / "a", numbered(0, 600)), write(tmp_path / "b", numbered(600, 600))]
    numbers = row_numbers(criteo_tsv(files, 512, WHOLE, cycle_length=2))
    assert [n for n in numbers if n < 600] == list(range(600))
    assert [n for n in numbers if n >= 600] == list(range(600, 1200))
    assert numbers.index(600) < 300
    assert numbers.index(599) > 900


def test_wrong_number_of_columns(tmp_path):
    """The error names file, line and count, and knows Criteo's files without labels."""
    path = write(tmp_path / "bad.tsv", [line()] * 6 + [line()[2:], line()])
    assert f"{path}, line 7, has 39 fields, expected 40. Repair or remove" in error_of(path)
    assert "without labels, such as Criteo's test file, apart" in error_of(path)
    path = write(tmp_path / "blank.tsv", [line(), "", line(), "x"])
    assert f"{path}, line 4, has 1 fields, expected 40" in error_of(path)


@pytest.mark.parametrize(
    ("text", "column", "value"),
    [
        (line(ints=("3",) * 12 + ("3.5",)), "int_12", "must hold an integer, received '3.5'"),
        (line(ints=("x",) + ("3",) * 12), "int_0", "must hold an integer, received 'x'"),
        (line(ints=("9" * 19,) + ("3",) * 12), "int_0", f"an integer, received '{'9' * 19}'"),
        (line(cats=("a",) * 25 + ("xyz",)), "cat_25", "of 1 to 8 digits, received 'xyz'"),
        (line(cats=("123456789",) + ("a",) * 25), "cat_0", "digits, received '123456789'"),
        (line(cats=("-1",) + ("a",) * 25), "cat_0", "must hold hexadecimal ids of 1 to 8 digits"),
        (line(label="2"), "label", "must hold 0 or 1, received 2. Repair or remove the line"),
        (line(label=""), "label", "must hold 0 or 1, received an empty field"),
        (line(ints=("1\0",) + ("3",) * 12), "int_0", "has a NUL byte: the file is damaged"),
    ],
)
def test_unreadable_numbers(tmp_path, text, column, value):
    """The error names file, line, column and what stands there."""
    good = write(tmp_path / "good.tsv", [line()] * 3)
    bad = write(tmp_path / "bad.tsv", [line()] * 5 + [text])
    message = error_of([good, bad], shuffle_buffer=20 if column == "label" else 0)
    assert f"{bad}, line 6, " in message
    assert value in message
    assert "NUL" in value or f"column '{column}': " in message


def test_line_numbers_count_whole_file_in_a_split(tmp_path):
    """Line numbers are the file's own, also past the first block and within a split."""
    path = write(tmp_path / "bad.tsv", [line()] * 1000 + [line(label="?")])
    assert f"{path}, line 1001, column 'label': must hold an integer, received '?'" in error_of(
        path, split="train"
    )


def test_integer_below_dense_min(tmp_path):
    """An integer whose logarithm is undefined is refused with the way to find the minimum."""
    path = write(tmp_path / "a", [line(), line(ints=("1",) * 4 + ("-9",) + ("2",) * 8)])
    message = error_of(path)
    assert f"{path}, line 2, column 'int_4': holds -9, below dense_min=-3" in message
    assert "dense_min=criteo_dense_min(filenames)" in message
    assert criteo_dense_min(path) == -9
    assert list(criteo_tsv(path, 2, 10, dense_min=criteo_dense_min(path)))


def test_dense_min_counts_missing_as_zero(tmp_path):
    """The minimum is taken after empty fields became 0, over all files."""
    a = write(tmp_path / "a", [line()])
    b = write(tmp_path / "b", [line(ints=("",) + ("5",) * 12)])
    assert criteo_dense_min(a) == 3
    assert criteo_dense_min([a, b]) == 0


def test_files_that_cannot_be_read(tmp_path):
    """Missing files, no files and files without rows are told apart; a folder is its files."""
    empty = write(tmp_path / "empty", [])
    short = write(tmp_path / "short", [line()] * 4)
    with pytest.raises(FileNotFoundError, match="No such file, folder or glob: .*nowhere"):
        criteo_tsv([short, str(tmp_path / "nowhere")], 2, 10)
    with pytest.raises(ValueError, match="There is no file to read"):
        criteo_tsv([], 2, 10)
    assert sum(len(labels) for _, labels in criteo_tsv(tmp_path, 2, 10)) == 4
    with pytest.raises(ValueError, match="No rows in split 'all' of .*empty"):
        criteo_tsv(empty, 2, 10)
    with pytest.raises(ValueError, match="No rows in split 'test'.*at least `test_every` = 5 rows"):
        criteo_tsv(short, 2, 10, split="test")
    with pytest.raises(ValueError, match="No rows in .*empty"):
        criteo_dense_min(empty)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, received 0"),
        ({"test_every": 1}, "test_every must be an integer of at least 2, received 1"),
        ({"shuffle_buffer": -1}, "shuffle_buffer must be an integer of at least 0"),
        ({"cycle_length": 0}, "cycle_length must be an integer of at least 1"),
        ({"dense_min": 0.5}, "dense_min must be an integer, received 0.5"),
        ({"labels": "yes"}, "labels must be True, False or None, received 'yes'"),
        ({"split": "dev"}, "split must be one of .*received 'dev'"),
        ({"num_embeddings": 0}, "rows of tables must be one positive integer, or one for each"),
        ({"num_embeddings": [5] * 25}, "each of the 26 categorical features"),
        ({"num_embeddings": 2.5}, "received 2.5"),
    ],
)
def test_argument_errors(tmp_path, arguments, message):
    """Each bad argument is refused by name."""
    path = write(tmp_path / "a", [line()])
    with pytest.raises(ValueError, match=message):
        criteo_tsv(path, **{"batch_size": 2, "num_embeddings": 10, **arguments})


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
@pytest.mark.parametrize("share", [0.1, 0.6, 0.9, 0.9999])
def test_compressed_file_cut_off(tmp_path, compress, share):
    """Wherever a download broke off, the error says so and names the file; no short epoch."""
    data = compress("\n".join(numbered(0, 2000)).encode())
    path = tmp_path / "day_0"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=f"{path} is cut off"):
        list(criteo_tsv(path, 64, 10))
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=f"{path} is cut off"):
        criteo_dense_min(path)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_damaged_compressed_file(tmp_path, compress):
    """Bytes overwritten in the middle: the error names the file, not a line of it."""
    data = bytearray(compress("\n".join(numbered(0, 2000)).encode()))
    data[len(data) // 2 : len(data) // 2 + 3] = b"\0\0\0"
    path = tmp_path / "day_0.gz"
    path.write_bytes(data)
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=f"{path} is damaged"):
        list(criteo_tsv(path, 64, 10))


def test_bzip2_and_gzip_of_several_members(tmp_path):
    """bzip2 is recognised by its content; members appended to a gzip file belong to it."""
    a, b = tmp_path / "a", tmp_path / "b.gz"
    a.write_bytes(bz2.compress("\n".join(numbered(0, 1000)).encode()))
    parts = ["\n".join(numbered(first, 700)) + "\n" for first in (1000, 1700)]
    b.write_bytes(b"".join(gzip.compress(part.encode()) for part in parts))
    plain = write(tmp_path / "c", numbered(2400, 600), end="\r\n")
    assert row_numbers(criteo_tsv([a, b, plain], 100, WHOLE)) == list(range(3000))
    half = criteo_tsv([a, b, plain], 100, WHOLE, split="test", test_every=2)
    assert row_numbers(half) == list(range(1, 3000, 2))


def test_unknown_compression(tmp_path):
    """zip, Parquet and others are named before a line is blamed."""
    for start, name in ((b"PK\x03\x04", "zip"), (b"PAR1", "Parquet"), (b"7z\xbc\xaf", "7-Zip")):
        path = tmp_path / "day_0"
        path.write_bytes(start + b"\0" * 50)
        with pytest.raises(ValueError, match=f"{path} must be text.*received {name}"):
            criteo_tsv(path, 2, 10, labels=True)


def test_file_without_labels(tmp_path):
    """Criteo's test file reads as the same rows with labels do, its labels are NaN."""
    rows = numbered(0, 5)
    with_labels = write(tmp_path / "train.txt", rows)
    without = write(tmp_path / "test.txt", [row.partition("\t")[2] for row in rows])
    dense, sparse, _ = read_all(criteo_tsv(with_labels, 2, WHOLE))
    for labels in (None, False):
        result = read_all(criteo_tsv(without, 2, WHOLE, labels=labels))
        np.testing.assert_array_equal(result[0], dense)
        np.testing.assert_array_equal(result[1], sparse)
        np.testing.assert_array_equal(result[2], np.full(5, np.nan, np.float32))
    assert criteo_dense_min(without) == criteo_dense_min(with_labels) == 0


def test_files_with_and_without_labels_are_told_apart(tmp_path):
    """A file of the other kind is refused, whether the kind was declared or read."""
    with_labels = write(tmp_path / "a", [line()])
    without = write(tmp_path / "b", [line().partition("\t")[2]])
    message = error_of(without, labels=True)
    assert f"{without}, line 1, has 39 fields, expected 40" in message
    assert "A line has a label, 13 integers" in message
    assert "has 40 fields, expected 39" in error_of(with_labels, labels=False)
    assert f"{with_labels}, line 1, has 40 fields" in error_of([without, with_labels])
    assert f"{without}, line 1, has 39 fields" in error_of([with_labels, without])


def test_dense_min_of_one_is_log1p_of_the_positive_part(tmp_path):
    """log(max(v, 0) + 1), as facebookresearch/dlrm has it."""
    path = write(tmp_path / "a", [line(ints=["-2", "", "0", "7"] + ["1"] * 9)])
    dense, _, _ = read_all(criteo_tsv(path, 1, 10, dense_min=1))
    np.testing.assert_allclose(dense[0, :5], np.log([1, 1, 1, 8, 2]), rtol=1e-6)
