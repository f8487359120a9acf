"""What published recipes need of DLRM: other interactions, and regularized towers."""

import numpy as np
import tensorflow as tf

from tests.support.models import feature_in_two_tables
from tfrec_models import DLRM, dlrm, layers
from tfrec_models.testing import TestCase


class RecipeLayersTest(TestCase):
    """Against NumPy."""

    def test_concatenation(self):
        """The dense vector, then the embeddings in order."""
        dense, sparse = tf.ones((2, 3)), tf.reshape(tf.range(12.0), (2, 2, 3))
        expected = np.concatenate([np.ones((2, 3)), np.arange(12.0).reshape(2, 6)], axis=1)
        self.assertAllEqual(dlrm.InteractionConcatArch(2)(dense, sparse), expected)

    def test_parallel_dcn(self):
        """The cross network's columns, then the MLP's, both of all columns side by side."""
        arch = dlrm.InteractionParallelDCNArch(2, layers.CrossNet(9, 2), layers.MLP(9, [5]))
        dense, sparse = tf.random.normal((4, 3)), tf.random.normal((4, 2, 3))
        found = arch(dense, sparse)
        x = np.concatenate([dense, np.reshape(sparse, (4, 6))], axis=1)
        crossed = x
        for kernel, bias in zip(arch.crossnet.kernels, arch.crossnet.biases, strict=True):
            crossed = x * (crossed @ kernel.numpy() + bias.numpy()) + crossed
        linear = arch.deep.perceptrons[0].linear
        deep = np.maximum(x @ linear.kernel.numpy() + linear.bias.numpy(), 0)
        self.assertAllClose(found, np.concatenate([crossed, deep], axis=1), rtol=1e-5, atol=1e-5)
        with self.assertRaisesRegex(TypeError, "deep must be a Keras layer, such as MLP"):
            dlrm.InteractionParallelDCNArch(2, layers.CrossNet(9, 2), 5)

    def test_over_arch_of_one_layer(self):
        """It is linear."""
        arch = dlrm.OverArch(3, [2])
        inputs = tf.random.normal((4, 3))
        outputs = arch(inputs)
        expected = inputs.numpy() @ arch.linear.kernel.numpy() + arch.linear.bias.numpy()
        self.assertAllClose(outputs, expected, rtol=1e-5, atol=1e-6)

    def test_batch_normalization_is_pytorchs(self):
        """Batch statistics in training; moving ones, which keep 0.9, elsewhere; before the ReLU."""
        layer = layers.Perceptron(3, 2, batch_normalization=True)
        inputs = tf.random.normal((64, 3))
        layer(inputs)
        product = inputs.numpy() @ layer.linear.kernel.numpy() + layer.linear.bias.numpy()
        mean, variance = product.mean(axis=0), product.var(axis=0)
        expected = np.maximum((product - mean) / np.sqrt(variance + 1e-5), 0)
        self.assertAllClose(layer(inputs, training=True), expected, rtol=1e-4, atol=1e-5)
        self.assertAllClose(layer.normalization.moving_mean, 0.1 * mean, rtol=1e-4, atol=1e-6)
        moving = 0.9 + 0.1 * variance
        self.assertAllClose(layer.normalization.moving_variance, moving, rtol=1e-4)
        expected = np.maximum((product - 0.1 * mean) / np.sqrt(moving + 1e-5), 0)
        self.assertAllClose(layer(inputs), expected, rtol=1e-4, atol=1e-5)

    def test_dropout(self):
        """Zeros a share of the outputs in training and scales the others; elsewhere none."""
        layer = layers.Perceptron(3, 50, activation=None, dropout=0.25)
        inputs = tf.random.normal((200, 3))
        kept = layer(inputs).numpy()
        trained = layer(inputs, training=True).numpy()
        is_zero = trained == 0
        self.assertAllInRange(is_zero.mean(), 0.2, 0.3)
        self.assertAllClose(trained[~is_zero], kept[~is_zero] / 0.75, rtol=1e-5, atol=1e-6)

    def test_towers_of_a_model(self):
        """Both MLPs have them, but for the logits, and for the constant without dense features."""
        arguments = {"batch_normalization": True, "dropout": 0.5}
        model = DLRM(feature_in_two_tables(), 5, [6, 4], [8, 1], **arguments)
        self.assertEqual(
            [
                (perceptron.batch_normalization, perceptron.dropout)
                for mlp in (model.dense_arch.model, model.over_arch.mlp)
                for perceptron in mlp.perceptrons
            ],
            [(True, 0.5)] * 3,
        )
        bare = DLRM(feature_in_two_tables(), 0, [4], [8, 1], **arguments)
        self.assertFalse(bare.dense_arch.model.batch_normalization)
        again = DLRM.from_config(bare.get_config())
        self.assertTrue(again.over_arch.mlp.batch_normalization)
        self.assertEqual(again.over_arch.mlp.dropout, 0.5)
