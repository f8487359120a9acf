"""Exports answer what `model.predict` gives where there is no Keras and no Python TensorFlow."""

import itertools
import re

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from benchmarks.c_api import signature_tensors
from tests.serving.runners import RUNNERS, Runner
from tests.support.exports import Ranker
from tests.support.serving import FAMILIES, ROWS, forms
from tfrec_models import DLRM
from tfrec_models.datasets import Dense, Schema, Sparse, read
from tfrec_models.optimizers import RowWiseAdagrad
from tfrec_models.serving import RequestWriter, export
from tfrec_models.serving.signatures import SIGNATURES

BATCHES = {
    "0 examples": {"examples": 0},
    "1 example": {"examples": 1},
    "7 examples": {"examples": 7},
    "4096 examples": {"examples": 4096},
    "empty bags": {"examples": 5, "longest": 0},
    "10,000 ids": {"examples": 1, "longest": 0},
}


def batches_of_sizes(model):
    """Ragged batches of every size that each family is asked."""
    batches = {name: model.batch(**arguments) for name, arguments in BATCHES.items()}
    sparse = batches["10,000 ids"]["sparse_features"]
    ids = tf.constant(np.random.default_rng(0).integers(0, ROWS, [1, 10_000]))
    ids = tf.RaggedTensor.from_tensor(ids)
    weights = ids.with_values(tf.linspace(tf.constant(0.5), 2.0, 10_000))
    sparse["f1"] = (ids, weights) if model.is_weighted else ids
    return batches


def changed(inputs, **changes):
    """Inputs with some of them replaced."""
    return {**inputs, **{name: np.asarray(value) for name, value in changes.items()}}


def bad_inputs(model):
    """Cases of (signature, inputs), and what the message of each must have."""
    batch = model.batch(3)
    batch["sparse_features"]["f1"] = tf.ragged.constant([[1, 2], [3], [4, 5]], tf.int64)
    batch["sparse_features"]["f3"] = tf.ragged.constant([[1], [], [2]], tf.int64)
    flat = model.writer.inputs(batch)
    rows = model.writer.inputs(batch, "serving_rows")
    dense = flat["dense_features"]
    huge = 2**62
    cases = {
        "sum of lengths": (changed(flat, f1_lengths=[2, 1, 1]), '"f1".*a sum of 4 and 5 values'),
        "too few values": (changed(flat, f1_values=[1, 2]), '"f1"'),
        "negative length": (changed(flat, f1_lengths=[6, -1, 0]), '"f1".*lengths from -1'),
        "negative, right sum": (changed(flat, f1_lengths=[4, -1, 2]), '"f1".*lengths from -1'),
        "overflowing sum": (
            changed(flat, f1_lengths=[huge, huge, huge], f1_values=[1] * 5),
            '"f1".*between 0 and the number of values 5',
        ),
        "too few lengths": (changed(flat, f3_lengths=[1, 1]), '"f3_lengths".*2 entries and 3'),
        "id outside": (changed(flat, f1_values=[1, 2, 3, ROWS, 5]), '"f1": id 20 in example 2'),
        "negative id": (changed(flat, f1_values=[1, 2, -3, 4, 5]), '"f1": id -3 in example 1'),
        "NaN": (changed(flat, dense_features=dense * [[1], [np.nan], [1]]), "NaN.*in example 1"),
        "infinity": (
            changed(flat, dense_features=dense * [[1], [1], [np.inf]]),
            "NaN.*in example 2",
        ),
        "dense width": (changed(flat, dense_features=dense[:, :4]), r"\(batch, 5\)|incompatible"),
        "one dense column": (changed(flat, dense_features=dense[:, :1]), r"\(batch, 5\)|incompat"),
        "no dense columns": (changed(flat, dense_features=dense[:, :0]), r"\(batch, 5\)|incompat"),
        "ids of int32": (changed(flat, f1_values=flat["f1_values"].astype(np.int32)), "int64"),
        "ids of float": (changed(flat, f1_values=flat["f1_values"].astype(np.float32)), "int64"),
    }
    cases = {
        name: ("serving_default", _as_float32(inputs), text)
        for name, (inputs, text) in cases.items()
    }
    cases |= {f"packed: {name}": case for name, case in bad_packed(model, batch).items()}
    cases["rows: batch sizes"] = (
        "serving_rows", changed(rows, f1=rows["f1"][:2]), '"f1".*2 entries and 3 examples'
    )  # fmt: skip
    cases["rows: id outside"] = (
        "serving_rows", changed(rows, f1=rows["f1"] + ROWS), '"f1": id 21 in example 0'
    )  # fmt: skip
    # TensorFlow's own words; what counts is that no kernel trusts the rank in the signature.
    for name, f1 in {"rank 1": rows["f1"][:, 0], "rank 3": rows["f1"][:, :, None]}.items():
        cases[f"rows: {name}"] = ("serving_rows", changed(rows, f1=f1), "dimension|[Rr]ank|shape")
    cases["lengths of rank 2"] = (
        "serving_default", changed(flat, f1_lengths=[[2, 1, 2]]), "dimension|[Rr]ank|shape"
    )  # fmt: skip
    for name, example, text in bad_examples(model.writer.examples(batch)[0]):
        inputs = {"examples": np.array([example], object)}
        cases[f"example: {name}"] = ("serving_examples", inputs, text)
    return cases


