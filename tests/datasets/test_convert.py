"""Logs converted to ready ids: the same batches, what is rejected, kills and restarts."""

import dataclasses
import gzip
import hashlib
import json
import os
import pathlib
import random
import select
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tests.datasets import log_files
from tests.datasets.every_field import everything, log
from tfrec_models.datasets import (
    Dense,
    Schema,
    Sparse,
    _convert_part,
    _parts,
    _text_lines,
    convert,
    criteo_schema,
    read,
)
from tfrec_models.datasets import __main__ as command
from tfrec_models.datasets._listing import list_files
from tfrec_models.datasets._text_lines import count_lines, lines_of, rows_of

SIMPLE = Schema("y", [Dense("x")], [Sparse("n", ids="integer", num_ids=100)])


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Parts and pieces of them so small that a few lines make several."""
    monkeypatch.setattr(_parts, "PART_BYTES", 4000)
    monkeypatch.setattr(_text_lines, "_CHUNK", 1000)


def converted(source, schema, out, **arguments):
    """The manifest of a conversion in this process."""
    return convert(source, schema, out, **{"num_processes": 1, "progress": False, **arguments})


def flat(value):
    """The arrays of nested tuples, dicts and ragged tensors."""
    if isinstance(value, dict):
        return [array for name in sorted(value) for array in flat(value[name])]
    if isinstance(value, tuple):
        return [array for part in value for array in flat(part)]
    if hasattr(value, "nested_row_splits"):
        return [value.flat_values.numpy(), *(s.numpy() for s in value.nested_row_splits)]
    return [value.numpy()]


def check_same(first, second):
    """Two datasets give the same batches, of the same signature; returns how many."""
    assert first.element_spec == second.element_spec
    count = 0
    for one, other in zip(first, second, strict=True):
        for array, of_other in zip(flat(one), flat(other), strict=True):
            np.testing.assert_array_equal(array, of_other)
        count += 1
    return count


def check_reads_alike(source, schema, out, batch_size=64):
    """What was converted reads as the source does."""
    ready = Schema.load(pathlib.Path(out, "schema.yaml"))
    assert ready == schema.prepared()
    assert ready.collection(4).tables == schema.collection(4).tables
    read_out = read(out, ready, batch_size)
    assert check_same(read(source, schema, batch_size), read_out) > 1


def rejected_rows(out):
    """The lines of the file of rejected rows."""
    text = pathlib.Path(out, "rejected.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def contents(folder):
    """The bytes of all files of a folder, hidden ones too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in pathlib.Path(folder).rglob("*")
        if path.is_file()
    }


def test_every_kind_of_column_reads_alike(tmp_path):
    """Each transform and kind of id, lists, weights, crosses and dropped nulls, from Parquet."""
    table = log(1000)
    nulls = pa.array([None if n % 7 == 0 else v for n, v in enumerate(table["v"].to_pylist())])
    table = table.set_column(table.column_names.index("v"), "v", nulls)
    source = tmp_path / "log.parquet"
    pq.write_table(table, source, row_group_size=90)
    schema = everything()
    schema.fit(source, progress=False)
    manifest = converted(source, schema, tmp_path / "out")
    assert manifest["rows"] == 1000
    assert len(manifest["files"]) > 3
    check_reads_alike(source, schema, tmp_path / "out")


def test_columns_of_the_same_name(tmp_path):
    """A column that is an id, a number and the label at once keeps apart in what is written."""
    schema = Schema("n", [Dense("n")], [Sparse("n", ids="hash", num_ids=7)])
    pq.write_table(pa.table({"n": np.arange(300)}), tmp_path / "log.parquet")
    converted(tmp_path / "log.parquet", schema, tmp_path / "out")
    assert pq.read_schema(tmp_path / "out" / "part-00000.parquet").names == ["n_", "n__", "n"]
    check_reads_alike(tmp_path / "log.parquet", schema, tmp_path / "out")


