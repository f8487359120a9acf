"""What describe finds in a log, against counts by hand and in plain Python."""

import collections
import re

import numpy as np
import pyarrow as pa
import pytest

from tests.datasets import log_files
from tests.datasets.every_field import everything, log
from tests.support.html_page import HtmlPage
from tfrec_models.datasets import Dense, Schema, Sparse, describe
from tfrec_models.datasets import __main__ as command

LOG = pa.table(
    {
        "y": [1, 0, 0, None],
        "x": [0.0, 2.0, None, 7.0],
        "item": ["a", "a", "b", None],
        "seen": [["a", "c", "c"], [], None, ["b", None]],
    }
)
SCHEMA = Schema(
    "y",
    [Dense("x", transform="log", offset=-1)],
    [
        Sparse("item", ids="vocabulary", min_count=2),
        Sparse("seen", like="item", max_length=2),
    ],
)


def test_counts_by_hand():
    """Rates, gaps, values, bags and tables of four rows."""
    found = describe(LOG, SCHEMA, embedding_dim=4, progress=False)
    assert found.rows == 4
    assert (found.label["mean"], found.label["missing"]) == (1 / 3, 0.25)
    [x] = found.dense
    assert (x["missing"], x["min"], x["mean"], x["median"], x["max"]) == (0.25, 0, 3, 2, 7)
    assert (x["zeros"], sum(x["histogram"]["counts"])) == (1 / 3, 3)
    item, seen = found.sparse
    assert (item["missing"], item["values"], item["distinct"], item["once"]) == (0.25, 3, 2, 0.5)
    assert (item["most_frequent"], item["curve"]) == (2 / 3, [[1, 2], [2, 1]])
    assert item["bags"] is None
    assert (seen["missing"], seen["missing_values"]) == (0.25, 0.2)
    assert (seen["values"], seen["distinct"], seen["once"]) == (4, 3, 2 / 3)
    assert seen["curve"] == [[1, 2], [2, 1], [3, 1]]
    # The null in the last bag is none of its values.
    assert seen["bags"]["histogram"][:5] == [2, 1, 0, 1, 0]
    bags = seen["bags"]
    assert (bags["mean"], bags["median"], bags["max"], bags["empty"]) == (1, 0, 3, 0.5)
    assert bags["cut"] == 0.25
    # Of item and seen together: a three times, b and c twice; one row more for the others.
    assert found.tables == [
        {
            "name": "item",
            "features": ["item", "seen"],
            "rows": 4,
            "distinct": 3,
            "alone": None,
            "bytes": 4 * 4 * 4,
        }
    ]


def test_notes_tell_what_read_refuses():
    """Gaps without a fill, nulls without `missing`, a logarithm that is not defined, infinity."""
    found = describe(pa.table({"x": [1.0, np.inf, 3.0, -np.inf]}), Schema(None, [Dense("x")]))
    [x] = found.dense
    assert (x["missing"], x["mean"], x["max"], x["infinite"]) == (0, 2, 3, 0.5)
    assert found.notes == ["dense column 'x' has an infinite number in 50.0% of its rows."]
    assert describe(LOG, SCHEMA, progress=False).notes == [
        "label 'y' is missing in 25.0% of the rows.",
        "dense column 'x' has no number in 25.0% of its rows and no `fill`.",
        "dense column 'x' holds 0, whose log(x + -1) is not defined.",
        "sparse feature 'item' has nulls in 25.0% of its rows and no `missing`.",
        "sparse feature 'seen' has nulls in 25.0% of its rows and no `missing`.",
        "sparse feature 'seen' has nulls in 20.0% of its values and no `missing`.",
    ]
    schema = Schema(None, [Dense("x", fill=0)], [Sparse("item", ids="vocabulary", missing=0)])
    assert describe(LOG, schema, progress=False).notes == []


