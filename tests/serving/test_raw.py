"""Raw columns of a log score as the batches that `datasets.read` makes of them."""

import json
import re

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from tests.support.exports import signatures_of
from tests.support.serving import DENSE, FAMILIES
from tfrec_models import DLRM
from tfrec_models.datasets import Dense, Schema, Sparse, read
from tfrec_models.serving import Metadata, RequestWriter, export
from tfrec_models.serving.candidate_requests import candidates_of, one_request
from tfrec_models.serving.raw_encoder import RawEncoder

RAW = ("serving_raw", "serving_raw_examples")
WORDS = ["apple", "pear", "fig", "", "x" * 70, "ünï", "a|b"]


def make_log(rows=30):
    """A column of every kind, with gaps where the schema allows them."""
    rng = np.random.default_rng(0)

    def gaps(values):
        return [None if rng.random() < 0.2 else value for value in values]

    def words(most):
        return [str(word) for word in rng.choice(WORDS, rng.integers(0, most))]

    # Multiples of an eighth, which a tf.Example's single precision holds.
    eighths = rng.integers(-80, 80, [rows, 5]) / 8
    numbers = rng.integers(0, 2**32, rows)
    return pa.table(
        {
            "clicked": rng.integers(0, 2, rows).astype(np.float32),
            "price": gaps(eighths[:, 0].tolist()),
            "age": rng.integers(0, 90, rows),
            "score": eighths[:, 1],
            "depth": rng.integers(0, 9, rows),
            "length": eighths[:, 2],
            "plain": eighths[:, 3],
            "user id": gaps(str(word) for word in rng.choice(WORDS, rows)),
            "device": gaps(rng.integers(-5, 5, rows).tolist()),
            "item": [str(word) for word in rng.choice(WORDS, rows)],
            "seen": gaps(words(6) for _ in range(rows)),
            "tags": ["|".join(rng.choice(["a", "b", ""], rng.integers(0, 4))) for _ in range(rows)],
            "hex": [f"{n:x}" if i % 2 else f"{n:08X}" for i, n in enumerate(numbers)],
            "slot": rng.integers(0, 7, rows),
        }
    )


def make_schema():
    """Every transform and every way from values to ids."""
    return Schema(
        label="clicked",
        dense=[
            Dense("price", fill=0.5, transform="log1p"),
            Dense("age", transform="log", offset=4),
            Dense("score", transform="standardize"),
            Dense("depth", transform="quantile", num_buckets=4),
            Dense("length", transform="clip", low=-3, high=8),
            Dense("plain"),
        ],
        sparse=[
            Sparse("user id", ids="hash", num_ids=50, missing="drop"),
            Sparse("device", ids="hash", num_ids=9, missing=3),
            Sparse("item", ids="vocabulary", min_count=2),
            Sparse("seen", like="item", max_length=3, missing="drop"),
            Sparse("tags", ids="vocabulary", separator="|"),
            Sparse("hex", ids="hex", num_ids=1000),
            Sparse("slot", ids="integer"),
            Sparse("both", cross=("item", "slot"), num_ids=64),
            Sparse("some", cross=("user id", "device"), num_ids=64, missing=1),
        ],
    )


class Served:
    """A log, its schema, and the export of a model for them."""

    def __init__(self, log, schema, directory, **options):
        self.log, self.schema = log, schema
        schema.fit(log, progress=False)
        self.model = DLRM(schema.collection(4), schema.num_dense, [4], [4, 1])
        self.path = export(self.model, directory, schema=schema, **options)
        self.writer = RequestWriter(self.path)
        self._signatures = signatures_of(self.path)

    def ask(self, signature, inputs):
        """The logits for inputs as arrays."""
        tensors = {
            name: tf.constant(array.tolist() if array.dtype == object else array, dtype)
            for name, array in inputs.items()
            for dtype in [tf.string if array.dtype == object else None]
        }
        return self._signatures[signature](**tensors)["logits"].numpy()

    def refusal(self, signature, inputs):
        """The message that inputs are refused with."""
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            self.ask(signature, inputs)
        return caught.value.message.replace("\\", "")

    def check(self, log):
        """Raw rows score as prepared ones."""
        batch = next(iter(read(log, self.schema, batch_size=log.num_rows)))[0]
        expected = self.ask("serving_packed", self.writer.inputs(batch, "serving_packed"))
        for signature in RAW:
            got = self.ask(signature, self.writer.inputs(log, signature))
            np.testing.assert_array_equal(got, expected, err_msg=signature)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """An export for a log with every kind of column."""
    return Served(
        make_log(),
        make_schema(),
        tmp_path_factory.mktemp("raw"),
        request_features=["seen", "age", "user id"],
    )