def test_single_values_that_may_be_missing_are_lists_in_each_file(tmp_path):
    """A part without a null has lists of one, as one with a null has lists of none."""
    values = [*range(300), None, *range(300)]
    pq.write_table(pa.table({"n": values}), tmp_path / "log.parquet", row_group_size=300)
    schema = Schema(None, [], [Sparse("n", ids="integer", num_ids=300, missing="drop")])
    converted(tmp_path / "log.parquet", schema, tmp_path / "out")
    check_reads_alike(tmp_path / "log.parquet", schema, tmp_path / "out")


def rows_of_text(count):
    """Rows for SIMPLE, with lists in `l`."""
    return [
        {"y": float(n % 2), "x": n / 8, "n": n % 100, "l": ["a", "bb"][: n % 3]}
        for n in range(count)
    ]


LISTS = dataclasses.replace(
    SIMPLE, sparse=[*SIMPLE.sparse, Sparse("l", ids="hash", num_ids=50, separator="|")]
)


@pytest.mark.parametrize("ending", ["csv", "tsv", "csv.gz", "tfrecord"])
def test_each_format_reads_alike(tmp_path, ending):
    """Text cut into parts, text that is compressed and examples give the rows in order."""
    rows, names = rows_of_text(700), ["y", "x", "n", "l"]
    source = tmp_path / f"log.{ending}"
    if ending == "tfrecord":
        log_files.write_tfrecord(source, rows, names)
    else:
        log_files.write_csv(source, rows, names, "\t" if ending == "tsv" else ",")
    manifest = converted(source, LISTS, tmp_path / "out")
    assert (manifest["rows"], manifest["rejected"]) == (700, 0)
    assert len(manifest["files"]) == (3 if ending in ("csv", "tsv") else 1)
    check_reads_alike(source, LISTS, tmp_path / "out")


def test_partitions_and_several_files(tmp_path):
    """Columns that folders give are written; files come in their order."""
    for day in (1, 2):
        folder = tmp_path / "log" / f"day={day}"
        folder.mkdir(parents=True)
        log_files.write_csv(folder / "a.csv", rows_of_text(100), ["y", "x", "n", "l"])
    schema = dataclasses.replace(SIMPLE, dense=[Dense("x"), Dense("day")])
    converted(tmp_path / "log", schema, tmp_path / "out")
    check_reads_alike(tmp_path / "log", schema, tmp_path / "out")


def test_files_without_a_row(tmp_path):
    """They become a file without a row, that reads as one."""
    for name, text in (("header.csv", "y,x,n\n"), ("nothing.csv", "")):
        (tmp_path / name).write_text(text)
        out = tmp_path / f"out_{name}"
        assert converted(tmp_path / name, SIMPLE, out)["rows"] == 0
        assert list(read(out, Schema.load(out / "schema.yaml"), 4)) == []


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n\r\n"])
@pytest.mark.parametrize("size", [3, 40, 1000])
def test_parts_of_text_have_each_line_once(tmp_path, end, size, monkeypatch):
    """Wherever a file is cut, and whatever is read at a time."""
    rng = random.Random(0)
    lines = [b"x" * rng.randrange(30) for _ in range(60)]
    text = b"\n".join(lines) + end
    path = tmp_path / "log.csv"
    path.write_bytes(text)
    [file] = list_files(path)
    monkeypatch.setattr(_text_lines, "_CHUNK", size)
    each = [line + b"\n" for line in text.removesuffix(b"\n").split(b"\n")]
    each[-1] = each[-1] if text.endswith(b"\n") else each[-1][:-1]
    begins = np.cumsum([0, *map(len, each)])
    for step in (1, 13, 64, 5000):
        for start in range(0, len(text), step):
            stop = min(start + step, len(text))
            first, last = np.searchsorted(begins, [start, stop])
            assert b"".join(lines_of(file, start, stop)) == b"".join(each[first:last])
            if first < len(each) and start % 7 == 0:
                assert count_lines(file, start) == first