def bad_packed(model, batch):
    """Cases of (signature, inputs, text of the message); f1 has lengths 2, 1, 2 and f3 1, 0, 1."""
    good = model.writer.inputs(batch, "serving_packed")
    values, lengths, dense = good["values"], good["lengths"], good["dense_features"]
    huge, rank = 2**62, "dimension|[Rr]ank|[Ss]hape"
    cases = {
        "sum of lengths": (
            changed(good, lengths=lengths + np.eye(9, dtype=int)[0]),
            rf"lengths must sum to the number of ids in values, received a sum of {len(values) + 1}"
            rf" and {len(values)} ids.*\['f1', 'f3', 'user id'\]. sum to .\[6 2 ",
        ),
        "too few values": (changed(good, values=values[1:]), "a sum of"),
        "no values": (changed(good, values=values[:0]), '"f1".*number of values 0, received'),
        "negative, right sum": (
            changed(good, lengths=[*lengths[:3], 2, -1, 1, *lengths[6:]]),
            '"f3": each of "lengths".*lengths from -1 to 2',
        ),
        "overflowing sum": (
            changed(good, lengths=[*lengths[:3], huge, huge, huge, *lengths[6:]]),
            f'"f3".*between 0 and the number of values {len(values)}',
        ),
        "too few lengths": (
            changed(good, lengths=lengths[1:]),
            "3 examples of 3 features 9 entries, received 8",
        ),
        "id outside": (changed(good, values=[ROWS, *values[1:]]), '"f1": id 20 in example 0'),
        "NaN": (changed(good, dense_features=dense * [[1], [np.nan], [1]]), "NaN.*in example 1"),
        "dense width": (changed(good, dense_features=dense[:, :4]), r"\(batch, 5\)|incompatible"),
        "lengths of rank 2": (changed(good, lengths=lengths[np.newaxis]), rank),
        "values of rank 2": (changed(good, values=values[np.newaxis]), rank),
        "ids of int32": (changed(good, values=values.astype(np.int32)), "int64"),
    }
    return {
        name: ("serving_packed", _as_float32(inputs), text)
        for name, (inputs, text) in cases.items()
    }


def bad_weights(model):
    """Cases of (signature, inputs, text of the message) for a weighted collection."""
    batch = model.batch(3)
    ids = tf.ragged.constant([[1, 2], [3], [4]], tf.int64)
    batch["sparse_features"]["f1"] = (ids, tf.cast(ids, tf.float32))
    batch["sparse_features"]["f3"] = (ids, tf.cast(ids, tf.float32))
    flat = model.writer.inputs(batch)
    rows = model.writer.inputs(batch, "serving_rows")
    examples = model.writer.examples(batch)
    # One weight too few in an example and one too many in the next: the sums would agree.
    lists = [example.features.feature["f1_weights"].float_list.value for example in examples]
    lists[1].append(lists[0].pop())
    serialized = np.array([example.SerializeToString() for example in examples], object)
    text = '"f1" must have as many weights as ids, received '
    packed = model.writer.inputs(batch, "serving_packed")
    weights = packed["weights"]
    marked = weights.copy()
    marked[4] = np.inf
    return {
        "packed: weights": (
            "serving_packed",
            changed(packed, weights=weights[1:]),
            f"weights must have as many weights as ids, received {len(weights) - 1} weights and "
            f"{len(weights)} ids",
        ),
        "packed: infinite weights": (
            "serving_packed",
            changed(packed, weights=marked),
            '"f3" must have finite weights',
        ),
        "weights": ("serving_default", changed(flat, f1_weights=flat["f1_weights"][:3]), text),
        "NaN weights": (
            "serving_default",
            changed(flat, f1_weights=flat["f1_weights"] * np.float32([1, np.nan, 1, 1])),
            '"f1" must have finite weights',
        ),
        "rows: weights": ("serving_rows", changed(rows, f1_weights=rows["f1_weights"][:2]), text),
        "example: weights": (
            "serving_examples",
            {"examples": serialized},
            text + "1 weights and 2 ids in example 0",
        ),
    }


