"""Inputs, outputs and gradients of layers, as lists of tensors."""

import contextlib

import keras
import numpy as np
import tensorflow as tf

from tfrec_models.sparse import JaggedTensor


def flat(outputs):
    """The tensors of a call's output; of a `JaggedTensor`, its values."""
    return [
        part.values() if isinstance(part, JaggedTensor) else part
        for part in keras.tree.flatten(outputs)
    ]


def dense_list(outputs):
    """The tensors of a call's output or of gradients, each dense."""
    parts = keras.tree.flatten(outputs) if not isinstance(outputs, list) else outputs
    return [tf.convert_to_tensor(part) for part in flat(parts) if part is not None]


def shapes_of(outputs):
    """The shape of each tensor of a call's output."""
    return [tuple(part.shape) for part in flat(outputs)]


def dtypes_of(outputs):
    """The name of the dtype of each tensor of a call's output."""
    return [keras.backend.standardize_dtype(part.dtype) for part in flat(outputs)]


def cast(inputs, dtype):
    """The inputs with their floats in another dtype."""
    return tf.nest.map_structure(
        lambda part: tf.cast(part, dtype) if part.dtype.is_floating else part, inputs
    )


@contextlib.contextmanager
def dtype_policy(name):
    """Within it, layers are made under another dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def open_specs(inputs, others):
    """The flat type specs of two batches, open where the two differ."""
    return [
        tf.type_spec_from_value(one).most_specific_common_supertype([tf.type_spec_from_value(two)])
        for one, two in zip(tf.nest.flatten(inputs), tf.nest.flatten(others), strict=True)
    ]


def symbolic(inputs, others):
    """A `keras.Input` for each tensor of the inputs, open where two batches differ."""
    placeholders = [
        keras.Input(
            tuple(spec.shape)[1:],
            dtype=spec.dtype.name,
            ragged=isinstance(spec, tf.RaggedTensorSpec),
        )
        for spec in open_specs(inputs, others)
    ]
    return tf.nest.pack_sequence_as(inputs, placeholders)


def are_tensors(arguments):
    """Whether each argument of a call is one dense tensor."""
    return all(isinstance(part, keras.KerasTensor) and not part.ragged for part in arguments)


def loss_and_gradients(layer, inputs):
    """A weighted sum of the outputs, and its gradients to all trainable weights."""
    with tf.GradientTape() as tape:
        loss = _weighted_sum(layer(*inputs))
    return loss, tape.gradient(loss, [variable.value for variable in layer.trainable_variables])


def randomize(layer):
    """Gives every weight random values: zeros of a bias would hide what depends on them."""
    for number, variable in enumerate(layer.trainable_variables):
        noise = tf.random.stateless_normal(variable.shape, [number, 9], dtype=tf.float64)
        variable.assign(noise / 2)


def along_directions(layer, inputs):
    """Yields `(name, function)` for the trainable weights together and for each float input.

    The function takes a step along a random direction from the present values of the weights or
    the input, and gives the weighted sum of the layer's outputs; its gradient is the layer's own.
    A wrong entry of a gradient shows along any direction, at the price of one number's.
    """
    if layer.trainable_variables:
        yield "the weights", _along_weights(layer.trainable_variables, layer, inputs)
    parts = tf.nest.flatten(inputs)
    for number, part in enumerate(parts):
        if isinstance(part, tf.Tensor) and part.dtype.is_floating:
            yield f"input {number}", _along_input(number, parts, layer, inputs)


def _along_input(number, parts, layer, inputs):
    direction = _direction(parts[number].shape)

    def function(step):
        changed = [*parts[:number], parts[number] + step * direction, *parts[number + 1 :]]
        return _weighted_sum(layer(*tf.nest.pack_sequence_as(inputs, changed)))

    return function


def _along_weights(variables, layer, inputs):
    starts = [tf.identity(variable.value) for variable in variables]
    directions = [_direction(variable.shape, number) for number, variable in enumerate(variables)]

    def move(step):
        for variable, start, direction in zip(variables, starts, directions, strict=True):
            variable.assign(start + step * direction)

    # A lookup reads the variable itself, so that no tensor can take its place in the call.
    @tf.custom_gradient
    def function(step):
        move(step)
        loss, gradients = loss_and_gradients(layer, inputs)
        move(0.0)
        slopes = [
            tf.reduce_sum(tf.convert_to_tensor(gradient) * direction)
            for gradient, direction in zip(gradients, directions, strict=True)
        ]

        # TensorFlow asks for a gradient of each variable the function read: not of these here.
        def of_step(upstream, variables=()):
            return upstream * tf.add_n(slopes), [None] * len(variables)

        return loss, of_step

    return function


def _direction(shape, number=0):
    return tf.random.stateless_normal(shape, [number, 3], dtype=tf.float64)


def _weighted_sum(outputs):
    """A sum in which every number of the outputs counts, each by a weight of its own."""
    sums = []
    for number, part in enumerate(flat(outputs)):
        weights = np.random.default_rng(number).normal(size=part.shape)
        sums.append(tf.reduce_sum(tf.cast(part, tf.float64) * weights))
    return tf.add_n(sums)
