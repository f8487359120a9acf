"""Schemas: what they refuse, what they learn, and that files keep all of it."""

import numpy as np
import pyarrow as pa
import pytest

from tests.datasets.every_field import everything, log
from tfrec_models import DLRM, distribute
from tfrec_models.datasets import Dense, Schema, Sparse, read


@pytest.mark.parametrize("ending", ["json", "yaml", "yml"])
def test_files_keep_everything(tmp_path, ending):
    """A schema read back is equal, learned values that YAML would take for others included."""
    schema = everything()
    schema.fit(log(), progress=False)
    schema.save(tmp_path / f"schema.{ending}")
    loaded = Schema.load(tmp_path / f"schema.{ending}")
    assert loaded == schema
    assert loaded.learned["vocabularies"]["v"] == schema.learned["vocabularies"]["v"]
    assert [path.name for path in tmp_path.iterdir()] == [f"schema.{ending}"]


def test_vocabulary_is_frequent_first_and_leaves_the_rare_out():
    """By count, then by value; what is seen less than min_count has no id of its own."""
    schema = Schema(sparse=[Sparse("v", ids="vocabulary", min_count=2)])
    schema.fit(pa.table({"v": ["b", "a", "c", "b", "a", "z", "c", "c"]}), progress=False)
    assert schema.learned["vocabularies"]["v"] == ["c", "a", "b"]
    assert schema.num_ids("v") == 4


def test_vocabulary_of_a_fixed_size():
    """num_ids keeps the most frequent, one id being for all others."""
    schema = Schema(sparse=[Sparse("v", ids="vocabulary", num_ids=3)])
    schema.fit(pa.table({"v": [5, 5, 6, 7, 7, 7]}), progress=False)
    assert schema.learned["vocabularies"]["v"] == ["7", "5"]
    assert schema.num_ids("v") == 3


def test_fit_goes_on_without_moving_an_id():
    """New values follow the old ones, however frequent they are."""
    schema = Schema(sparse=[Sparse("v", ids="vocabulary"), Sparse("l", like="v", is_list=True)])
    schema.fit(pa.table({"v": ["b", "b", "a"], "l": [["d"], [], []]}), progress=False)
    assert schema.learned["vocabularies"]["v"] == ["b", "a", "d"]
    schema.fit(pa.table({"v": ["z", "z", "a"], "l": [["c"], [], ["b"]]}), progress=False)
    assert schema.learned["vocabularies"]["v"] == ["b", "a", "d", "z", "c"]


def test_statistics_are_of_all_data_so_far():
    """Fitted in two parts as in one, to rounding; the quantiles stay those of the first part."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(3, 2, 1000)
    dense = [
        Dense("d", transform="standardize"),
        Dense("f", fill=0, transform="quantile", num_buckets=4),
    ]
    schema = Schema(dense=dense)
    table = pa.table({"d": numbers, "f": numbers})
    schema.fit(table.slice(0, 400), progress=False)
    first = schema.learned["statistics"]["f"]
    np.testing.assert_allclose(first["quantiles"], np.quantile(numbers[:400], [0.25, 0.5, 0.75]))
    schema.fit(table.slice(400), progress=False)
    assert schema.learned["statistics"]["f"] == first
    learned = schema.learned["statistics"]["d"]
    assert learned["count"] == 1000
    np.testing.assert_allclose(learned["mean"], numbers.mean())
    np.testing.assert_allclose(learned["sum_of_squares"] / 1000, numbers.var())


def test_progress_is_shown(capsys):
    """Rows and rate go to stderr."""
    schema = Schema(sparse=[Sparse("v", ids="vocabulary")])
    schema.fit(pa.table({"v": ["a"] * 1234}))
    assert "fit: 1,234 rows" in capsys.readouterr().err


def test_collection_has_a_table_for_each_but_those_like_another():
    """Sizes, names and order; packed inputs follow the collection's order."""
    schema = everything()
    schema.fit(log(), progress=False)
    collection = schema.collection(embedding_dim=4)
    assert [(t.name, t.num_embeddings, t.feature_names) for t in collection.tables] == [
        ("i", 9, ("i",)),
        ("h", 1000, ("h",)),
        ("v", len(schema.learned["vocabularies"]["v"]) + 1, ("v", "l")),
        ("x", 77, ("x",)),
        ("s", 4, ("s",)),
        ("c", 50, ("c",)),
    ]
    assert collection.sparse_feature_names == schema.sparse_feature_names
    assert collection.is_weighted
    assert schema.num_dense == 6


