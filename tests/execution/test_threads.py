"""How a function runs belongs to its trace: threads that trace at once do not disturb each other.

One thread is held in the middle of its trace, inside the interaction, until every other call was
made in another. `TFREC_OVERLAPS=20` repeats every overlap.
"""

import os
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig, execution
from tfrec_models.dlrm import InteractionArch
from tfrec_models.optimizers import CompositeOptimizer, RowWiseAdagrad
from tfrec_models.serving import export

CALLS = ("fit", "evaluate", "predict", "export", "export_int8")
OVERLAPS = int(os.environ.get("TFREC_OVERLAPS", "1"))
WAIT_SECONDS = 120
# The last batch is a partial one.
EXAMPLES, BATCH = 10, 4


class Meeting:
    """Holds one thread inside its trace until the other thread is done."""

    def __init__(self):
        self.seen = []
        self.inside = threading.Event()
        self.other_is_done = threading.Event()
        self.held = None

    def trace(self, tensor):
        """Called where the interaction is traced or called."""
        name = threading.current_thread().name
        graph = getattr(tensor, "graph", None)
        ops = set() if graph is None else {op.type for op in graph.get_operations()}
        self.seen.append((name, execution.current(), "TfrecPooledLookup" in ops))
        if name == self.held and not self.inside.is_set():
            self.inside.set()
            self.other_is_done.wait(WAIT_SECONDS)


class MeetingPoint(InteractionArch):
    """A dot interaction that tells a `Meeting` when it is traced."""

    meeting = None

    def call(self, dense_features, sparse_features):
        if self.meeting is not None:
            self.meeting.trace(sparse_features)
        return super().call(dense_features, sparse_features)


def make_model():
    keras.utils.set_random_seed(3)
    tables = [EmbeddingBagConfig(20, 16, f"t{i}", feature_names=[f"f{i}"]) for i in range(2)]
    model = DLRM(EmbeddingBagCollection(tables), 3, [16], [8, 1], inter_arch=MeetingPoint(2))
    model.compile(
        CompositeOptimizer(RowWiseAdagrad(0.1), keras.optimizers.SGD(0.1)),
        keras.losses.BinaryCrossentropy(from_logits=True),
    )
    model.build()
    return model


def dataset(form):
    rng = np.random.default_rng(0)
    bags = tf.RaggedTensor.from_row_lengths(
        rng.integers(0, 20, 3 * EXAMPLES * 2), np.full(EXAMPLES * 2, 3)
    )
    packed = tf.RaggedTensor.from_uniform_row_length(bags, 2)
    sparse = packed if form == "packed" else {f"f{i}": packed[:, i] for i in range(2)}
    dense = tf.constant(rng.normal(size=(EXAMPLES, 3)), tf.float32)
    labels = tf.constant(rng.integers(0, 2, (EXAMPLES, 1)), tf.float32)
    features = {"dense_features": dense, "sparse_features": sparse}
    return tf.data.Dataset.from_tensor_slices((features, labels)).batch(BATCH)


def run(model, call, form, directory):
    """Makes one call and returns numbers that say what it did."""
    if call == "fit":
        model.fit(dataset(form), epochs=2, verbose=0)
        return [w.numpy() for w in model.trainable_variables]
    if call == "evaluate":
        return [np.array(model.evaluate(dataset(form), verbose=0))]
    if call == "predict":
        return [model.predict(dataset(form), verbose=0)]
    path = export(model, directory, table_dtype="int8" if call == "export_int8" else None)
    loaded = tf.saved_model.load(path)
    ids = np.array([1, 2, 19, 0])
    outputs = loaded.signatures["serving_default"](
        dense_features=tf.ones((2, 3)),
        **{f"f{i}_values": tf.constant(ids) for i in range(2)},
        **{f"f{i}_lengths": tf.constant([3, 1], tf.int64) for i in range(2)},
    )
    return [outputs["logits"].numpy()]


def start(name, function):
    result = []

    def target():
        try:
            result.append(function())
        except BaseException as error:  # noqa: BLE001, shown by the thread that joins
            result.append(error)

    thread = threading.Thread(target=target, name=name)
    thread.start()
    return thread, result


