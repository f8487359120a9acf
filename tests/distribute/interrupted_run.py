"""A run with checkpoints that kills itself, for the tests that start it again.

`python -m tests.distribute.interrupted_run DIRECTORY WEIGHTS [KILL_AT_SAVE [KILLED_WORKER]]`
trains, in the checkpoint directory DIRECTORY, and writes the weights at the end to WEIGHTS. With
KILL_AT_SAVE it sends itself SIGKILL in the middle of writing that checkpoint.
"""

import json
import os
import signal
import sys

import tensorflow as tf

from tfrec_models import distribute


def main(directory, weights, kill_at_save=None, killed_worker=0):
    strategy, worker = tf.distribute.get_strategy(), 0
    if "TF_CONFIG" in os.environ:
        strategy = distribute.multi_worker_strategy(timeout_seconds=180)
        worker = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
    train(strategy, directory, weights, kill_at_save if worker == killed_worker else None)


def train(strategy, directory, weights, kill_at_save=None):
    """Trains for two epochs of five steps, and writes the weights at the end.

    Labels come from a generator, also for validation: with an iterator of one that somebody keeps,
    a worker whose peer was lost would not end.
    """
    # TensorFlow must not have made a tensor before the strategy is there.
    import keras
    import numpy as np

    from tests.support.data import features
    from tests.support.models import compiled, make_dlrm
    from tfrec_models import xla_disabled
    from tfrec_models.optimizers import CompositeOptimizer, LazyAdam, RowWiseAdagrad

    if kill_at_save:
        kill_in_save(kill_at_save)
    keras.utils.set_random_seed(5)
    labels = tf.data.Dataset.from_generator(
        lambda: (number % 2 for number in range(18)), output_signature=tf.TensorSpec((), tf.float32)
    ).apply(tf.data.experimental.assert_cardinality(18))
    examples = tf.data.Dataset.zip((tf.data.Dataset.from_tensor_slices(features(18)), labels))
    dataset = examples.shuffle(18, seed=3).batch(4)
    with xla_disabled():
        with strategy.scope():
            model = compiled(make_dlrm(), CompositeOptimizer(RowWiseAdagrad(0.1), LazyAdam(0.01)))
        distribute.fit(
            model,
            dataset,
            directory,
            epochs=2,
            save_every=2,
            validation_data=examples.batch(8),
            verbose=0,
        )
    variables = distribute.training_variables(model)
    if strategy.extended.should_checkpoint:
        np.savez(weights, **{name: value.numpy() for name, value in variables.items()})
    return model


def kill_in_save(number):
    """Kills this process in its save of that number, once the data and before the index is there.

    TensorFlow writes both from one C++ operation, so the half is made by hand: the data file of
    the next checkpoint lies there under its final name, with rubbish in it.
    """
    whole, saves = tf.train.Checkpoint.save, []

    def save(self, prefix, *arguments, **keywords):
        saves.append(1)
        if len(saves) < number:
            return whole(self, prefix, *arguments, **keywords)
        half = f"{prefix}-{number}.data-00000-of-00001"
        os.makedirs(f"{prefix}-{number}_temp")
        with open(half, "wb") as file:
            file.write(b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    tf.train.Checkpoint.save = save


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
