"""TorchRec's own numbers: 128 recorded cases, and how they are laid onto our layers."""

import functools
import json
import pathlib

import numpy as np
import tensorflow as tf

from tfrec_models import (
    EmbeddingBagCollection,
    EmbeddingBagConfig,
    KeyedJaggedTensor,
    deepfm,
    dlrm,
)
from tfrec_models.interop.torchrec import load_torchrec_state_dict
from tfrec_models.interop.torchrec.key_mapping import torchrec_entries

DIRECTORY = pathlib.Path(__file__).parents[1] / "oracle" / "cases"
CLOSE = {"atol": 1e-5, "rtol": 1e-5}
# The cases this process has compared something with; the end of a whole run asks for all.
COMPARED: set[str] = set()
# FBGEMM's backward of weighted MEAN forgets the 1/L on CPU: a bug that is not worth copying.
QUIRKS = {"fused_rowwise_adagrad_weighted_mean"}


@functools.cache
def index():
    """All cases by id."""
    cases = json.loads((DIRECTORY / "index.json").read_text())["cases"]
    return {case["id"]: case for case in cases}


def select(**wanted):
    """Ids of the cases whose fields are as wanted, such as class_name="DLRM"."""
    return [
        name
        for name, case in index().items()
        if all(
            (class_name(case) if field == "class_name" else case.get(field)) in value
            for field, value in wanted.items()
        )
    ]


def not_compared(compared):
    """The cases that no test compared anything with, but for the quirks."""
    return sorted(set(index()) - set(compared) - QUIRKS)


class Recording(dict):
    """The recorded arrays of a case, by name."""

    def __init__(self, name, arrays):
        super().__init__(arrays)
        self.name = name

    def compare(self, key, actual, atol=1e-5, rtol=1e-5):
        """Asserts that `actual` is what was recorded under `key`, and counts the case."""
        np.testing.assert_allclose(
            actual, self[key], rtol=rtol, atol=atol, err_msg=f"{self.name}: {key}"
        )
        COMPARED.add(self.name)


def arrays(name):
    """The recorded arrays of a case, as a `Recording`."""
    with np.load(DIRECTORY / f"{name}.npz") as archive:
        return Recording(name, archive)


def collection(case, is_weighted=False):
    """The case's tables as an EmbeddingBagCollection."""
    tables = [
        EmbeddingBagConfig(**{**table, "feature_names": tuple(table["feature_names"])})
        for table in case["tables"]
    ]
    return EmbeddingBagCollection(tables=tables, is_weighted=is_weighted)


def class_name(case):
    """The class of the case, without its module."""
    return case["class"].rsplit(".", 1)[1]


def kjt(case, recorded, weights=None, prefix="in/"):
    """The case's sparse input."""
    return KeyedJaggedTensor.from_offsets_sync(
        case["keys"],
        tf.constant(recorded[prefix + "values"]),
        tf.constant(recorded[prefix + "offsets"]),
        weights=weights,
    )


def weights_of(recorded, prefix="w/"):
    """TorchRec's state dict of the case."""
    return {
        key.removeprefix(prefix): value for key, value in recorded.items() if key.startswith(prefix)
    }


def load(layer, recorded):
    """Gives the layer the case's initial weights."""
    load_torchrec_state_dict(layer, weights_of(recorded))
    return layer


def check(layer, recorded, run):
    """Compares outputs, and the gradients of every weight and float input, with TorchRec's.

    Args:
        layer: the layer that `run` calls, with the case's weights.
        recorded: the case's `Recording`.
        run: function from a dict of float inputs to a dict of outputs, named as recorded.
    """
    floats = {
        key.removeprefix("grad/in/"): tf.constant(recorded[key.removeprefix("grad/")])
        for key in recorded
        if key.startswith("grad/in/")
    }
    with tf.GradientTape() as tape:
        tape.watch(list(floats.values()))
        outputs = run(floats)
        cotangents = weights_of(recorded, "cot/")
        loss = tf.add_n(
            [tf.reduce_sum(outputs[key] * cotangent) for key, cotangent in cotangents.items()]
            or [tf.zeros([])]
        )
    for key in weights_of(recorded, "out/"):
        recorded.compare(f"out/{key}", outputs[key])
    entries = torchrec_entries(layer)
    variables = {
        part.variable.path: part.variable.value
        for entry in entries.values()
        for part in _parts(entry)
    }
    gradients = tape.gradient(loss, {"variables": variables, "inputs": floats})
    for key in weights_of(recorded, "grad/w/"):
        gradient = [_taken(part, gradients["variables"]) for part in _parts(entries[key])]
        joined = np.concatenate(gradient) if len(gradient) > 1 else gradient[0]
        recorded.compare(f"grad/w/{key}", joined)
    for key, expected in weights_of(recorded, "grad/in/").items():
        gradient = gradients["inputs"][key]
        gradient = np.zeros_like(expected) if gradient is None else tf.convert_to_tensor(gradient)
        recorded.compare(f"grad/in/{key}", gradient)


def _parts(entry):
    """The entries that one key of TorchRec's joins, or itself."""
    return getattr(entry, "parts", [entry])


def _taken(entry, gradients):
    """This entry's part of the gradients by variable; zeros where there is none."""
    gradient = gradients[entry.variable.path]
    if gradient is None:
        return np.zeros(entry.shape, np.float32)
    return entry.take(tf.convert_to_tensor(gradient).numpy())


def make_model(case):
    """The case's model."""
    module = deepfm if class_name(case) == "SimpleDeepFMNN" else dlrm
    model_class = getattr(module, class_name(case))
    return model_class(embedding_bag_collection=collection(case), **case["ctor"])
