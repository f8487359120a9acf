"""Requests with their candidates score as the same rows repeated, and are looked up once."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.serving.conftest import COLUMNS, SHARED
from tests.support.exports import ask, predict, signatures_of
from tests.support.serving import DENSE, DIM, FAMILIES, FEATURES, ROWS, batch, collection
from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig, execution
from tfrec_models.embeddings.table_rows import VariableRows
from tfrec_models.serving import Metadata, RequestWriter, export
from tfrec_models.serving.candidate_requests import candidate_inputs
from tfrec_models.serving.candidate_signature import CandidateSignature
from tfrec_models.serving.levels import Levels
from tfrec_models.serving.pooled_columns import pooled_levels
from tfrec_models.serving.signatures import SIGNATURES
from tfrec_models.sparse import KeyedJaggedTensor

# One request with all candidates, several, some without any, and no request at all.
COUNTS = ([7], [2, 0, 4, 1], [0, 0], [])


def take(rows, structure):
    """Rows of every tensor, ragged or not."""
    return tf.nest.map_structure(
        lambda part: tf.gather(part, rows), structure, expand_composites=False
    )


def requests_of(counts, is_weighted=False, shared=SHARED, columns=COLUMNS, **bags):
    """A batch of requests with candidates, and the same rows as examples."""
    ours, theirs = batch(len(counts), is_weighted, **bags), batch(sum(counts), is_weighted, **bags)
    others = [column for column in range(DENSE) if column not in columns]
    parts = {"request": {}, "candidates": {}}
    for part, source, names, numbers in (
        ("request", ours, shared, sorted(columns)),
        ("candidates", theirs, [n for n in FEATURES if n not in shared], others),
    ):
        if numbers:
            dense = source["dense_features"]
            parts[part]["dense_features"] = tf.gather(dense, numbers, axis=1)
        if names:
            parts[part]["sparse_features"] = {n: source["sparse_features"][n] for n in names}
    of = np.repeat(np.arange(len(counts)), counts)
    dense = theirs["dense_features"].numpy()
    dense[:, columns] = ours["dense_features"].numpy()[of][:, columns]
    sparse = {n: take(of, ours["sparse_features"][n]) for n in shared}
    repeated = {
        "dense_features": tf.constant(dense),
        "sparse_features": {**theirs["sparse_features"], **sparse},
    }
    return {**parts, "num_candidates": counts}, repeated


# What a sum in another order may change.
CLOSE = {"rtol": 0, "atol": 1e-6}


@pytest.mark.parametrize("name", ["dlrm_weighted_two_outputs", "dlrm_dcn", "deepfm_ranker"])
def test_equals_repeated_rows(exported, name):
    """With weights, another interaction and two collections too; the metadata has the levels.

    To the last bit where a model has no way of its own with two levels.
    """
    ranker = exported(name)
    is_weighted, writer, path = ranker.is_weighted, ranker.writer, ranker.path
    signatures = signatures_of(path)

    def logits(batch, signature):
        inputs = writer.inputs(batch, signature)
        inputs = {name: tf.constant(array) for name, array in inputs.items()}
        return signatures[signature](**inputs)["logits"].numpy()

    for counts in COUNTS:
        for longest in (3, 0):
            requests, repeated = requests_of(counts, is_weighted, longest=longest)
            got = logits(requests, "serving_candidates")
            wanted = logits(repeated, "serving_packed")
            np.testing.assert_allclose(got, wanted, **CLOSE)
            assert name != "deepfm_ranker" or np.array_equal(got, wanted)
            assert got.shape == (sum(counts), ranker.model.num_outputs)
    metadata = Metadata.read(path)
    # In the order of the model, whatever the order they were declared in.
    assert (metadata.request_features, metadata.request_dense) == (["f1", "user id"], [1, 4])
    assert metadata.signatures[-1] == "serving_candidates"


@pytest.mark.parametrize(
    "shared, columns", [([], [0]), (FEATURES, []), (["f1"], list(range(DENSE)))]
)
def test_levels_without_features_or_columns(shared, columns):
    """Inputs that a level has none of are not in the signature."""
    model = FAMILIES["dlrm"]()
    model.build()
    levels = Levels.of(FEATURES, DENSE, shared, columns)
    with execution.using(execution.Execution(portable=True)):
        serve, specs = CandidateSignature(model, levels).make()
        rank = tf.function(serve, autograph=False).get_concrete_function(**specs)
    names = {name: name.replace(" ", "_") for name in FEATURES}
    metadata = Metadata("DLRM", {}, DENSE, 1, names, False, -1, [])
    metadata = dataclasses.replace(
        metadata, request_features=levels.request.features, request_dense=levels.request.dense
    )
    requests, repeated = requests_of([2, 3], shared=shared, columns=columns)
    inputs = candidate_inputs(requests, metadata)
    got = rank(**{name: tf.constant(array) for name, array in inputs.items()})["logits"]
    np.testing.assert_allclose(got, predict(model, repeated), **CLOSE)
    assert set(inputs) == set(specs)
    assert ("request_dense_features" in specs) == bool(columns)
    assert ("candidate_dense_features" in specs) == (len(columns) < DENSE)
    assert ("request_values" in specs) == bool(shared)
    assert ("candidate_values" in specs) == (len(shared) < len(FEATURES))


def test_smaller_tables_single_ids_and_policies(tmp_path):
    """Stores of an export, the gather of single ids, and what bad ids mean, are those of rows."""
    policies = ["clip", "hash", "oov", "drop"]
    tables = [
        EmbeddingBagConfig(ROWS, 64, policy, id_policy=policy, feature_names=[policy, f"{policy}_"])
        for policy in policies
    ]
    model = DLRM(EmbeddingBagCollection(tables), DENSE, [64], [8, 1])
    path = export(model, tmp_path, table_dtype="int8", request_features=policies)
    bad = tf.ragged.constant([[1, -3, 4], [ROWS + 5]], tf.int64)
    single = tf.constant([3, -2, ROWS + 1], tf.int64)
    dense = batch(3)["dense_features"]
    requests = {
        "request": {"sparse_features": dict.fromkeys(policies, bad)},
        "candidates": {
            "dense_features": dense,
            "sparse_features": {f"{policy}_": single for policy in policies},
        },
        "num_candidates": [1, 2],
    }
    repeated = {f"{policy}_": single for policy in policies}
    repeated |= dict.fromkeys(policies, tf.gather(bad, [0, 1, 1]))
    np.testing.assert_allclose(
        ask(path, requests, "serving_candidates"),
        ask(path, {"dense_features": dense, "sparse_features": repeated}),
        **CLOSE,
    )


def test_request_rows_are_read_once():
    """Of a bag of a request its own rows are read, however many candidates there are."""
    read = []

    class Counted(VariableRows):
        def read_rows(self, rows):
            read.append(int(tf.size(rows)))
            return super().read_rows(rows)

    table = EmbeddingBagConfig(ROWS, DIM, "t", feature_names=["seen", "item"])
    model = DLRM(EmbeddingBagCollection([table]), DENSE, [DIM], [8, 1])
    model.build()
    tables = model.embedding_bag_collection
    stores = {tables.table_stacks[0]: Counted(tables.table_variables[0].value)}
    levels = Levels.of(["seen", "item"], DENSE, ["seen"], None)
    seen = KeyedJaggedTensor(["seen"], tf.range(10), lengths=tf.constant([10]))
    item = KeyedJaggedTensor(["item"], tf.range(500) % ROWS, lengths=tf.ones([500], tf.int32))
    with execution.using(execution.Execution(portable=True, rows=stores)):
        request_of = tf.zeros([500], tf.int32)
        (pooled,) = pooled_levels(model, levels, seen, item, 1, request_of).values()
    assert read == [10, 500]
    rows = tables.read_table("t").numpy()
    expected = np.stack([np.tile(rows[:10].sum(0), [500, 1]), rows[np.arange(500) % ROWS]], 1)
    np.testing.assert_allclose(pooled.repeated(), expected, rtol=1e-5, atol=1e-7)


def test_declarations_that_do_not_fit(tmp_path):
    """Each is refused by what it named, before anything is written."""
    model = FAMILIES["dlrm"]()
    for arguments, text in (
        ({"request_features": ["f1", "usr"]}, r"features of the model, .* received \['usr'\]"),
        ({"request_features": "f1"}, "request_features must be a list of str, received 'f1'"),
        ({"request_features": 3}, "request_features must be a list of str, received 3"),
        ({"request_features": ["f1", "f1"]}, r"name each once, received \['f1'\] more than once"),
        ({"request_dense": [0, 5]}, r"from 0 to 4, received \[0, 5\]"),
        ({"request_dense": [-1]}, r"request_dense must be a list of distinct columns"),
        ({"request_dense": ["age"]}, r"request_dense must be .*, received \['age'\]"),
        ({"request_dense": 3}, "request_dense must be .*, received 3"),
        ({"request_dense": [2, 2]}, r"request_dense must name each once, received \[2\]"),
        (
            {"request_features": FEATURES, "request_dense": range(DENSE)},
            "name all inputs of the model, .* nothing would distinguish candidates",
        ),
    ):
        with pytest.raises(ValueError, match=text):
            export(model, tmp_path, **arguments)
    assert not list(tmp_path.iterdir())


class ReadsForm(DLRM):
    """A model that adds the number of ids, whatever the form of its sparse features."""

    def rank(self, dense_features, sparse_features):
        ids = sparse_features
        ids = ids.values() if isinstance(ids, KeyedJaggedTensor) else ids
        return super().rank(dense_features, sparse_features) + tf.cast(tf.size(ids), tf.float32)


def test_a_model_that_reads_ids_itself_is_refused(tmp_path):
    """What is looked up before the model is called would be missed."""
    model = ReadsForm(collection(), DENSE, [6, DIM], [8, 1])
    with pytest.raises(ValueError, match="ReadsForm reads sparse_features in other ways than"):
        export(model, tmp_path, request_features=["f1"], sample=batch(4))
    assert not list(tmp_path.iterdir())
    export(model, tmp_path, sample=batch(4))


def test_requests_are_columns_in_rest(exported):
    """Names, order and sizes of the inputs, of two requests with three candidates."""
    requests, _ = requests_of([1, 2])
    ids = {"f1": [[1, 2], []], "user id": [[3], [4]]}
    requests["request"]["sparse_features"] = {n: tf.ragged.constant(v) for n, v in ids.items()}
    requests["candidates"]["sparse_features"] = {"f3": tf.constant([7, 8, 9])}
    writer = exported("dlrm").writer
    inputs = writer.inputs(requests, "serving_candidates")
    assert {name: array.tolist() for name, array in inputs.items() if "dense" not in name} == {
        "num_candidates": [1, 2],
        "request_values": [1, 2, 3, 4],
        "request_lengths": [2, 0, 1, 1],
        "candidate_values": [7, 8, 9],
        "candidate_lengths": [1, 1, 1],
    }
    assert inputs["request_dense_features"].shape == (2, 2)
    assert inputs["candidate_dense_features"].shape == (3, 3)
    text = writer.rest(requests, "serving_candidates")
    assert text.startswith('{"signature_name": "serving_candidates", "inputs": {"num_candidates":')


def test_requests_that_do_not_fit_are_not_written(exported):
    """By the part and the feature."""
    writer, (good, _) = exported("dlrm").writer, requests_of([1, 2])
    ours, theirs = good["request"], good["candidates"]
    both = {**theirs["sparse_features"], "f1": tf.zeros([3, 1], tf.int64)}
    unknown = {**theirs["sparse_features"], "f9": tf.zeros([3, 1], tf.int64)}
    for changes, text in (
        (
            {"candidates": {**theirs, "sparse_features": both}},
            "'f1'] of 'candidates' belong to the",
        ),
        ({"candidates": {**theirs, "sparse_features": unknown}}, r"Unknown sparse features \['f9'"),
        ({"candidates": {**theirs, "sparse_features": {}}}, r"sparse_features must have \['f3'\]"),
        (
            {"request": {"sparse_features": ours["sparse_features"]}},
            "'request' must be a dict with",
        ),
        ({"num_candidates": [1, 1]}, "2 requests with 2 candidates, so 'candidates' must have 2 r"),
        ({"num_candidates": [3]}, "1 requests with 3 candidates, so 'request' must have 1 rows"),
        ({"num_candidates": [4, -1]}, r"0 or above, received \[4, -1\]"),
        ({"num_candidates": [[1, 2]]}, r"must be a list with the number .* received \[\[1, 2\]\]"),
        ({"num_candidates": [1.0, 2.0]}, r"must be a list with the number"),
        ({"labels": [1]}, r"takes a dict with \['request', 'candidates', 'num_candidates'\]"),
    ):
        with pytest.raises(ValueError, match=text):
            writer.inputs({**good, **changes}, "serving_candidates")
    with pytest.raises(
        ValueError, match="signature must be one of .*received 'serving_candidates'"
    ):
        without = dataclasses.replace(writer.metadata, signatures=list(SIGNATURES))
        RequestWriter(without).inputs(good, "serving_candidates")