def test_a_model_of_another_schema_is_refused():
    """The difference is named."""
    schema = Schema(dense=[Dense("d")], sparse=[Sparse("h", ids="hash", num_ids=10)])
    model = DLRM(schema.collection(4), schema.num_dense, [4], [4, 1])
    schema.check_model(model)
    other = Schema(sparse=[Sparse("h", ids="hash", num_ids=20), Sparse("x", ids="hex", num_ids=5)])
    with pytest.raises(ValueError) as caught:
        other.check_model(model)
    assert "table 'h': the schema has 20 ids for ['h'], the model 10 ids" in str(caught.value)
    assert "table 'x': the schema has 5 ids for ['x'], the model none" in str(caught.value)


def test_data_of_another_schema_is_refused(tmp_path):
    """By `fit`, `evaluate`, `predict` and `distribute.fit` of a ranking model."""
    schema = Schema("y", [Dense("d")], [Sparse("h", ids="hash", num_ids=10)])
    other = Schema("y", [Dense("d")], [Sparse("h", ids="hash", num_ids=20)])
    model = DLRM(schema.collection(4), schema.num_dense, [4], [4, 1])
    model.compile("sgd", "mse")
    table = pa.table({"y": [0, 1], "d": [0.5, 1.5], "h": ["a", "b"]})
    model.fit(read(table, schema, 2), verbose=0)
    data = read(table, other, 2)
    for call in (
        lambda: model.fit(data),
        lambda: model.fit(read(table, schema, 2), validation_data=data),
        lambda: model.evaluate(data),
        lambda: model.predict(data),
        lambda: distribute.fit(model, data, tmp_path),
    ):
        with pytest.raises(ValueError, match="made for another schema. table 'h': the schema has"):
            call()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense(""), "name must be a non-empty str"),
        (lambda: Dense("d", transform="ln"), "'d': transform must be one of .* received 'ln'"),
        (lambda: Dense("d", transform="log"), "'d': transform 'log' needs offset"),
        (lambda: Dense("d", offset=1), "offset goes with transform 'log', received transform None"),
        (lambda: Dense("d", transform="clip"), "needs low, high or both"),
        (lambda: Dense("d", transform="clip", low=2, high=1), "low must not exceed high"),
        (lambda: Dense("d", fill="0"), "fill must be a number, received '0'"),
        (lambda: Dense("d", fill=float("nan")), "fill must be finite"),
        (lambda: Dense("d", transform="quantile", num_buckets=1), "integer of at least 2"),
        (lambda: Sparse("s"), r"'s': exactly one of ids, like and cross must be given"),
        (lambda: Sparse("s", ids="hash", like="t"), r"received \['ids', 'like'\]"),
        (lambda: Sparse("s", ids="md5", num_ids=3), "ids must be one of .*, received 'md5'"),
        (lambda: Sparse("s", ids="hash"), "num_ids must be given"),
        (lambda: Sparse("s", ids="hash", num_ids=0), "num_ids must be an integer of at least 1"),
        (lambda: Sparse("s", ids="integer", min_count=2), "min_count goes with ids='vocabulary'"),
        (lambda: Sparse("s", ids="integer", missing="zero"), "missing must be an integer"),
        (lambda: Sparse("s", ids="integer", is_list=False, max_length=3), "not False with"),
        (lambda: Sparse("s", cross=("a",), num_ids=3), "cross must be a pair"),
        (lambda: Sparse("s", cross=("a", "b"), num_ids=3, max_length=2), "does not go with cross"),
        (lambda: Schema(sparse=[Dense("d")]), r"sparse must be a list of Sparse, received \['Den"),
        (lambda: Schema(dense=[Dense("d"), Dense("d")]), r"received \['d'\] twice"),
        (
            lambda: Schema(sparse=[Sparse("items", ids="integer"), Sparse("l", like="item")]),
            "'l' names 'item', which is not a sparse feature; did you mean 'items'?",
        ),
        (
            lambda: Schema(
                sparse=[
                    *(Sparse(name, ids="hash", num_ids=9) for name in "ab"),
                    Sparse("c", cross=("a", "b"), num_ids=9),
                    Sparse("l", like="c"),
                ]
            ),
            "'l': like must name a feature with ids of single values, received 'c', which is a cr",
        ),
        (
            lambda: Schema(label="click", column_names=["clicks", "b"]),
            "column 'click' is not in column_names; did you mean 'clicks'?",
        ),
        (
            lambda: Schema.from_dict({"version": 1, "dense": [{"name": "d", "fil": 0}]}),
            "Dense has no field 'fil'; did you mean 'fill'?",
        ),
        (lambda: Schema.from_dict({"version": 2}), "must have version 1, received 2"),
        (lambda: Schema.load("schema.toml"), r"must end in .json, .yaml or .yml"),
    ],
)
def test_what_is_refused(make, message):
    """Each mistake is named, with what was received."""
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"dense": ["price"]}, "Dense must be given as a dict of its fields, received 'price'"),
        ({"dense": {"name": "price"}}, "dense must be a list of dicts, received {'name'"),
        ({"sparse": [{"ids": "hash"}]}, "Sparse must have a name, received {'ids': 'hash'}"),
        ({"column_names": "abc"}, "column_names must be None or a list of str, received 'abc'"),
        ({"learned": None}, "learned must be a dict, received None"),
        ({"learned": {"vocabulary": {}}}, "no part 'vocabulary'; did you mean 'vocabularies'"),
        ({"learned": {"vocabularies": {"s": [1, 2]}}}, r"list of str, received \[1, 2\]; in YAML"),
        ({"learned": {"vocabularies": {"s": "abc"}}}, "must be a list of str, received 'abc'"),
        ({"learned": {"vocabularies": {"s": ["a", "b", "a"]}}}, "received 'a' twice"),
        ({"learned": {"num_ids": {"s": "7"}}}, "of at least 1, received '7'"),
        ({"learned": {"statistics": {"d": {"mean": 1}}}}, "'d': count must be finite num.* None"),
        (
            {"learned": {"statistics": {"q": {"quantiles": [5, 1]}}}},
            r"'q': quantiles must be 2 increasing numbers, .* received \[5, 1\]",
        ),
    ],
)
def test_files_written_by_hand(config, message):
    """What `fit` would not have learned, and what is no schema, is refused by name."""
    columns = [
        {"name": "d", "transform": "standardize"},
        {"name": "q", "transform": "quantile", "num_buckets": 3},
    ]
    with pytest.raises(ValueError, match=message):
        Schema.from_dict({"version": 1, "dense": columns} | config)