BAD = {"dlrm": bad_inputs, "dlrm_weighted_two_outputs": bad_weights}


def _as_float32(inputs):
    return {
        name: array.astype(np.float32) if array.dtype == np.float64 else array
        for name, array in inputs.items()
    }


def bad_examples(good):
    """(name, serialized `tf.Example`, text of the message)."""

    def without(name):
        example = tf.train.Example.FromString(good.SerializeToString())
        del example.features.feature[name]
        return example

    yield "feature missing", without("f3").SerializeToString(), '"f3" is missing: example 0'
    yield "dense missing", without("dense_features").SerializeToString(), "dense_features"
    floats = without("f1")
    floats.features.feature["f1"].float_list.value.append(1.0)
    yield "ids of float", floats.SerializeToString(), "f1.*int64"
    strings = without("f1")
    strings.features.feature["f1"].bytes_list.value.append(b"1")
    yield "ids of bytes", strings.SerializeToString(), "f1.*int64"
    whole = without("dense_features")
    whole.features.feature["dense_features"].int64_list.value.extend([1] * 5)
    yield "dense of int64", whole.SerializeToString(), "dense_features.*float"
    short = without("dense_features")
    short.features.feature["dense_features"].float_list.value.append(1.0)
    yield "dense width", short.SerializeToString(), "dense_features"
    yield "nothing", b"", "dense_features"
    yield "no tf.Example", b"{}", "Could not parse"


@pytest.fixture(scope="session")
def runners(tmp_path_factory):
    """The processes, each started once."""
    folder = tmp_path_factory.mktemp("runners")
    started = {script: Runner(script, folder / script) for script in RUNNERS}
    yield started
    for runner in started.values():
        runner.close()


def ask(runners, path, cases):
    """What each runner gives for each case; all work at the same time."""
    for runner in runners.values():
        runner.ask(str(path), signature_tensors(path), cases)
    return {name: runner.answers() for name, runner in runners.items()}


def check_nothing_foreign(answers):
    """Any TensorFlow of the version can run it: its own ops, and nothing for XLA to compile."""
    foreign = answers["run_without_keras"]["foreign"]
    assert foreign["nodes"] > 100
    assert (foreign["ops"], foreign["compiled"]) == ([], [])


# Of these every form is asked, by the command-line tool too; forms and tool know no families.
IN_EVERY_FORM = ("dlrm", "dlrm_weighted_two_outputs")


def test_equals_predict(family, exported, runners):
    """Every signature and size, and every form, by both runners and the tool, to the last bit.

    With stock ops and without XLA. One test a family, so that each question is asked once, however
    tests are spread over processes.
    """
    model = exported(family)
    cases, expected = {}, {}
    batches = batches_of_sizes(model)
    batches_of_forms = forms(6, model.is_weighted) if family in IN_EVERY_FORM else {}
    for name, batch in {**batches, **batches_of_forms}.items():
        # The batches of all sizes come first, and are ragged.
        is_new_form = name in batches_of_forms and name != "ragged"
        prediction = model.predict(batch, retrace=is_new_form)
        for signature in SIGNATURES:
            cases[name, signature] = (signature, model.writer.inputs(batch, signature))
            expected[name, signature] = prediction
            if name == "ragged":
                cases["by the tool", signature] = cases[name, signature]
                expected["by the tool", signature] = prediction
    answers = ask(runners, model.path, cases)
    check_nothing_foreign(answers)
    for runner, case in itertools.product(RUNNERS, cases):
        got, where = answers[runner][case], f"{runner}, {case}"
        assert isinstance(got, dict), f"{where}: {got}"
        np.testing.assert_array_equal(got[model.output], expected[case], err_msg=where)
        assert got["logits"].dtype == got["probabilities"].dtype == np.float32
        with np.errstate(over="ignore"):  # 1 / infinity is the right 0
            probabilities = 1 / (1 + np.exp(-got["logits"]))
        np.testing.assert_allclose(got["probabilities"], probabilities, rtol=1e-6)