def test_equals_prepared_batches(served):
    """To the last bit, of every transform and every way to ids; of one row and of none too."""
    for log in (served.log, served.log.slice(3, 1)):
        served.check(log)
    # Values that training has not seen, and integers where the log has texts.
    changes = {"item": ["melon", "fig"], "device": ["7", "-2"], "plain": [2.0**50, -5.0]}
    rows = served.log.slice(0, 2).to_pydict()
    served.check(pa.table({**rows, **changes}))
    empty = served.log.slice(0, 0)
    for signature in RAW:
        got = served.ask(signature, served.writer.inputs(empty, signature))
        assert got.shape == (0, 1)


def test_100_000_strings_have_the_same_ids(tmp_path):
    """Hashes and vocabularies by NumPy from a column at once, and in an exported graph."""
    rng = np.random.default_rng(0)
    data = rng.bytes(1 << 22)
    starts, lengths = rng.integers(0, (1 << 22) - 100, 100_000), rng.integers(0, 100, 100_000)
    texts = [data[s : s + n].hex()[:n] for s, n in zip(starts, lengths, strict=True)]
    texts[::3] = rng.choice([*WORDS, "日本語", "😀", "\x00", "\n"], len(texts[::3])).tolist()
    log = pa.table({"hashed": texts, "known": texts})
    schema = Schema(
        sparse=[
            Sparse("hashed", ids="hash", num_ids=2**62),
            Sparse("known", ids="vocabulary", min_count=2),
        ]
    )
    schema.fit(log, progress=False)
    encoder = RawEncoder(schema)

    class Graph(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def ids(self, texts):
            values = tf.RaggedTensor.from_uniform_row_length(texts, 1)
            columns = {"hashed": values, "known": values}
            return tf.stack(encoder.bags(columns, {}, tf.size(texts))[0], axis=1)

    graph = Graph()
    graph.resources = encoder.resources
    tf.saved_model.save(graph, str(tmp_path))
    [features] = read(log, schema, batch_size=100_000)
    got = tf.saved_model.load(str(tmp_path)).ids(tf.constant(texts))
    np.testing.assert_array_equal(got, features["sparse_features"])
    by_hand = {text: i for i, text in enumerate(schema.learned["vocabularies"]["known"], 1)}
    assert got[:, 1].numpy().tolist() == [by_hand.get(text, 0) for text in texts]


def test_weights(tmp_path):
    """One for each id of a list, before it is cut; one for each row of single values."""
    log = pa.table(
        {
            "clicked": [0.0, 1.0, 1.0],
            "x": [1.0, 2.0, 3.0],
            "seen": [["a", "b", "c"], [], ["b"]],
            "seen_w": [[0.5, 1.5, 2.5], [], [3.5]],
            "kind": ["k", None, "l"],
            "kind_w": [0.25, 9.0, 4.0],
            "other": [1, 2, 3],
        }
    )
    schema = Schema(
        label="clicked",
        dense=[Dense("x")],
        sparse=[
            Sparse("seen", ids="hash", num_ids=9, max_length=2, weights="seen_w"),
            Sparse("kind", ids="hash", num_ids=9, missing="drop", weights="kind_w"),
            Sparse("other", ids="integer", num_ids=4),
        ],
    )
    served = Served(log, schema, tmp_path)
    served.check(log)
    inputs = served.writer.inputs(log, "serving_raw")
    inputs["seen_w_values"] = inputs["seen_w_values"][:3]
    inputs["seen_w_lengths"] = np.array([2, 0, 1])
    text = '"seen" must have one weight for each id, received 2 in example 0'
    assert text in served.refusal("serving_raw", inputs)


def test_metadata_and_json(served):
    """The columns' names, kinds and forms; a REST body of their values, gaps filled."""
    columns = {column["name"]: column for column in Metadata.read(served.path).raw_columns}
    assert columns["user id"]["input"] == "user_id" and columns["user id"]["is_bag"]
    assert columns["price"]["kind"] == "number" and columns["price"]["fill"] == 0.5
    assert columns["slot"]["kind"] == "integer" and not columns["slot"]["is_bag"]
    assert "both" not in columns and "clicked" not in columns
    row = {name: [None] for name in ("price", "user id", "seen")}
    row |= {name: [3] for name in ("age", "score", "depth", "length", "plain", "device", "slot")}
    row |= {"item": ["ünï"], "tags": ["a|b"], "hex": ["ff"]}
    body = json.loads(served.writer.rest(row, "serving_raw"))["inputs"]
    assert body["price"] == [0.5] and body["item"] == ["ünï"] and body["device_values"] == ["3"]
    assert body["user_id_values"] == [] and body["user_id_lengths"] == [0]


def test_values_that_the_schema_has_no_form_for(served):
    """The graph refuses them by column and example, as `read` does."""
    good = served.writer.inputs(served.log, "serving_raw")

    def changed(name, row, value):
        array = good[name].copy()
        array[row] = value
        return {**good, name: array}

    for inputs, text in (
        (changed("age", 2, np.nan), 'Column "age" is missing in example 2; declare a fill'),
        (changed("age", 1, -4), r'Column "age" holds -4 in example 1, whose log\(x \+ 4\) is not'),
        (changed("hex", 3, b"0x1"), 'Column "hex" must hold hexadecimal ids.*received "0x1"'),
        (changed("hex", 3, b""), 'Column "hex" must hold hexadecimal ids.*received ""'),
        (changed("slot", 0, 7), '"slot": id 7 in example 0 is outside table "slot"'),
        (changed("plain", 0, np.inf), "dense_features must be finite"),
        (changed("seen_lengths", 0, 99), '"seen": each of "seen_lengths" must lie between'),
        ({**good, "item": good["item"][1:]}, '"item" must have one entry .* 29 entries and 30'),
        (
            {**good, "user_id_lengths": np.eye(30, dtype=int)[0] * len(good["user_id_values"])},
            'Column "user id" must have one value a row, or none where it is missing, r',
        ),
    ):
        assert re.search(text, served.refusal("serving_raw", inputs))
    example = served.writer.inputs(served.log.slice(0, 1), "serving_raw_examples")["examples"][0]
    for name, text in (
        ("item", 'Column "item" must have one value a row, received 0 in example 0'),
        ("age", 'Column "age" is missing in example 0'),
    ):
        without = tf.train.Example.FromString(example)
        del without.features.feature[name]
        serialized = np.array([without.SerializeToString()], object)
        assert text in served.refusal("serving_raw_examples", {"examples": serialized})


def test_rows_that_are_not_written(served):
    """The writer names the column."""
    rows = served.log.slice(0, 1).to_pydict()
    for changes, text in (
        ({"age": [None]}, "Column 'age' has a missing number, and its schema declares no fill"),
        ({"age": ["old"]}, "Column 'age' must hold numbers, received 'old'"),
        ({"item": [None]}, "Column 'item' must hold one value a row, received None"),
        ({"item": [1.5]}, "Column 'item' must hold strings or integers, received 1.5"),
        ({"seen": [["a", None]]}, "Column 'seen' must hold strings or integers, received None"),
        ({"slot": ["3"]}, "Column 'slot' must hold integers, received '3'"),
        ({"age": [1, 2]}, "same number of rows, received .*'age': 2"),
    ):
        for signature in RAW:
            with pytest.raises(ValueError, match=text):
                served.writer.inputs({**rows, **changes}, signature)
    with pytest.raises(ValueError, match=r"Missing columns \['age'\]"):
        served.writer.inputs({n: v for n, v in rows.items() if n != "age"}, "serving_raw")


def test_schemas_that_do_not_fit(served, tmp_path):
    """Of another model, not fitted, of one column in two ways, or no schema."""
    with pytest.raises(ValueError, match="The model was made for another schema"):
        export(FAMILIES["dlrm"](), tmp_path, schema=served.schema, request_features=["plain"])
    with pytest.raises(TypeError, match="schema must be a tfrec_models.datasets.Schema, .* dict"):
        export(served.model, tmp_path, schema=served.schema.to_dict())
    for dense, sparse, text in (
        ([Dense("x", transform="standardize")], [], r"has not learned the columns \['x'\] yet"),
        (
            [],
            [Sparse("v", ids="vocabulary", num_ids=3)],
            r"has not learned the columns \['v'\] yet",
        ),
        ([], [Sparse("h", ids="hash", num_ids=3, missing=3)], "missing must be below the 3 ids"),
        ([Dense("h")], [], r"must use each column in one way, received \['h'\] in two"),
        ([Dense("a_lengths")], [Sparse("a", ids="hash", num_ids=3, is_list=True)], "a_lengths"),
    ):
        schema = Schema(
            dense=[*dense, *(Dense(f"d{number}") for number in range(DENSE - len(dense)))],
            sparse=[*sparse, *([] if sparse else [Sparse("h", ids="hash", num_ids=3)])],
        )
        model = DLRM(schema.collection(4), DENSE, [4], [4, 1])
        with pytest.raises(ValueError, match=text):
            export(model, tmp_path, schema=schema)
    assert not list(tmp_path.iterdir())


def test_request_features_of_a_schema(served, tmp_path):
    """Dense columns belong by name; all signatures are warmed up and score one user alike."""
    path, metadata = served.path, served.writer.metadata
    assert metadata.request_features == ["user id", "seen"]
    assert metadata.request_dense == [1]
    file = str(path / "assets.extra" / "tf_serving_warmup_requests")
    signatures, asked = signatures_of(path), []
    for record in tf.data.TFRecordDataset(file).as_numpy_iterator():
        request = PredictionLog.FromString(record).predict_log.request
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        asked.append(request.model_spec.signature_name)
        signatures[asked[-1]](**{name: tf.constant(array) for name, array in inputs.items()})
    assert set(asked) == set(signatures) == set(metadata.signatures)
    log = served.log.to_pydict()
    user = next(row for row in range(30) if log["user id"][row] and log["seen"][row])
    log |= {name: [log[name][user]] * 30 for name in ("user id", "seen", "age")}
    log = pa.table(log)
    batch = next(iter(read(log, served.schema, batch_size=30)))[0]
    once = candidates_of(one_request(batch, metadata), metadata)
    logits = []
    for signature, asked in ((RAW[0], log), (RAW[1], log), ("serving_candidates", once)):
        inputs = served.writer.inputs(asked, signature)
        inputs = {
            name: tf.constant(array.tolist() if array.dtype == object else array)
            for name, array in inputs.items()
        }
        logits.append(signatures[signature](**inputs)["logits"].numpy())
    np.testing.assert_array_equal(logits[0], logits[1])
    np.testing.assert_allclose(logits[0], logits[2], rtol=0, atol=1e-6)
    twice = {"request_features": ["age"], "request_dense": [1]}
    with pytest.raises(ValueError, match=r"request_dense must name each once, received \[1\]"):
        export(served.model, tmp_path, schema=served.schema, **twice)
    with pytest.raises(ValueError, match=r"features of the model, .*'price'.* received \['agee'\]"):
        export(served.model, tmp_path, schema=served.schema, request_features=["agee"])