def test_a_line_without_end_is_refused(tmp_path, monkeypatch):
    """A file of old Macintosh's line ends is not read into memory as one line."""
    monkeypatch.setattr(_text_lines, "_LONGEST_LINE", 2000)
    (tmp_path / "log.csv").write_text("y,x,n\n" + "1,2,3\r" * 2000)
    with pytest.raises(ValueError, match=r"log.csv: a line is longer than .* end in a line feed"):
        converted(tmp_path / "log.csv", SIMPLE, tmp_path / "out")


BAD_LINES = {
    40: ("1,2", "has 2 fields, expected 3"),
    41: ("1,2,3,4", "has 4 fields, expected 3"),
    300: (
        "1,abc,3",
        "column 'x': must hold a number, received 'abc'",
    ),
    301: ("", None),
    302: ("1,2,100", "column 'n': must hold ids from 0 to 99, received 100"),
    650: (",2,3", "column 'y': is null or NaN; declare a fill, or repair the row."),
    651: ("1,2,\x00", None),
}


def write_bad(path):
    """Lines for SIMPLE, some of which are not as declared; returns the good ones."""
    lines, good = ["y,x,n"], ["y,x,n"]
    for n in range(2, 900):
        line = BAD_LINES[n][0] if n in BAD_LINES else f"{n % 2},{n / 8},{n % 100}"
        lines.append(line)
        good += [line] if n not in BAD_LINES else []
    path.write_text("\n".join(lines) + "\n")
    return "\n".join(good) + "\n"


def test_rejected_lines(tmp_path):
    """Line numbers count through all parts; text and reason are kept, the other rows written."""
    source, good = tmp_path / "log.csv", tmp_path / "good.csv"
    good.write_text(write_bad(source))
    manifest = converted(source, SIMPLE, tmp_path / "out", max_rejected=0.01)
    assert len(manifest["files"]) > 2
    rejected = rejected_rows(tmp_path / "out")
    # An empty line is no row.
    numbers = [n for n in BAD_LINES if n != 301]
    assert sorted(row["line"] for row in rejected) == numbers
    assert manifest["rejected"] == len(numbers)
    for row in rejected:
        text, reason = BAD_LINES[row["line"]]
        assert (row["file"], row["text"]) == (str(source), text)
        assert row["reason"].startswith(reason or "has a NUL byte")
    ready = Schema.load(tmp_path / "out" / "schema.yaml")
    assert check_same(read(good, SIMPLE, 64), read(tmp_path / "out", ready, 64)) > 1


def test_more_rejected_lines_than_allowed(tmp_path):
    """Stops with the first of them, in its file; what is allowed later continues."""
    source, out = tmp_path / "log.csv", tmp_path / "out"
    write_bad(source)
    with pytest.raises(ValueError) as caught:
        converted(source, SIMPLE, out)
    assert str(caught.value).startswith(f"{source}, line 40: has 2 fields, expected 3. More rows")
    assert "than max_rejected=0.0 allows; repair the rows, or allow more" in str(caught.value)
    with pytest.raises(ValueError, match="holds a conversion that is not finished; run convert"):
        read(out, SIMPLE.prepared(), 4)
    with pytest.raises(ValueError, match="rejected. More rows are rejected than max_rejected=0.00"):
        converted(source, SIMPLE, out, max_rejected=0.002)
    assert converted(source, SIMPLE, out, max_rejected=0.01)["rejected"] == 6


UNCLOSED = "has a quote that is not closed in it"


