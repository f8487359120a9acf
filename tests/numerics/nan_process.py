"""Run in a process of its own with oneDNN on: says where a NaN of the input is answered by none."""

import sys
import tempfile

import keras
import numpy as np
import tensorflow as tf

from tests.numerics.models import FAMILIES, make
from tfrec_models.layers import MLP, LowRankMixtureCrossNet
from tfrec_models.serving import export

ACTIVATIONS = [
    *("relu", "relu6", "hard_shrink", "soft_shrink", "hard_sigmoid", "hard_tanh"),
    *("leaky_relu", "celu", "elu", "selu", "sparse_plus", "sparse_sigmoid", "squareplus"),
    *(tf.nn.relu, tf.nn.relu6, tf.nn.leaky_relu, keras.activations.relu),
    lambda x: keras.activations.relu(x, threshold=1.0),
    lambda x: keras.activations.relu(x, max_value=2.0),
    lambda x: tf.where(x > 0.5, x, 0.0),
]
dense = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")
dense[5] = np.nan
ids = np.zeros((32, 2), "int64")
hidden = []


def look(name, outputs):
    if not np.isnan(np.asarray(outputs, "float32").reshape(32, -1)[5]).all():
        hidden.append(name)


for activation in ACTIVATIONS:
    for dtype in ("float32", "bfloat16"):
        mlp = MLP(3, [16, 8], activation=activation, dtype=dtype)
        look(f"MLP {activation} {dtype}", tf.cast(tf.function(mlp)(dense), "float32"))
for activation in ("relu", "hard_shrink"):
    net = LowRankMixtureCrossNet(3, 1, num_experts=2, low_rank=2, activation=activation)
    look(f"mixture {activation}", tf.function(net)(dense))
    look(f"mixture {activation}, eager", net(dense))
for family in FAMILIES:
    model = make(family)
    x = {"dense_features": dense, "sparse_features": ids}
    look(f"{family}, predict", model.predict(x, verbose=0))
    if family in ("DLRM", "DeepFMRanker"):
        with tempfile.TemporaryDirectory() as directory:
            served = tf.saved_model.load(str(export(model, directory)))
            signature = served.signatures["serving_default"]
            names = signature.structured_input_signature[1]
            feed = {
                name: tf.constant(dense if name == "dense_features" else ids[:, 0], spec.dtype)
                for name, spec in names.items()
                if not name.endswith("_lengths")
            }
            feed.update({n: tf.ones(32, s.dtype) for n, s in names.items() if n not in feed})
            try:
                look(f"{family}, export", next(iter(signature(**feed).values())))
            except tf.errors.InvalidArgumentError as error:
                # A server refuses it, in words.
                if "must be finite numbers" not in str(error):
                    raise
    model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=model.gives_logits))
    loss = model.train_on_batch(x, np.ones((32, 1)))
    if not np.isnan(loss):
        hidden.append(f"{family}, loss")
    if not np.isnan(model.predict(x, verbose=0)).all():
        hidden.append(f"{family}, step")
print("hidden:", hidden)
sys.exit(bool(hidden))
