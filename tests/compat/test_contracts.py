"""What every accessor of _compat relies on, so that another version of Keras says what changed."""

import gc
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.optimized_graphs import recorded_graphs
from tfrec_models._compat import keras as compat_keras
from tfrec_models._compat import tensorflow as compat_tensorflow
from tfrec_models._compat.generated_dataset import generated_dataset
from tfrec_models.optimizers import SGD
from tfrec_models.testing import TestCase


def compiled_model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="dense")])
    model.compile("sgd", "mse")
    return model


class KerasContracts(TestCase):
    """Private parts of Keras."""

    def test_all_layers_finds_layers_at_every_depth(self):
        """Layers within layers within a model."""
        inner = keras.Sequential([keras.layers.Dense(1, name="deep")])
        names = [layer.name for layer in compat_keras.all_layers(keras.Sequential([inner]))]
        self.assertIn("deep", names)

    def test_models_and_optimizers_know_their_strategy(self):
        """Whether a model was made in a strategy's scope, and which one its optimizer has."""
        strategy = tf.distribute.MirroredStrategy(["CPU:0"])
        outside = compiled_model()
        with strategy.scope():
            inside = compiled_model()
        self.assertTrue(compat_keras.is_made_in(inside, strategy))
        self.assertFalse(compat_keras.is_made_in(outside, strategy))
        self.assertIs(compat_keras.strategy_of_optimizer(inside.optimizer), strategy)

    def test_validation_data_is_forgotten(self):
        """`fit` keeps no iterator over it, and can be called again."""
        model = compiled_model()
        data = tf.data.Dataset.from_tensors((tf.ones((4, 2)), tf.ones((4, 1))))
        model.fit(data, validation_data=data, verbose=0)
        compat_keras.forget_validation_data(model)
        self.assertIsNone(model._eval_epoch_iterator)
        model.fit(data, validation_data=data, verbose=0)

    def test_a_tracked_loss_is_logged(self):
        """As the mean over examples, beside the losses Keras tracked."""
        model = compiled_model()
        compat_keras.build_for_training(model, (tf.ones((4, 2)), tf.ones((4, 1))))
        model.evaluate(tf.ones((4, 2)), tf.ones((4, 1)), verbose=0)
        model.reset_metrics()
        compat_keras.track_loss(model, tf.constant(3.0), 1)
        compat_keras.track_loss(model, tf.constant(6.0), 2)
        self.assertAllClose(model.get_metrics_result()["loss"], 5.0)

    def test_steps_are_counted(self):
        """With atomic counting and without."""
        optimizer = keras.optimizers.SGD()
        optimizer.build([keras.Variable(1.0)])
        compat_keras.count_step(optimizer)
        compat_keras.count_atomically([optimizer])
        compat_keras.count_step(optimizer)
        self.assertEqual(int(optimizer.iterations.numpy()), 2)

    def test_variables_of_an_optimizer(self):
        """Those it was built for, and its own."""
        variable, other = keras.Variable(1.0), keras.Variable(1.0)
        optimizer = keras.optimizers.Adam()
        optimizer.build([variable])
        self.assertEqual([v is variable for v in compat_keras.built_variables(optimizer)], [True])
        self.assertEqual(len(compat_keras.own_variables(optimizer)), 4)
        self.assertTrue(compat_keras.knows_variable(optimizer, variable))
        self.assertFalse(compat_keras.knows_variable(optimizer, other))

    def test_optimizer_hooks_are_called_by_keras(self):
        """Clipping first, then the update of each variable."""
        called = []

        class Hooked(compat_keras.OptimizerHooks, keras.optimizers.SGD):
            def apply_one_by_one(self, grads, variables, learning_rate):
                called.append("apply")
                return super().apply_one_by_one(grads, variables, learning_rate)

            def clip_gradients(self, grads):
                called.append("clip")
                return super().clip_gradients(grads)

        variable = keras.Variable([1.0])
        Hooked(0.5, clipvalue=0.1).apply([tf.constant([1.0])], [variable])
        self.assertEqual(called, ["clip", "apply"])
        self.assertAllClose(variable.numpy(), [0.95])

    def test_indexing_makes_no_slots_and_no_averages(self):
        """The optimizer knows its variables and has none of their size."""
        variable = keras.Variable([1.0], name="table")
        optimizer = SGD(0.1, momentum=0.9, use_ema=True)
        optimizer.index_variables([variable])
        self.assertEqual(optimizer.variable_index(variable), 0)
        names = [v.name for v in compat_keras.own_variables(optimizer)]
        self.assertEqual(names, ["iteration", "learning_rate"])

    def test_other_versions_warn(self):
        """The warning names the versions that were tested."""
        with pytest.warns(UserWarning, match=r"tested on Keras 3.12 to 3.15, received 3.99.0"):
            compat_keras.check_version("3.99.0")