def test_files_that_are_no_schema(tmp_path):
    """The file is named, with the place where it is damaged."""
    for name, text in (("a.yaml", b"label: [1\nx"), ("a.json", b"{"), ("b.yaml", b"label: \xe4")):
        (tmp_path / name).write_bytes(text)
        with pytest.raises(ValueError, match=rf"{name} is no (YAML|JSON): "):
            Schema.load(tmp_path / name)


def test_statistics_of_infinite_numbers():
    """A number that would make all others NaN is named."""
    for column in (
        Dense("d", transform="standardize"),
        Dense("d", transform="quantile", num_buckets=3),
    ):
        for number in (np.inf, 1e200):
            with pytest.raises(ValueError, match="row 1, column 'd': holds .* too large to learn"):
                Schema("y", [column]).fit(pa.table({"d": [1.0, number]}), progress=False)
    with pytest.raises(ValueError, match="no rows to learn a mean from"):
        Schema("y", [Dense("d", transform="standardize")]).fit(
            pa.table({"d": pa.array([], pa.float64())}), progress=False
        )


def test_ids_before_fit():
    """Sizes that are learned are not guessed."""
    for column in (Sparse("v", ids="vocabulary"), Sparse("v", ids="integer")):
        with pytest.raises(ValueError, match="'v' are learned .* schema.fit"):
            Schema(sparse=[column]).collection(4)