def test_lines_that_do_not_stay_one_row(tmp_path, monkeypatch):
    """A quote without its other one takes no other line with it; marks and bytes stay in theirs."""
    monkeypatch.setattr(_parts, "PART_BYTES", 1 << 20)
    schema = Schema("y", [Dense("x")], [Sparse("t", ids="hash", num_ids=9)])
    bad = {
        3: (b'1,2,"', UNCLOSED),
        5: (b'0,"3,a', "has 2 fields, expected 3"),
        6: (b"\xff,1", "has 2 fields, expected 3"),
        8: (b"\xef\xbb\xbf1,2,b", "column 'y': must hold a number"),
        9: (b"1,2,\xff", "column 't': must hold text in UTF-8, received invalid UTF8 data"),
        11: (b"1,2,a\r0,3,b", "has a carriage return without a line feed"),
        12: (b'1,2,"b', UNCLOSED),
    }
    good = {4: b'0,1,"a ""b"", c"', 7: b'1,4,5" pipe', 10: b"0,5,\xc3\xa9"}
    of_line = {n: text for n, (text, _) in bad.items()} | good
    lines = [b"\xef\xbb\xbfy,x,t", b"1,0,a", *(of_line[n] for n in sorted(of_line))]
    (tmp_path / "log.csv").write_bytes(b"\n".join(lines))
    converted(tmp_path / "log.csv", schema, tmp_path / "out", max_rejected=1)
    rejected = rejected_rows(tmp_path / "out")
    assert [row["line"] for row in rejected] == list(bad)
    for row in rejected:
        assert row["reason"].startswith(bad[row["line"]][1])
    (tmp_path / "good.csv").write_bytes(b"\n".join([*lines[:2], *good.values()]))
    ready = Schema.load(tmp_path / "out" / "schema.yaml")
    assert check_same(read(tmp_path / "good.csv", schema, 2), read(tmp_path / "out", ready, 2)) == 2


def test_a_file_that_changes_while_it_is_converted(tmp_path, monkeypatch):
    """It is named, not converted as far as it was there."""
    source = tmp_path / "log.csv"
    log_files.write_csv(source, rows_of_text(700), ["y", "x", "n"])

    def lines_then_more(*arguments):
        yield from rows_of(*arguments)
        with open(source, "a") as file:
            file.write("1,2,3\n")

    monkeypatch.setattr(_convert_part, "rows_of", lines_then_more)
    with pytest.raises(ValueError, match=r"log.csv changed while it was read: \d+ bytes when it"):
        converted(source, SIMPLE, tmp_path / "out")


def test_the_line_of_a_later_part_is_named(tmp_path):
    """Also where the parts before are converted elsewhere."""
    source = tmp_path / "log.csv"
    source.write_text("y,x,n\n" + "1,2,3\n" * 2000 + "1,2,x\n" + "1,2,3\n" * 50)
    with pytest.raises(
        ValueError, match=r"log.csv, line 2002: column 'n': must hold an integer, re"
    ):
        converted(source, SIMPLE, tmp_path / "out")


def test_rejected_rows_of_parquet(tmp_path):
    """Rows and their values; a column of another type is no matter of its rows."""
    table = pa.table({"y": [0, 1, None, 1], "x": [1.0, 2.0, 3.0, 4.0], "n": [0, 100, 2, 3]})
    pq.write_table(table, tmp_path / "log.parquet", row_group_size=2)
    manifest = converted(tmp_path / "log.parquet", SIMPLE, tmp_path / "out", max_rejected=0.5)
    assert manifest["rows"] == 2
    rejected = rejected_rows(tmp_path / "out")
    assert [row["row"] for row in rejected] == [1, 2]
    assert rejected[0]["values"] == {"y": 1, "x": 2.0, "n": 100}
    assert rejected[1]["reason"].startswith("column 'y': is null or NaN")
    texts = table.set_column(1, "x", [["a", "b", "c", "d"]])
    pq.write_table(texts, tmp_path / "texts.parquet")
    with pytest.raises(ValueError, match=r"column 'x': must hold a number in each row, received s"):
        converted(tmp_path / "texts.parquet", SIMPLE, tmp_path / "out2", max_rejected=1)


@pytest.mark.parametrize("ending", ["csv.gz", "parquet", "tfrecord"])
def test_damaged_files_are_no_rejected_rows(tmp_path, ending):
    """A file that is cut off ends the conversion, whatever share may be rejected."""
    source, rows, names = tmp_path / f"log.{ending}", rows_of_text(300), ["y", "x", "n"]
    if ending == "parquet":
        types = {"y": pa.float32(), "x": pa.float32(), "n": pa.int64()}
        log_files.write_parquet(source, rows, types, 100)
    elif ending == "tfrecord":
        log_files.write_tfrecord(source, rows, names)
    else:
        log_files.write_csv(source, rows, names)
    source.write_bytes(source.read_bytes()[:-20])
    with pytest.raises(ValueError, match=rf"log.{ending}.* is cut off"):
        converted(source, SIMPLE, tmp_path / "out", max_rejected=1)


