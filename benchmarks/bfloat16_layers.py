"""Layers in bfloat16 by XLA and by TensorFlow's operations, forward and gradient.

    python benchmarks/bfloat16_layers.py [--precision float32] [--rounds 12]

XLA's code for processors widens bfloat16 before each product; `execution/compiled.py` leaves it
out where the processor multiplies bfloat16, which this undoes for one of the two. The two take
turns; printed are medians in ms of batches of 2,048, width 27 x 64. With
ONEDNN_MAX_CPU_ISA=AVX512_CORE in the environment TensorFlow's products are those of a processor
without bfloat16.
"""

import argparse
import statistics
import time

import keras
import tensorflow as tf

from tfrec_models import layers, xla_disabled
from tfrec_models.dlrm import InteractionArch
from tfrec_models.execution import compiled
from tfrec_models.native import native_disabled

BATCH, FEATURES, DIM = 2048, 26, 64
WIDTH = (FEATURES + 1) * DIM


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--rounds", type=int, default=12, help="default: %(default)s")
    arguments = parser.parse_args()
    if arguments.precision == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    compiled.multiplies_bfloat16 = lambda: False

    wide = [tf.random.normal((BATCH, WIDTH))]
    vectors = [tf.random.normal((BATCH, DIM)), tf.random.normal((BATCH, FEATURES, DIM))]
    for layer, inputs in (
        (layers.LowRankCrossNet(WIDTH, 3, 512), wide),
        (layers.CrossNet(WIDTH, 1), wide),
        (layers.VectorCrossNet(WIDTH, 3), wide),
        (layers.LowRankMixtureCrossNet(WIDTH, 2, 4, 128), wide),
        (InteractionArch(FEATURES), vectors),
    ):
        layer(*inputs)
        with native_disabled():
            by_xla = traced(layer, inputs)
            with xla_disabled():
                by_operations = traced(layer, inputs)
        milliseconds = {by_xla: [], by_operations: []}
        for _ in range(arguments.rounds):
            for step, of_step in milliseconds.items():
                start = time.perf_counter()
                step()[-1].numpy()
                of_step.append(1e3 * (time.perf_counter() - start))
        xla, operations = map(statistics.median, milliseconds.values())
        print(f"{type(layer).__name__}: XLA {xla:.1f}, operations {operations:.1f}", flush=True)


def traced(layer, inputs):
    """A function of forward and gradient, traced as the switches are now."""

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            total = tf.reduce_sum(tf.square(tf.cast(layer(*inputs), tf.float32)))
        return tape.gradient(total, [*(v.value for v in layer.trainable_variables), *inputs])

    step()
    return step


if __name__ == "__main__":
    main()