def test_nothing_is_left_of_kernels_and_xla(kernels, runners, tmp_path, monkeypatch):
    """A model that native kernels and XLA trained just before is exported without either."""
    keras.utils.set_random_seed(1)
    # The kernels look up, and XLA compiles the cross network.
    trained = Ranker(FAMILIES["dlrm_dcn"]())
    trained.model.compile(RowWiseAdagrad(0.1), keras.losses.BinaryCrossentropy(from_logits=True))
    data = tf.data.Dataset.from_tensors((trained.batch(8), trained.labels(8)))
    step, traced = trained.model.train_step, []

    def train_step(batch):
        logs = step(batch)
        traced.append(tf.compat.v1.get_default_graph().as_graph_def())
        return logs

    monkeypatch.setattr(trained.model, "train_step", train_step)
    trained.model.fit(data, verbose=0)
    functions = traced[0].library.function
    nodes = [*traced[0].node, *(node for function in functions for node in function.node_def)]
    assert {"TfrecPooledLookup", "TfrecUpdateRows"} <= {node.op for node in nodes}
    assert any("_XlaMustCompile" in part.attr for part in [*functions, *nodes])
    trained.path = export(trained.model, tmp_path)
    inputs = RequestWriter(trained.path).inputs(trained.batch(7))
    answers = ask(runners, trained.path, {"7 examples": ("serving_default", inputs)})
    check_nothing_foreign(answers)
    expected = trained.predict(trained.batch(7))
    for runner in RUNNERS:
        np.testing.assert_array_equal(answers[runner]["7 examples"]["logits"], expected)


def bad_candidates(writer):
    """Cases of (signature, inputs, text); two requests, with one candidate and with two."""
    dense = tf.reshape(tf.linspace(-1.0, 1.0, 15), [3, 5])
    sparse = {name: tf.ragged.constant([[1, 2], [3]], tf.int64) for name in ("f1", "user id")}
    request = {"dense_features": dense[:2, :2], "sparse_features": sparse}
    candidates = {
        "dense_features": dense[:, 2:],
        "sparse_features": {"f3": tf.constant([4, 5, 6], tf.int64)},
    }
    good = {"request": request, "candidates": candidates, "num_candidates": [1, 2]}
    good = writer.inputs(good, "serving_candidates")
    ours, theirs = good["request_dense_features"], good["candidate_dense_features"]
    lengths, values = good["request_lengths"], good["request_values"]
    counts = "one number for each request, between 0 and the 3 candidates of the call, received "
    cases = {
        "too few": (
            {"num_candidates": [1, 1]},
            "num_candidates must sum to the number of candidates, received a sum of 2 and 3",
        ),
        "negative": ({"num_candidates": [4, -1]}, counts + "numbers from -1 to 4"),
        "overflowing": ({"num_candidates": [2**62] * 4 + [3]}, counts),
        "rank": ({"num_candidates": [[1, 2]]}, "dimension|[Rr]ank|[Ss]hape"),
        "requests": (
            {"num_candidates": [1, 1, 1]},
            "request_dense_features must have one row for each of the requests in num_candidates, "
            "received 2 rows and 3 requests",
        ),
        "request lengths": (
            {"request_lengths": lengths[1:]},
            "request_lengths must have one entry for each of the requests.*2 requests of 2 features"
            " 4 entries, received 3",
        ),
        "request values": ({"request_values": values[1:]}, "request_lengths must sum to the numb"),
        "candidate lengths": (
            {"candidate_lengths": [1, 1]},
            "candidate_lengths must have one entry for each of the candidates",
        ),
        "request id": ({"request_values": [1, 2, ROWS, *values[3:]]}, '"f1": id 20 in example 1'),
        "candidate id": ({"candidate_values": [4, 5, -6]}, '"f3": id -6 in example 2'),
        "NaN": (
            {"request_dense_features": ours * [[1], [np.nan]]},
            "request_dense_features must be finite numbers.*in example 1",
        ),
        "infinity": (
            {"candidate_dense_features": theirs * [[np.inf], [1], [1]]},
            "candidate_dense_features must be finite numbers.*in example 0",
        ),
    }
    bad = {
        name: ("serving_candidates", _as_float32(changed(good, **changes)), text)
        for name, (changes, text) in cases.items()
    }
    return good, bad