@pytest.mark.parametrize("fitted", [False, True])
def test_every_kind_of_column_against_python(tmp_path, fitted):
    """Distinct values, those seen once and rows of tables, before and after fit."""
    table, schema = log(500), everything()
    fit = everything()
    fit.fit(table, progress=False)
    found = describe(table, fit if fitted else schema, progress=False)
    columns = table.to_pydict()
    values = {name: [str(v) for v in columns[name]] for name in ("i", "h", "v", "x")} | {
        "l": [v for bag in columns["l"] for v in bag],
        "s": [v for text in columns["s"] for v in text.split("|") if text],
        "c": list(zip(columns["h"], columns["x"], strict=True)),
    }
    assert [column["name"] for column in found.sparse] == list("ihvxlsc")
    for column in found.sparse:
        counts = collections.Counter(values[column["name"]])
        assert column["values"] == counts.total()
        assert column["distinct"] == len(counts)
        assert column["once"] == sum(n == 1 for n in counts.values()) / len(counts)
        assert column["most_frequent"] == max(counts.values()) / counts.total()
    assert {t["name"]: t["rows"] for t in found.tables} == {
        name: fit.num_ids(name) for name in "ihvxsc"
    }
    ids = [log_files.fingerprint(v) % 1000 for v in set(values["h"])]
    alone = sum(n == 1 for n in collections.Counter(ids).values()) / len(ids)
    assert found.tables[1]["alone"] == alone
    assert found.tables[1]["bytes"] == 1000 * 16 * 4


def test_many_blocks_add_up(tmp_path):
    """Counts over the blocks of several files are those of all rows."""
    rng = np.random.default_rng(0)
    ids = rng.zipf(1.3, 90_000) % 5000
    for i, part in enumerate(np.split(ids, 3)):
        rows = [{"y": float(n % 2), "n": int(n)} for n in part]
        log_files.write_parquet(
            tmp_path / f"{i}.parquet", rows, {"y": pa.float32(), "n": pa.int64()}, 10_000
        )
    schema = Schema("y", [Dense("n")], [Sparse("n", ids="integer")])
    found = describe(tmp_path, schema, progress=False)
    counts = np.sort(np.unique(ids, return_counts=True)[1])[::-1]
    assert found.sparse[0]["distinct"] == len(counts)
    assert found.sparse[0]["once"] == np.mean(counts == 1)
    for rank, count in found.sparse[0]["curve"]:
        assert counts[rank - 1] == count
    assert found.tables[0]["rows"] == ids.max() + 1
    assert found.dense[0]["max"] == ids.max()
    np.testing.assert_allclose(found.dense[0]["mean"], ids.mean())
    np.testing.assert_allclose(found.label["mean"], np.mean(ids % 2))


def test_a_log_without_a_row():
    """Nothing is known, and nothing fails."""
    found = describe(LOG.slice(0, 0), SCHEMA, progress=False)
    assert (found.rows, found.label["mean"], found.sparse[0]["distinct"]) == (0, None, 0)
    assert "0 rows" in str(found)
    assert "0 rows" in found.to_html()


def test_the_page_is_whole_and_needs_nothing_else(tmp_path):
    """Tables, a plot for each column, names escaped, no address of anything outside."""
    table = log(300).append_column("<b>", pa.array([1.0] * 300))
    schema = everything()
    schema = Schema(schema.label, [*schema.dense, Dense("<b>")], schema.sparse)
    found = describe(table, schema, progress=False)
    found.save_html(tmp_path / "look.html")
    text = (tmp_path / "look.html").read_text()
    page = HtmlPage(text)
    assert page.open == []
    assert page.tags["table"] == 4
    # Seven dense columns, seven features, two of them with lists.
    assert page.tags["svg"] == 7 + 7 + 2
    assert "<b>: 1 to 1" in page.text or "<b>: 0.5 to 1.5" in page.text
    assert not re.search(r"src=|href=|url\(|@import|<script", text)
    assert "nan" not in text


def test_the_command(tmp_path, capsys):
    """Prints the report, writes the page, names what it cannot read."""
    rows = [{"y": 1.0, "n": 3}, {"y": 0.0, "n": 4}]
    source = log_files.write_csv(tmp_path / "log.csv", rows, ["y", "n"])
    Schema("y", [], [Sparse("n", ids="integer")]).save(tmp_path / "s.yaml")
    arguments = ["describe", source, "--schema", str(tmp_path / "s.yaml")]
    assert command.main([*arguments, "--dim", "1000", "--html", str(tmp_path / "a.html")]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("2 rows\nlabel 'y': mean 0.5, min 0, max 1, missing 0.0%\n")
    assert "MB at dim 1000" in printed.out
    assert re.search(r"^all +0.02$", printed.out, re.MULTILINE)
    assert "describe: 2 rows" in printed.err
    assert (tmp_path / "a.html").read_text().startswith("<!DOCTYPE html>")
    assert command.main([*arguments[:1], str(tmp_path / "b.csv"), *arguments[2:]]) == 1
    assert "error: No such file, folder or glob" in capsys.readouterr().err
