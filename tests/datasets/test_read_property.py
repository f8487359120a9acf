"""Any log reads as plain Python says, whatever file it is in."""

import tempfile

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.datasets import log_files
from tfrec_models.datasets import Dense, Schema, Sparse, convert, read

SETTINGS = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
INTEGERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.sampled_from([0, -1, 2**24 + 1, 2**53 + 1, 2**63 - 1])
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=70)
# What a text file can hold between separators without quotes.
PLAIN = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters='|,"'),
    min_size=1,
    max_size=40,
)
FLOATS = st.floats(-1e6, 1e6, width=32)


@st.composite
def columns(draw, number, texts, separator):
    """A sparse column, its Arrow type and a strategy for its values."""
    name = f"s{number}"
    is_text = draw(st.booleans())
    values, kind = (texts, pa.string()) if is_text else (INTEGERS, pa.int64())
    missing = draw(st.sampled_from([None, "drop", 0]))
    # How a null inside a list looks in text or in an example is not defined.
    nullable = st.none() | values if missing is not None else values
    ids = draw(st.sampled_from(["hash", "vocabulary"]))
    arguments = {"ids": ids, "missing": missing}
    if ids == "hash":
        arguments["num_ids"] = draw(st.integers(1, 2**40))
    else:
        arguments["min_count"] = draw(st.integers(1, 3))
    if draw(st.booleans()):
        length = draw(st.none() | st.integers(1, 4))
        arguments |= {"is_list": True, "max_length": length}
        if separator is not None:
            arguments["separator"] = separator
            return Sparse(name, **arguments), pa.list_(kind), st.lists(values, max_size=6)
        return Sparse(name, **arguments), pa.list_(kind), st.lists(nullable, max_size=6)
    return Sparse(name, **arguments), kind, nullable


@st.composite
def logs(draw, texts, separator=None):
    """A schema, the Arrow types of its columns, and rows."""
    sparse = [draw(columns(number, texts, separator)) for number in range(draw(st.integers(1, 4)))]
    types = {"y": pa.float32(), "d0": pa.float32(), "d1": pa.int64()}
    types |= {column.name: kind for column, kind, _ in sparse}
    values = {
        "y": st.sampled_from([0.0, 1.0]),
        "d0": FLOATS,
        "d1": st.none() | st.integers(-(2**20), 2**20),
    }
    values |= {column.name: of_column for column, _, of_column in sparse}
    rows = draw(st.lists(st.fixed_dictionaries(values), max_size=25))
    # The order of fields is that of the types.
    rows = [{name: row[name] for name in types} for row in rows]
    dense = [Dense("d0", transform="log1p"), Dense("d1", fill=7)]
    return Schema("y", dense, [column for column, _, _ in sparse]), types, rows


def check(schema, rows, dataset):
    """A dataset gives the rows."""
    dense, bags, labels = log_files.read_rows(dataset)
    assert labels == [row["y"] for row in rows]
    assert bags == log_files.expected_ids(schema, rows)
    expected = [
        [np.log1p(max(row["d0"], 0)), 7 if row["d1"] is None else row["d1"]] for row in rows
    ]
    np.testing.assert_allclose(
        np.reshape(dense, (-1, 2)), np.reshape(expected, (-1, 2)), rtol=1e-6, atol=1e-37
    )


@SETTINGS
@given(logs(TEXTS), st.integers(1, 30))
def test_parquet_reads_as_plain_python(log, batch_size):
    """Any text and integer, nulls in lists, empty bags and files: the same ids, bags and order."""
    schema, types, rows = log
    with tempfile.TemporaryDirectory() as folder:
        path = log_files.write_parquet(f"{folder}/log.parquet", rows, types)
        schema.fit(path, progress=False)
        check(schema, rows, read(path, schema, batch_size))


@SETTINGS
@given(logs(PLAIN, "|"), st.integers(1, 30))
def test_all_formats_read_alike(log, batch_size):
    """CSV, TSV, TFRecord, Arrow, pandas and Parquet of the same rows give the same batches."""
    schema, types, rows = log
    names = list(types)
    with tempfile.TemporaryDirectory() as folder:
        table = log_files.table(rows, types)
        schema.fit(table, progress=False)
        check(schema, rows, read(table, schema, batch_size))
        # Its own integers have no nulls, and would be floats.
        frame = table.to_pandas(types_mapper=pd.ArrowDtype)
        check(schema, rows, read(frame, schema, batch_size))
        path = log_files.write_parquet(f"{folder}/log.parquet", rows, types)
        check(schema, rows, read(path, schema, batch_size))
        path = log_files.write_csv(f"{folder}/log.csv", rows, names)
        check(schema, rows, read(path, schema, batch_size))
        path = log_files.write_csv(f"{folder}/log.tsv.gz", rows, names, "\t")
        check(schema, rows, read(path, schema, batch_size))
        if rows:
            # Without a row a file of examples does not tell its features.
            path = log_files.write_tfrecord(f"{folder}/log.tfrecord", rows, names)
            check(schema, rows, read(path, schema, batch_size))


@SETTINGS
@given(logs(PLAIN, "|"), st.integers(1, 30))
def test_what_is_converted_reads_as_plain_python(log, batch_size):
    """Parquet and text, turned into ready ids: the same ids, bags and order."""
    schema, types, rows = log
    with tempfile.TemporaryDirectory() as folder:
        sources = [
            log_files.write_parquet(f"{folder}/log.parquet", rows, types),
            log_files.write_csv(f"{folder}/log.csv", rows, list(types)),
        ]
        schema.fit(sources[0], progress=False)
        for number, source in enumerate(sources):
            out = f"{folder}/{number}"
            manifest = convert(source, schema, out, num_processes=1, progress=False)
            assert (manifest["rows"], manifest["rejected"]) == (len(rows), 0)
            check(schema, rows, read(out, Schema.load(f"{out}/schema.yaml"), batch_size))