@pytest.mark.parametrize(("old", "new"), [(b",", b"x"), (b"\n", b'"'), (b"5", b"x")])
def test_flipped_byte_in_a_gzip_file(tmp_path, old, new):
    """Other text than was written: the file's checksum is wrong, and no line is blamed."""
    source = tmp_path / "log.csv.gz"
    text = b"y,x,n\n" + b"".join(b"1,2.5,%d\n" % (i % 7) for i in range(3000))
    # Stored as it is, so that any byte of the text may be another.
    data = bytearray(gzip.compress(text, compresslevel=0))
    data[data.index(old, 100)] = new[0]
    source.write_bytes(data)
    for call in (
        lambda: list(read(source, SIMPLE, 64)),
        lambda: converted(source, SIMPLE, tmp_path / "out"),
    ):
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError)) as caught:
            call()
        assert "log.csv.gz is damaged: its compressed data cannot be unpacked" in str(caught.value)
        assert "line" not in str(caught.value).split("Fetch the file again")[0]


def test_goes_on_where_it_was(tmp_path):
    """Parts that are finished stay; remains are removed; the result is the same to the byte."""
    source, out, again = tmp_path / "log.csv", tmp_path / "out", tmp_path / "again"
    write_bad(source)
    converted(source, SIMPLE, out, max_rejected=0.01)
    with pytest.raises(ValueError, match="More rows are rejected"):
        converted(source, SIMPLE, again, max_rejected=0.004)
    finished = again / "part-00000.parquet"
    written = finished.stat().st_mtime_ns
    (again / ".part-00001-0123.parquet").write_bytes(b"half")
    os.truncate(again / "part-00001.parquet", 10)
    (again / ".schema.yaml-abc").mkdir()
    converted(source, SIMPLE, again, max_rejected=0.01)
    assert finished.stat().st_mtime_ns == written
    assert contents(out) == contents(again)
    # A complete one is left as it is.
    manifest = json.loads((out / "manifest.json").read_text())
    assert converted(source, SIMPLE, out) == manifest
    assert finished.stat().st_mtime_ns == written


