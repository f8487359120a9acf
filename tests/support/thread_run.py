"""Trains a DLRM for three steps with so many threads, and prints a digest of all that it learned.

One of its tables has managed ids.

`python -m tests.support.thread_run THREADS` prints one for the native kernels, where there are
any, and one for TensorFlow's operations alone.
"""

import contextlib
import hashlib
import sys

import keras
import numpy as np
import tensorflow as tf


def main(threads):
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    for kernels in (True, False):
        print(digest(kernels))


def digest(kernels):
    """Of weights, slots and predictions."""
    # TensorFlow must not have started its threads before their number is set.
    from tests.support.data import dataset
    from tests.support.models import compiled, make_dlrm
    from tfrec_models import native, xla_disabled
    from tfrec_models.optimizers import CompositeOptimizer, LazyAdam, RowWiseAdagrad

    keras.utils.set_random_seed(3)
    with xla_disabled(), contextlib.nullcontext() if kernels else native.native_disabled():
        model = compiled(
            make_dlrm(id_policy="managed"), CompositeOptimizer(RowWiseAdagrad(0.1), LazyAdam(0.01))
        )
        # Enough examples that kernels and TensorFlow share the work out among their threads.
        model.fit(dataset(4096, 4096), epochs=3, shuffle=False, verbose=0)
        logits = model.predict(dataset(4096, 4096), verbose=0)
    found = hashlib.sha256(np.ascontiguousarray(logits).tobytes())
    for variable in [*model.variables, *model.optimizer.variables]:
        found.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return found.hexdigest()


if __name__ == "__main__":
    main(int(sys.argv[1]))
