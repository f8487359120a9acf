"""Ready schemas on lines as the public files have them."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from tests.datasets import log_files
from tfrec_models.datasets import (
    DEFAULT_COLUMN_NAMES,
    avazu_schema,
    criteo_schema,
    criteo_tsv,
    frappe_log,
    frappe_schema,
    movielens_log,
    movielens_schema,
    read,
)


def write(path, labels=True):
    """Lines of Criteo's raw format with missing, negative and short fields."""
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(300):
        ints = [str(n) if n > -3 else "" for n in rng.integers(-3, 9000, 13)]
        cats = [f"{n:08x}" if n % 7 else "" for n in rng.integers(0, 2**32, 26)]
        lines.append("\t".join([*([str(rng.integers(0, 2))] if labels else []), *ints, *cats]))
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def check(dataset, expected):
    """Two datasets give the same batches."""
    count = 0
    for (features, labels), (of_features, of_labels) in zip(dataset, expected, strict=True):
        np.testing.assert_allclose(
            features["dense_features"], of_features["dense_features"], rtol=1e-6
        )
        np.testing.assert_array_equal(features["sparse_features"], of_features["sparse_features"])
        np.testing.assert_array_equal(labels, of_labels)
        count += len(labels)
    assert count == 300


def test_criteo_reads_as_criteo_tsv(tmp_path):
    """Text and Parquet of it give the batches of `criteo_tsv`, by either logarithm."""
    path = write(tmp_path / "day_0")
    check(read(path, criteo_schema(1000), 64), criteo_tsv(path, 64, 1000))
    log1p = criteo_schema(1000, transform="log1p")
    check(read(path, log1p, 64), criteo_tsv(path, 64, 1000, dense_min=1))
    # The same columns as Parquet.
    table = csv.read_csv(
        path,
        csv.ReadOptions(column_names=DEFAULT_COLUMN_NAMES),
        csv.ParseOptions(delimiter="\t"),
        csv.ConvertOptions(
            strings_can_be_null=True,
            column_types=dict.fromkeys(DEFAULT_COLUMN_NAMES[14:], "string"),
        ),
    )
    pq.write_table(table, tmp_path / "day_0.parquet")
    check(read(tmp_path / "day_0.parquet", criteo_schema(1000), 64), criteo_tsv(path, 64, 1000))


def test_criteo_without_labels(tmp_path):
    """Kaggle's test file gives features alone."""
    path = write(tmp_path / "test.txt", labels=False)
    batches = list(read(path, criteo_schema(1000, labels=False), 100))
    assert [batch["sparse_features"].shape for batch in batches] == [(100, 26)] * 3


AVAZU = """id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,\
app_category,device_id,device_ip,device_model,device_type,device_conn_type,C14,C15,C16,C17,C18,\
C19,C20,C21
1000009418151094273,0,14102100,1005,0,1fbe01fe,f3845767,28905ebd,ecad2386,7801e8d9,07d7df22,\
a99f214a,ddd2926e,44956a24,1,2,15706,320,50,1722,0,35,-1,79
10000169349117863715,1,14102100,1005,0,1fbe01fe,f3845767,28905ebd,ecad2386,7801e8d9,07d7df22,\
a99f214a,96809ac8,711ee120,1,0,15704,320,50,1722,0,35,100084,79
"""


def test_avazu(tmp_path):
    """Every column but id is hashed or in a vocabulary, negative codes too; test has no click."""
    path = tmp_path / "train.csv"
    path.write_text(AVAZU)
    [(features, labels)] = read(path, avazu_schema(num_ids=1000), 4)
    assert features["dense_features"].shape == (2, 0)
    assert labels.numpy().tolist() == [0, 1]
    names, *rows = [line.split(",") for line in AVAZU.splitlines()]
    assert avazu_schema(10).sparse_feature_names == names[2:]
    expected = [[log_files.fingerprint(field) % 1000 for field in row[2:]] for row in rows]
    assert features["sparse_features"].numpy().tolist() == expected

    schema = avazu_schema(min_count=2)
    schema.fit(path, progress=False)
    seen_twice = [names[i] for i in range(2, 24) if rows[0][i] == rows[1][i]]
    assert [n for n in names[2:] if schema.num_ids(n) == 2] == seen_twice

    path = tmp_path / "test.csv"
    path.write_text("\n".join(",".join(row[:1] + row[2:]) for row in [names, *rows]))
    [features] = read(path, avazu_schema(1000, labels=False), 4)
    assert features["sparse_features"].numpy().tolist() == expected