def test_candidates_outside_python(runners, exported):
    """They score as the same rows by `serving_packed`, and what does not fit is refused."""
    path, writer = exported("dlrm").path, exported("dlrm").writer
    good, bad = bad_candidates(writer)
    cases = {name: request for name, (*request, _) in bad.items()}
    cases["good"] = ("serving_candidates", good)
    # The request's columns are 1 and 4.
    in_order = np.argsort([1, 4, 0, 2, 3])
    of, ids = [0, 1, 1], tf.ragged.constant([[1, 2], [3]], tf.int64)
    rows = {
        "dense_features": tf.concat(
            [tf.gather(good["request_dense_features"], of), good["candidate_dense_features"]], 1
        ).numpy()[:, in_order],
        "sparse_features": {
            "f3": tf.constant([4, 5, 6]),
            **dict.fromkeys(["f1", "user id"], tf.gather(ids, of)),
        },
    }
    cases["rows"] = ("serving_packed", writer.inputs(rows, "serving_packed"))
    for name, answers in ask(runners, path, cases).items():
        if name == "run_without_keras":
            check_nothing_foreign({name: answers})
        # The request's half is summed apart from the candidate's.
        np.testing.assert_allclose(
            answers["good"]["logits"], answers["rows"]["logits"], rtol=0, atol=1e-6
        )
        for case, (_, _, text) in bad.items():
            assert isinstance(answers[case], tuple), f"{name}, {case} was answered"
            message = answers[case][1].replace("\\", "")
            assert re.search(text, message, re.DOTALL), f"{name}, {case}: {message}"


def test_raw_columns_outside_python(runners, tmp_path):
    """Hashes, vocabularies and transforms are stock operations, with their tables in the file."""
    log = {"y": [0.0, 1.0], "price": [3.0, 9.5], "user": ["u7", "u8"], "item": ["fig", "pear"]}
    schema = Schema(
        label="y",
        dense=[Dense("price", transform="log1p")],
        sparse=[Sparse("user", ids="hash", num_ids=9), Sparse("item", ids="vocabulary")],
    )
    schema.fit(pa.table(log), progress=False)
    model = DLRM(schema.collection(4), 1, [4], [4, 1])
    path = export(model, tmp_path, schema=schema)
    writer = RequestWriter(path)
    rows = {**log, "item": ["pear", "melon"]}
    batch = next(iter(read(pa.table(rows), schema, batch_size=2)))[0]
    cases = {
        name: (name, writer.inputs(rows, name)) for name in ("serving_raw", "serving_raw_examples")
    }
    cases["prepared"] = ("serving_packed", writer.inputs(batch, "serving_packed"))
    for name, answers in ask(runners, path, cases).items():
        if name == "run_without_keras":
            check_nothing_foreign({name: answers})
        for case in cases:
            np.testing.assert_array_equal(
                answers[case]["logits"], answers["prepared"]["logits"], err_msg=f"{name}, {case}"
            )


@pytest.mark.parametrize("family", BAD)
def test_bad_input_is_an_error_status(family, exported, runners):
    """Each is refused with a message that says what is wrong, and the process lives on."""
    model = exported(family)
    bad = BAD[family](model)
    cases = {name: request for name, (*request, _) in bad.items()}
    cases["good"] = ("serving_default", model.writer.inputs(model.batch(3)))
    for runner, answers in ask(runners, model.path, cases).items():
        for case, (_, _, text) in bad.items():
            got, where = answers[case], f"{runner}, {case}"
            assert isinstance(got, tuple), f"{where} was answered"
            code, message = got
            if runner == "run_with_c_api":
                assert code == 3, f"{where}: {got}"
            message = message.replace("\\", "")
            assert re.search(text, message, re.DOTALL), f"{where}: {message}"
        assert isinstance(answers["good"], dict), answers["good"]
