"""The one check that every layer passes."""

import keras
import numpy as np
import tensorflow as tf

from tfrec_models import JaggedTensor, xla_disabled
from tfrec_models.execution import portable

FLOAT32 = {"atol": 1e-5, "rtol": 1e-5}
HALF = {"atol": 0.06, "rtol": 0.06}


def check_layer(make, batch, output_shapes, tmp_path, has_weights=True, half_dtype=None):
    """Checks what all layers promise.

    Output shapes for a batch and for a batch of one; gradients for every weight; the same
    numbers with XLA as without, inside `tf.function`, after get_config/from_config, after a
    `.keras` and a SavedModel round trip; half precision in the dtypes and near the float32 numbers.

    Args:
        make: function without arguments that makes the layer.
        batch: function from a batch size to the arguments of a call, as a list.
        output_shapes: function from a batch size to the expected output shape or shapes, flat.
        tmp_path: a folder to save in.
        has_weights: whether the layer has weights, all of which must get a gradient.
        half_dtype: the output's dtype under half precision, where it is not the policy's.
    """
    layer = make()
    inputs = batch(3)
    with tf.GradientTape() as tape:
        outputs = layer(*inputs)
        loss = tf.add_n([tf.reduce_sum(tf.square(part)) for part in flat(outputs)])
    _check_shapes(outputs, output_shapes(3))
    _check_shapes(layer(*batch(1)), output_shapes(1))
    assert bool(layer.trainable_variables) == has_weights
    gradients = tape.gradient(loss, [variable.value for variable in layer.trainable_variables])
    for variable, gradient in zip(layer.trainable_variables, gradients, strict=True):
        assert gradient is not None, f"{variable.path} gets no gradient"

    with xla_disabled():
        close(make_like(layer)(*inputs), outputs)
    close(tf.function(layer.__call__)(*inputs), outputs)
    close(make_like(layer)(*inputs), outputs)
    _check_keras_file(layer, inputs, outputs, tmp_path)
    _check_saved_model(layer, inputs, outputs, tmp_path)
    for policy in ("mixed_bfloat16", "mixed_float16"):
        dtype = half_dtype or policy.removeprefix("mixed_")
        _check_half_precision(layer, make, policy, dtype, inputs, outputs)


def make_like(layer):
    """A new layer from the config of `layer`, with its weights."""
    config = keras.saving.serialize_keras_object(layer)
    twin = keras.saving.deserialize_keras_object(config)
    assert twin.get_config() == layer.get_config()
    if not twin.built:
        twin.build()
    for mine, theirs in zip(twin.variables, layer.variables, strict=True):
        mine.assign(theirs.value)
    return twin


def close(outputs, expected, **tolerance):
    """Equal to float precision, part by part."""
    for part, other in zip(flat(outputs), flat(expected), strict=True):
        np.testing.assert_allclose(
            keras.ops.cast(part, "float32"),
            keras.ops.cast(other, "float32"),
            **(tolerance or FLOAT32),
        )


def flat(outputs):
    """The tensors of a call's output; of a JaggedTensor, its values."""
    return [
        part.values() if isinstance(part, JaggedTensor) else part
        for part in keras.tree.flatten(outputs)
    ]


class Holder(keras.Model):
    """A model around one layer, to save it with."""

    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape=None):
        if not self.layer.built:
            self.layer.build()
        self.built = True

    def call(self, inputs):
        return self.layer(*inputs)

    def get_config(self):
        return {"layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["layer"]))


def _check_shapes(outputs, expected):
    if not isinstance(expected, list):
        expected = [expected]
    assert [tuple(part.shape) for part in flat(outputs)] == expected


def _check_keras_file(layer, inputs, outputs, tmp_path):
    path = tmp_path / "layer.keras"
    holder = Holder(layer)
    holder.build()
    holder.save(path)
    loaded = keras.saving.load_model(path, custom_objects={"Holder": Holder})
    close(loaded.layer(*inputs), outputs)


def _check_saved_model(layer, inputs, outputs, tmp_path):
    """Only the computation is saved, traced with stock operations, as an export is."""
    module = tf.Module()
    module.variables_kept = [variable.value for variable in layer.variables]
    with portable():
        # Flat arguments: a SavedModel takes no KeyedTensor.
        module.run = tf.function(
            lambda *tensors: flat(layer(*tf.nest.pack_sequence_as(inputs, tensors)))
        )
        module.run(*tf.nest.flatten(inputs))
        tf.saved_model.save(module, str(tmp_path / "saved"))
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    close(loaded.run(*tf.nest.flatten(inputs)), flat(outputs))


def _check_half_precision(layer, make, policy, dtype, inputs, outputs):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    twin = make()
    keras.config.set_dtype_policy(before)
    twin.build()
    for mine, theirs in zip(twin.weights, layer.weights, strict=True):
        assert mine.dtype == "float32"
        mine.assign(theirs.value)
    low = twin(*inputs)
    assert {part.dtype for part in flat(low)} == {tf.as_dtype(dtype)}
    close(low, outputs, **HALF)
