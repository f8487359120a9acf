"""What every layer promises, one named test for each promise."""

import contextlib
import json
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrec_models.execution import Execution, portable, using, xla_disabled
from tfrec_models.testing import _layer_values as values
from tfrec_models.testing.copies import copy_of, saved_and_loaded

Shapes = tuple[int | None, ...] | list[tuple[int | None, ...]]


class LayerContract:
    """Tests that put one layer through what every layer of this package keeps.

    Mix it into a `TestCase` and say how to make the layer and its inputs. It asks for: output
    shapes, for a batch of one and of none too; `compute_output_shape` and `compute_output_spec`
    that agree with them; functional models; a config of plain JSON that makes the same layer;
    `.keras` files and SavedModels; gradients of every weight and float input, equal to numeric
    ones; the same numbers in `tf.function`, with XLA and when run again; one trace for all batch
    sizes; `training=`; `build` on a built layer; float64 and both half precisions.

    A promise your layer does not make is left out by setting its test to None.

    Attributes:
        has_weights: bool, whether the layer has weights.
        is_deterministic_in_training: bool, False where `training=True` draws random numbers.
        half_output_dtype: str, the dtype of the outputs under half precision; None for the
            policy's compute dtype.
        half_tolerance: float, absolute and relative, of half precision against float32.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models.layers import Perceptron
    >>> from tfrec_models.testing import LayerContract, TestCase
    >>> class PerceptronTest(LayerContract, TestCase):
    ...     def make_layer(self):
    ...         return Perceptron(in_size=5, out_size=4)
    ...
    ...     def make_inputs(self, batch_size):
    ...         return [tf.random.stateless_normal((batch_size, 5), seed=[0, 1])]
    ...
    ...     def output_shapes(self, batch_size):
    ...         return (batch_size, 4)
    >>> PerceptronTest("test_gradients_are_the_numeric_ones").run().wasSuccessful()
    True
    """

    has_weights = True
    is_deterministic_in_training = True
    half_output_dtype: str | None = None
    half_tolerance = 0.06

    def make_layer(self) -> keras.Layer:
        """Returns a new layer, made under the dtype policy that is set."""
        raise NotImplementedError

    def make_inputs(self, batch_size: int) -> Sequence[Any]:
        """Returns the positional arguments of a call for a batch, the same at every call."""
        raise NotImplementedError

    def output_shapes(self, batch_size: int | None) -> Shapes:
        """Returns the shape of the output, or a list with that of each of several outputs.

        Of a `KeyedTensor` or `JaggedTensor` it is that of its values.

        Args:
            batch_size: int, or None for a symbolic call.
        """
        raise NotImplementedError

    def setUp(self):
        super().setUp()
        # One test compiles; for the others compiling would be most of their time.
        context = contextlib.ExitStack()
        context.enter_context(xla_disabled())
        self.addCleanup(context.close)

    def test_output_shapes(self):
        """Of a batch, of a batch of one example and of none."""
        layer = self.make_layer()
        for size in (3, 1, 0):
            outputs = layer(*self.make_inputs(size))
            self.assertEqual(values.shapes_of(outputs), self._expected_shapes(size))

    def test_weights(self):
        """There are weights, or none, as `has_weights` says."""
        layer, _ = self._called()
        self.assertEqual(bool(layer.trainable_variables), self.has_weights)

    def test_computed_output_spec(self):
        """`compute_output_spec` and `compute_output_shape` say what a call gives."""
        layer, outputs = self._called()
        symbolic = values.symbolic(self.make_inputs(3), self.make_inputs(5))
        spec = layer.compute_output_spec(*symbolic)
        self.assertEqual(values.shapes_of(spec), self._expected_shapes(None))
        self.assertEqual(values.dtypes_of(spec), values.dtypes_of(outputs))
        if values.are_tensors(symbolic):
            shape = layer.compute_output_shape(*[tuple(part.shape) for part in symbolic])
            self.assertEqual([tuple(shape)], self._expected_shapes(None))

    def test_functional_model(self):
        """A functional Keras model of the layer gives the layer's numbers."""
        layer, outputs = self._called()
        symbolic = values.symbolic(self.make_inputs(3), self.make_inputs(5))
        model = keras.Model(symbolic, layer(*symbolic))
        self._assert_close(model(self.make_inputs(3)), outputs)

    def test_config(self):
        """`get_config` is plain JSON, and makes a layer of the same config."""
        layer, _ = self._called()
        config = json.dumps(layer.get_config(), sort_keys=True)
        copy = type(layer).from_config(json.loads(config))
        self.assertEqual(json.dumps(copy.get_config(), sort_keys=True), config)

    def test_copy_by_config(self):
        """A layer from the config, with the weights, gives the same numbers."""
        layer, outputs = self._called()
        copy = copy_of(layer)
        self.assertEqual(str(copy.get_config()), str(layer.get_config()))
        self._assert_close(copy(*self.make_inputs(3)), outputs)

    def test_keras_file(self):
        """A layer loaded from a `.keras` file gives the same numbers."""
        layer, outputs = self._called()
        loaded = saved_and_loaded(layer, f"{self.get_temp_dir()}/layer.keras")
        self._assert_close(loaded(*self.make_inputs(3)), outputs)

    def test_saved_model(self):
        """A SavedModel of the layer's stock operations gives the same numbers."""
        layer, outputs = self._called()
        inputs = self.make_inputs(3)
        module = tf.Module()
        module.kept = [variable.value for variable in layer.variables]
        # Flat arguments: a SavedModel takes no KeyedTensor.
        module.run = tf.function(
            lambda *flat: values.flat(layer(*tf.nest.pack_sequence_as(inputs, flat)))
        )
        with portable():
            module.run(*tf.nest.flatten(inputs))
            tf.saved_model.save(module, f"{self.get_temp_dir()}/saved")
        loaded = tf.saved_model.load(f"{self.get_temp_dir()}/saved")
        self._assert_close(loaded.run(*tf.nest.flatten(inputs)), values.flat(outputs))

    def test_gradients_reach_every_weight(self):
        """Every trainable weight gets a gradient."""
        layer, _ = self._called()
        _, gradients = values.loss_and_gradients(layer, self.make_inputs(3))
        for variable, gradient in zip(layer.trainable_variables, gradients, strict=True):
            self.assertIsNotNone(gradient, f"{variable.path} gets no gradient")

    def test_gradients_are_the_numeric_ones(self):
        """In float64, of the weights and of each float input, by `tf.test.compute_gradient`."""
        with values.dtype_policy("float64"):
            layer, inputs = self.make_layer(), values.cast(self.make_inputs(3), "float64")
            layer(*inputs)
            values.randomize(layer)
            here = tf.zeros([], tf.float64)
            for name, function in values.along_directions(layer, inputs):
                analytic, numeric = tf.test.compute_gradient(function, [here], delta=1e-7)
                self.assertAllClose(analytic, numeric, rtol=1e-5, atol=1e-6, msg=name)

    def test_same_with_xla_as_without(self):
        """Outputs and gradients; bits may differ."""
        layer, inputs = self.make_layer(), self.make_inputs(3)
        with using(Execution(xla=True)):
            outputs, gradients = layer(*inputs), values.loss_and_gradients(layer, inputs)
        copy = copy_of(layer)
        self._assert_close(copy(*inputs), outputs)
        self._assert_close(values.loss_and_gradients(copy, inputs), gradients)

    def test_same_in_a_function(self):
        """Outputs and gradients in `tf.function`; bits may differ."""
        layer, outputs = self._called()
        inputs = self.make_inputs(3)
        step = tf.function(lambda: values.loss_and_gradients(layer, inputs))
        self._assert_close(step(), values.loss_and_gradients(layer, inputs))
        self._assert_close(tf.function(lambda: values.flat(layer(*inputs)))(), outputs)

    def test_same_when_run_again(self):
        """To the last bit, outputs and gradients; on a GPU, whose sums have no order, nearly."""
        layer, inputs = self.make_layer(), self.make_inputs(3)
        layer(*inputs)
        runs = [
            [*values.flat(layer(*inputs)), *values.loss_and_gradients(layer, inputs)]
            for _ in range(2)
        ]
        if tf.test.gpu_device_name():
            self._assert_close(*runs)
            return
        for one, other in zip(*map(values.dense_list, runs), strict=True):
            self.assertAllEqual(one, other)

    def test_unknown_batch_size(self):
        """One trace serves every batch size, that of an empty batch too."""
        layer, _ = self._called()
        inputs = self.make_inputs(3)
        specs = values.open_specs(inputs, self.make_inputs(5))

        @tf.function(input_signature=specs)
        def run(*flat):
            return values.flat(layer(*tf.nest.pack_sequence_as(inputs, flat)))

        for size in (3, 1, 0):
            batch = self.make_inputs(size)
            self._assert_close(run(*tf.nest.flatten(batch)), values.flat(layer(*batch)))

    def test_training_argument(self):
        """`training=` is taken; without random numbers it changes none."""
        layer, outputs = self._called()
        inputs = self.make_inputs(3)
        self._assert_close(layer(*inputs, training=False), outputs)
        trained = layer(*inputs, training=True)
        self.assertEqual(values.shapes_of(trained), values.shapes_of(outputs))
        if self.is_deterministic_in_training:
            self._assert_close(trained, outputs)

    def test_build_of_a_built_layer(self):
        """Makes no second variable, and raises nothing."""
        layer, outputs = self._called()
        variables = layer.variables
        config = layer.get_build_config()
        if config:
            layer.build_from_config(config)
        else:
            layer.build()
        self.assertEqual([v.path for v in layer.variables], [v.path for v in variables])
        for now, before in zip(layer.variables, variables, strict=True):
            self.assertIs(now, before)
        self._assert_close(layer(*self.make_inputs(3)), outputs)

    def test_mixed_bfloat16(self):
        """Computes in bfloat16 on float32 weights, near the float32 numbers."""
        self._check_policy("mixed_bfloat16", "bfloat16", "float32", self.half_tolerance)

    def test_mixed_float16(self):
        """Computes in float16 on float32 weights, near the float32 numbers."""
        self._check_policy("mixed_float16", "float16", "float32", self.half_tolerance)

    def test_float64(self):
        """Computes in float64 on float64 weights, near the float32 numbers."""
        self._check_policy("float64", "float64", "float64", 1e-5)

    def _check_policy(self, policy, compute_dtype, variable_dtype, tolerance):
        layer, outputs = self._called()
        with values.dtype_policy(policy):
            other = self.make_layer()
        inputs = self.make_inputs(3)
        other(*inputs)
        other.set_weights(layer.get_weights())
        found = other(*inputs)
        weights = {weight.dtype for weight in other.trainable_variables}
        self.assertLessEqual(weights, {variable_dtype})
        is_half = compute_dtype in ("bfloat16", "float16")
        output_dtype = (is_half and self.half_output_dtype) or compute_dtype
        self.assertEqual(set(values.dtypes_of(found)), {output_dtype})
        self._assert_close(found, outputs, tolerance)

    def _called(self):
        """A layer that is built, and its outputs for three examples."""
        layer = self.make_layer()
        return layer, layer(*self.make_inputs(3))

    def _expected_shapes(self, batch_size):
        expected = self.output_shapes(batch_size)
        return [tuple(shape) for shape in (expected if isinstance(expected, list) else [expected])]

    def _assert_close(self, found, expected, tolerance=None):
        # A GPU multiplies float32 matrices in TensorFloat-32.
        tolerance = tolerance or (1e-3 if tf.test.gpu_device_name() else 1e-5)
        for part, other in zip(values.dense_list(found), values.dense_list(expected), strict=True):
            both = tf.cast(part, tf.float64), tf.cast(other, tf.float64)
            self.assertAllClose(*both, rtol=tolerance, atol=tolerance)