def overlap(first, others, models, tmp_path):
    """Makes all `others`, in turn, while `first` is in the middle of its trace.

    Returns:
        The result of `first`, the results of the others by call, the traces that were seen, and
        whether the others were done before the first went on.
    """
    meeting = Meeting()
    meeting.held = "held"
    for model in models:
        model.inter_arch.meeting = meeting

    def make_others():
        results = {}
        for call in others:
            threading.current_thread().name = call
            results[call] = run(models[-1], call, "packed", tmp_path / "other" / call)
        return results

    held, held_result = start("held", lambda: run(models[0], first, "packed", tmp_path / "held"))
    assert meeting.inside.wait(WAIT_SECONDS)
    other, results = start("other", make_others)
    other.join(WAIT_SECONDS)
    overlapped = not other.is_alive()
    meeting.other_is_done.set()
    for thread in (held, other):
        thread.join()
    for part in (held_result, results):
        if isinstance(part[0], BaseException):
            raise part[0]
    return held_result[0], results[0], meeting.seen, overlapped


def check(found, wanted):
    for part, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(part, other, rtol=1e-6, atol=1e-7)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What each call gives by itself, before and after one `fit`."""
    results, model = {}, make_model()
    compared = [(call, "packed") for call in CALLS[1:]] + [("predict", "dict"), ("export", "dict")]
    for state in ("new", "trained"):
        for call, form in compared:
            results[call, form, state] = run(model, call, form, tmp_path_factory.mktemp(call))
        if state == "new":
            results["fit", "packed", state] = run(model, "fit", "packed", None)
    return results


def others_of(first):
    """All calls that may overlap with `first` on one model; `fit` is the last.

    Two calls of one function of one model wait for each other: TensorFlow traces a function once.
    Two fits would train it twice.
    """
    return [call for call in CALLS[::-1] if call != first or call.startswith("export")]


OVERLAPPING = [("one", first, others_of(first)) for first in CALLS]
OVERLAPPING += [("two", "fit", CALLS[::-1]), ("two", "export", ["export_int8"])]


@pytest.mark.parametrize(("models", "first", "others"), OVERLAPPING)
def test_overlapping_traces(alone, kernels, models, first, others, tmp_path):
    """Each call that overlaps with a trace, and each call after, equals the same call alone."""
    for number in range(OVERLAPS):
        chosen = [make_model()] if models == "one" else [make_model(), make_model()]
        held, found, seen, overlapped = overlap(first, others, chosen, tmp_path / str(number))
        assert overlapped, "a call waited for the first trace"
        # Keras keeps one running loss for all calls of a model, which overlapping calls share.
        shares_loss = models == "one" and "fit" in (first, *others)
        # Where both train or read one model, the others ran whole before the first took a step.
        state = "trained" if models == "one" and "fit" in others else "new"
        if not (shares_loss and first == "evaluate"):
            check(held, alone[first, "packed", state])
        for call in others:
            if not (shares_loss and first == "fit" and call == "evaluate"):
                check(found[call], alone[call, "packed", "new"])
        for thread, how, kernels_used in seen:
            call = first if thread == "held" else thread
            is_saved = call.startswith("export")
            uses_xla = call in ("fit", "evaluate")
            assert (how.uses_xla, how.uses_kernels) == (uses_xla, not is_saved), (thread, how)
            assert kernels_used != is_saved
        assert execution.current() == execution.Execution()
        for model, calls in zip(
            chosen, [(first, *others)] if models == "one" else [(first,), others], strict=True
        ):
            state = "trained" if "fit" in calls else "new"
            check(run(model, "predict", "dict", tmp_path), alone["predict", "dict", state])
            if "export_int8" in calls:
                path = tmp_path / f"{number}c"
                check(run(model, "export", "dict", path), alone["export", "dict", state])


def test_uses_that_end_in_another_order():
    """The last one to end leaves nothing behind, also where a generator is given up in it."""
    before = execution.current()
    assert before.xla
    first, second = execution.changed(xla=False), execution.changed(xla=False)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not execution.current().xla
    second.__exit__(None, None, None)
    assert execution.current() == before

    def items():
        with execution.changed(kernels=False):
            yield 1

    given_up = items()
    next(given_up)
    with execution.changed(xla=False):
        given_up.close()
        assert not execution.current().xla
    assert execution.current() == before