def test_checksums_of_the_manifest(tmp_path):
    """Each file's size, rows and SHA-256, and those of the schemas."""
    source, out = tmp_path / "log.csv", tmp_path / "out"
    log_files.write_csv(source, rows_of_text(700), ["y", "x", "n"])
    manifest = converted(source, SIMPLE, out)
    for file in manifest["files"]:
        data = (out / file["name"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])
        assert pq.read_metadata(out / file["name"]).num_rows == file["rows"]
    for name, sha256 in manifest["schemas"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == sha256
    assert Schema.load(out / "source_schema.yaml") == SIMPLE
    assert manifest["conversion"]["sources"][0]["bytes"] == source.stat().st_size
    assert manifest["conversion"]["versions"]["pyarrow"] == pa.__version__


def test_folders_with_something_else_in_them(tmp_path):
    """Another source, schema or file is never mixed with what is there."""
    source, out = tmp_path / "log.csv", tmp_path / "out"
    log_files.write_csv(source, rows_of_text(10), ["y", "x", "n"])
    converted(source, SIMPLE, out)
    other = dataclasses.replace(SIMPLE, dense=[Dense("x", fill=0)])
    with pytest.raises(ValueError, match=r"out holds another conversion \(schema_sha256: "):
        converted(source, other, out)
    log_files.write_csv(source, rows_of_text(11), ["y", "x", "n"])
    with pytest.raises(ValueError, match=r"holds another conversion \(sources: .* now\). Give"):
        converted(source, SIMPLE, out)
    with pytest.raises(ValueError, match=r"received one with \['log.csv', 'out'\]. Give another"):
        converted(source, SIMPLE, tmp_path / "." / "")
    with pytest.raises(ValueError, match="out must be a folder apart from the source, received"):
        converted(tmp_path, SIMPLE, tmp_path / "within")
    for name in ("manifest.json", ".conversion/conversion.json"):
        path = tmp_path / "damaged" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"version": 1, ')
        with pytest.raises(ValueError, match=f"{name} is damaged: Expecting"):
            converted(source, SIMPLE, tmp_path / "damaged")
        path.unlink()


def test_a_file_of_a_conversion_that_is_missing_is_named(tmp_path):
    """A folder that lost a part does not read as a shorter log."""
    source, out = tmp_path / "log.csv", tmp_path / "out"
    log_files.write_csv(source, rows_of_text(700), ["y", "x", "n"])
    converted(source, SIMPLE, out)
    assert len(list(read(f"{out}/*.parquet", SIMPLE.prepared(), 700))) == 1
    (out / "manifest.json").rename(tmp_path / "manifest.json")
    (out / ".conversion").mkdir()
    for path in (out, f"{out}/*.parquet"):
        with pytest.raises(ValueError, match="out holds a conversion that is not finished"):
            read(path, SIMPLE.prepared(), 4)
    (out / ".conversion").rmdir()
    (tmp_path / "manifest.json").rename(out / "manifest.json")
    (out / "part-00001.parquet").unlink()
    with pytest.raises(ValueError, match=r"part-00001.parquet must have \d+ bytes, as manifest.js"):
        read(out, SIMPLE.prepared(), 4)


def test_a_full_disk(tmp_path, monkeypatch):
    """The error of the system is raised, and what is finished stays and counts."""
    source, out = tmp_path / "log.csv", tmp_path / "out"
    log_files.write_csv(source, rows_of_text(700), ["y", "x", "n"])
    write_table = pq.ParquetWriter.write_table

    def full(writer, table, *arguments, **options):
        if table["x"][0].as_py() > 0:
            raise OSError(28, "No space left on device")
        write_table(writer, table, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(pq.ParquetWriter, "write_table", full)
        with pytest.raises(OSError, match="No space left on device"):
            converted(source, SIMPLE, out)
    assert sorted(contents(out)) == [
        ".conversion/00000.json",
        ".conversion/conversion.json",
        "part-00000.parquet",
    ]
    assert converted(source, SIMPLE, out)["rows"] == 700


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_processes": 0}, "num_processes must be a positive integer, received 0"),
        ({"max_rejected": 2}, "max_rejected must be a share of the rows, from 0 to 1, received 2"),
        ({"format": "orc"}, "format must be one of"),
        ({"runner_options": ["--workers=2"]}, r"runner_options go with runner, received \['--wor"),
    ],
)
def test_argument_errors(tmp_path, arguments, message):
    """Each bad argument is refused by name, before anything is written."""
    (tmp_path / "log.csv").write_text("y,x,n\n1,2,3\n")
    with pytest.raises(ValueError, match=message):
        converted(tmp_path / "log.csv", SIMPLE, tmp_path / "out", **arguments)
    with pytest.raises(TypeError, match="source must be paths of files"):
        converted(pa.table({"y": [1]}), SIMPLE, tmp_path / "out")
    unfitted = Schema(None, [Dense("x", transform="standardize")])
    with pytest.raises(ValueError, match="'x' is learned from the data, and is not yet"):
        converted(tmp_path / "log.csv", unfitted, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command(tmp_path, capsys):
    """Exit code, summary, progress and message."""
    source, out = tmp_path / "log.csv", str(tmp_path / "out")
    write_bad(source)
    SIMPLE.save(tmp_path / "s.yaml")
    arguments = ["convert", str(source), "--schema", str(tmp_path / "s.yaml"), "--out", out]
    assert command.main([*arguments, "--processes", "1"]) == 1
    assert f"error: {source}, line 40: has 2 fields" in capsys.readouterr().err
    assert command.main([*arguments, "--processes", "1", "--max-rejected", "0.01"]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{out}: 891 rows in 3 files, 6 rejected\n"
    assert "convert: " in printed.err
    assert "100%, 0 s left" in printed.err


# Killed between the second part and the record of it.
KILLED = """
import os, signal, sys
from tfrec_models.datasets import Schema, _parts, convert
_parts.PART_BYTES = 20_000
rename, parts = os.replace, []

def replace(source, target):
    rename(source, target)
    parts.extend(name for name in [os.path.basename(target)] if name.startswith("part-"))
    if len(parts) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

os.replace = replace
convert(sys.argv[1], Schema.load(sys.argv[2]), sys.argv[3], num_processes=2, progress=False)
"""


def test_killed_and_started_again(tmp_path, monkeypatch):
    """In two processes, killed in the middle: the files of an undisturbed run of one process."""
    monkeypatch.setattr(_parts, "PART_BYTES", 20_000)
    source, rng = tmp_path / "day_0", np.random.default_rng(0)
    lines = [
        "\t".join(["1", *map(str, ints), *(f"{i:x}" for i in ids)])
        for ints, ids in zip(
            rng.integers(0, 99, (3000, 13)), rng.integers(0, 2**32, (3000, 26)), strict=True
        )
    ]
    source.write_text("\n".join(lines))
    schema, out = criteo_schema(1000), tmp_path / "out"
    schema.save(tmp_path / "s.yaml")
    root = str(pathlib.Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(source), str(tmp_path / "s.yaml"), str(out)],
        env={**os.environ, "PYTHONPATH": root, "TF_CPP_MIN_LOG_LEVEL": "3"},
        start_new_session=True,
    )
    assert process.wait() == -signal.SIGKILL
    assert (out / ".conversion").exists()
    manifest = converted(source, schema, out, num_processes=2)
    assert len(manifest["files"]) > 6
    converted(source, schema, tmp_path / "expected")
    assert contents(out) == contents(tmp_path / "expected")
    # Those that were started by the one that was killed have its session.
    for left in _processes_of(process.pid):
        ended, _, _ = select.select([left], [], [], 60)
        os.close(left)
        assert ended


def test_a_process_that_ends(tmp_path, monkeypatch):
    """Its code is told, as after a lack of memory, and what is finished stays."""
    source, out = tmp_path / "log.csv", tmp_path / "out"
    log_files.write_csv(source, rows_of_text(4000), ["y", "x", "n"])
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/bin/false")
        with pytest.raises(RuntimeError, match=r"part \d+ ended with code 1 .*num_processes"):
            converted(source, SIMPLE, out, num_processes=2)
    assert converted(source, SIMPLE, out)["rows"] == 4000


def test_on_beam(tmp_path):
    """Its local runner with two processes: the files that a conversion without it writes."""
    pytest.importorskip("apache_beam")
    source, out = tmp_path / "log.csv", tmp_path / "out"
    log_files.write_csv(source, rows_of_text(2000), ["y", "x", "n"])
    options = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
    beam = {"runner": "DirectRunner", "runner_options": options}
    converted(source, SIMPLE, tmp_path / "expected")
    converted(source, SIMPLE, out, **beam)
    assert contents(out) == contents(tmp_path / "expected")
    write_bad(source)
    with pytest.raises(ValueError, match=r"log.csv, line 40: has 2 fields, expected 3. More rows"):
        converted(source, SIMPLE, tmp_path / "bad", **beam)


def test_without_beam(tmp_path, monkeypatch):
    """What is missing is named, with the command that installs it, and nothing is written."""
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    (tmp_path / "log.csv").write_text("y,x,n\n1,2,3\n")
    with pytest.raises(ModuleNotFoundError, match="'DirectRunner' needs Apache Beam: .*pip"):
        converted(tmp_path / "log.csv", SIMPLE, tmp_path / "out", runner="DirectRunner")
    assert not (tmp_path / "out").exists()


def _processes_of(session):
    """Yields a descriptor of each process of a session, which can be read once it has ended."""
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                yield os.pidfd_open(int(stat.parent.name))
        except OSError:
            # It has ended meanwhile.
            continue