class TensorFlowContracts(TestCase):
    """Private parts of TensorFlow."""

    def test_xla_is_noticed(self):
        """Within a compiled function, and not outside of it."""
        seen = []

        def function(x):
            seen.append(compat_tensorflow.in_xla())
            return x + 1

        tf.function(function)(tf.ones(2))
        tf.function(function, jit_compile=True)(tf.ones(3))
        self.assertEqual(seen[0], False)
        self.assertEqual(seen[-1], True)

    def test_check_numerics_is_noticed(self):
        """As long as it is switched on."""
        self.assertFalse(compat_tensorflow.has_op_callbacks())
        tf.debugging.enable_check_numerics()
        try:
            self.assertTrue(compat_tensorflow.has_op_callbacks())
        finally:
            tf.debugging.disable_check_numerics()

    def test_own_task_is_local(self):
        """Where no cluster is configured."""
        self.assertEqual(compat_tensorflow.own_task(), ("localhost", 0))

    def test_ragged_variants_come_back(self):
        """A ragged tensor survives the way through a variant."""
        ragged = tf.ragged.constant([[1, 2], [], [3]])
        variant = compat_tensorflow.ragged_to_variant(ragged, batched_input=True)
        back = compat_tensorflow.ragged_from_variant(
            variant, tf.int32, output_ragged_rank=1, row_splits_dtype=tf.int64
        )
        self.assertAllEqual(back, ragged)

    def test_values_of_lazy_slices_are_computed_once_and_when_asked_for(self):
        """Reading them twice computes them once."""
        calls = []

        class Lazy(compat_tensorflow.LazyIndexedSlices):
            def compute_values(self):
                calls.append(1)
                return tf.ones((1, 2))

        lazy = Lazy(tf.constant([1]), tf.constant([3, 2]))
        self.assertEqual(calls, [])
        self.assertAllEqual(tf.convert_to_tensor(lazy), [[0, 0], [1, 1], [0, 0]])
        self.assertAllEqual(lazy.values, [[1, 1]])
        self.assertEqual(len(calls), 1)


def counted(closed, num_elements):
    """A dataset of `(number, squares)` for each of 3 and 5; ended generators add to `closed`."""

    def generate(first):
        try:
            for number in range(int(first), int(first) + num_elements):
                yield np.int64(number), np.full(number, number**2, np.float32)
        finally:
            closed.append(int(first))

    signature = (tf.TensorSpec((), tf.int64), tf.TensorSpec((None,), tf.float32))
    return generated_dataset(generate, tf.data.Dataset.from_tensor_slices([3, 5]), signature)


class GeneratedDatasets(TestCase):
    """What `_compat.generated_dataset` relies on in tf.data."""

    def test_elements_are_those_of_one_generator_after_the_other(self):
        """With the types and shapes of the signature, at every iteration."""
        closed = []
        dataset = counted(closed, 2)
        self.assertEqual(dataset.element_spec[1], tf.TensorSpec((None,), tf.float32))
        for _ in range(2):
            elements = [(int(number), squares.numpy()) for number, squares in dataset]
            self.assertEqual([number for number, _ in elements], [3, 4, 5, 6])
            for number, squares in elements:
                self.assertAllEqual(squares, [number**2] * number)
        release_arrays()
        self.assertEqual(closed, [3, 5, 3, 5])

    def test_a_dropped_iterator_closes_its_generator_alone(self):
        """Though it has more to give, and another iterator goes on."""
        closed = []
        dataset = counted(closed, 1000)
        one, other = iter(dataset.prefetch(2)), iter(dataset)
        next(one), next(other)
        self.assertEqual(closed, [])
        del one
        release_arrays()
        self.assertEqual(closed, [3])
        self.assertEqual(int(next(other)[0]), 4)
        del other
        release_arrays()
        self.assertEqual(closed, [3, 3])

    def test_an_error_of_the_generator_ends_the_iteration(self):
        """With its words, and again in the next iteration."""

        def generate(first):
            yield first
            raise ValueError("received a bad row")

        arguments = tf.data.Dataset.from_tensors(tf.constant(1.0))
        dataset = generated_dataset(generate, arguments, tf.TensorSpec((), tf.float32))
        for _ in range(2):
            batches = iter(dataset)
            self.assertAllEqual(next(batches), 1.0)
            with self.assertRaisesRegex(tf.errors.InvalidArgumentError, "received a bad row"):
                next(batches)


class OutOfLineContract(TestCase):
    """A branch that TensorFlow does not copy into the graph that holds it."""

    @staticmethod
    def root(number):
        branch = compat_tensorflow.out_of_line(lambda: tf.negative(tf.sqrt(-number)))
        return tf.cond(number >= 0.0, lambda: tf.sqrt(number), branch)

    def test_the_branch_stays_one_operation(self):
        """The graph that runs has a call in place of the operations of the branch."""
        traced = tf.function(self.root, input_signature=[tf.TensorSpec([])])
        with recorded_graphs() as graphs:
            self.assertAllEqual(traced(4.0), 2.0)
        operations = {node.op for graph in graphs for node in graph.node}
        self.assertIn("PartitionedCall", operations)
        self.assertIn("Sqrt", operations)
        self.assertNotIn("Neg", operations)

    def test_the_branch_runs_where_it_is_taken(self):
        """In a graph and without."""
        for function in (self.root, tf.function(self.root)):
            self.assertAllEqual(function(tf.constant(-4.0)), -2.0)


def release_arrays():
    """TensorFlow releases the arrays of a dropped iterator when it runs something next."""
    gc.collect()
    tf.identity(0.0)


def test_reductions_add_up_over_replicas(two_devices):
    """Each replica gets the sum."""

    @tf.function
    def total():
        def replica():
            context = tf.distribute.get_replica_context()
            value = tf.cast(context.replica_id_in_sync_group, tf.float32) + 1.0
            with compat_tensorflow.reductions_without_gradient():
                inside = tf.distribute.get_replica_context()
                return inside.all_reduce("sum", [value])[0]

        return two_devices.experimental_local_results(two_devices.run(replica))

    assert [float(value) for value in total()] == [3.0, 3.0]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_is_refused_in_one_sentence(backend):
    """Where the backend is not installed too, whose import Keras does not survive."""
    run = subprocess.run(
        [sys.executable, "-c", "import tfrec_models"],
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert run.stderr.rstrip().splitlines()[-1] == (
        f"ImportError: tfrec_models runs on Keras's TensorFlow backend, received the backend "
        f"'{backend}'; set KERAS_BACKEND=tensorflow before Keras is imported."
    )