def movielens(folder, rated="1193"):
    """A few lines of MovieLens 25M's two files."""
    (folder / "ratings.csv").write_text(
        "userId,movieId,rating,timestamp\n"
        f"1,{rated},5.0,1147880044\n1,306,3.5,1147868817\n2,11,4.0,1141416529\n"
        "2,306,0.5,1141416593\n"
    )
    (folder / "movies.csv").write_text(
        "movieId,title,genres\n"
        '11,"American President, The (1995)",Comedy|Drama|Romance\n'
        "306,Three Colors: Red (Trois couleurs: Rouge) (1994),Drama\n"
        '1193,"Film ""X"" (1975)",(no genres listed)\n'
    )


def test_movielens(tmp_path):
    """Genres are bags, empty where none are listed; four stars and more are liked."""
    movielens(tmp_path)
    log = movielens_log(tmp_path)
    assert log["liked"].to_pylist() == [1, 0, 1, 0]
    assert movielens_log(tmp_path, liked_from=5)["liked"].to_pylist() == [1, 0, 0, 0]
    assert log["timestamp"].to_pylist()[2] == 1141416529
    schema = movielens_schema()
    schema.fit(log, progress=False)
    assert schema.learned["vocabularies"] == {
        "userId": ["1", "2"],
        "movieId": ["306", "11", "1193"],
        "genres": ["Drama", "Comedy", "Romance"],
    }
    [(features, labels)] = read(log, schema, 8)
    assert features["sparse_features"].to_list() == [
        [[1], [3], []],
        [[1], [1], [1]],
        [[2], [2], [2, 1, 3]],
        [[2], [1], [1]],
    ]
    assert labels.numpy().tolist() == [1, 0, 1, 0]


def test_movielens_files_that_do_not_fit(tmp_path):
    """A film that movies.csv has not, and a file of another layout, are named."""
    movielens(tmp_path, rated="7")
    with pytest.raises(ValueError, match="ratings of movieId 7, which it does not have; take both"):
        movielens_log(tmp_path)
    (tmp_path / "ratings.csv").write_text("user,movieId,rating,timestamp\n1,11,5,0\n")
    with pytest.raises(ValueError, match=r"ratings.csv must be MovieLens' file .*userId"):
        movielens_log(tmp_path)
    with pytest.raises(FileNotFoundError):
        movielens_log(tmp_path / "elsewhere")


FRAPPE = [
    "-1 451:1 4149:1 5041:1 5046:1 5053:1 5055:1 5058:1 5060:1 5069:1 5149:1",
    "1 4:1 4215:1 5042:1 5049:1 5054:1 5055:1 5058:1 5064:1 5070:1 5149:1",
]


def test_frappe(tmp_path):
    """libFM and CSV files of the same rows read alike, and a model takes them."""
    path = tmp_path / "frappe.train.libfm"
    path.write_text("\n".join(FRAPPE) + "\n")
    log = frappe_log(path)
    rows = [line.replace(":1", "").split(" ") for line in FRAPPE]
    assert [list(map(int, row[1:])) for row in rows] == [
        list(row.values())[1:] for row in log.to_pylist()
    ]
    lines = [",".join(log.column_names), "0," + ",".join(rows[0][1:]), "1," + ",".join(rows[1][1:])]
    (tmp_path / "train.csv").write_text("\n".join(lines))
    schema = frappe_schema()
    schema.fit(log, progress=False)
    batches = [next(iter(read(source, schema, 2))) for source in (log, tmp_path / "train.csv")]
    for features, labels in batches:
        assert labels.numpy().tolist() == [0, 1]
        np.testing.assert_array_equal(features["sparse_features"], batches[0][0]["sparse_features"])
    collection = schema.collection(4)
    pooled = collection(batches[0][0]["sparse_features"])
    assert pooled["city"].shape == (2, 4)


@pytest.mark.parametrize(
    "line",
    ["", "0 " + FRAPPE[0][3:], FRAPPE[0][:-2], FRAPPE[0] + " 1:1", FRAPPE[0].replace("1", "x")],
)
def test_frappe_lines_of_another_form(tmp_path, line):
    """Named by file and line, with what was received."""
    path = tmp_path / "frappe.test.libfm"
    path.write_text("\n".join([FRAPPE[1], line, FRAPPE[1]]))
    with pytest.raises(ValueError, match=r"test.libfm, line 2: must be a label of 1 or -1 and ten"):
        frappe_log(path)
