"""Scenarios of runs on parameter servers that go on; see `server_cluster`."""

import functools

import keras
import numpy as np
import pytest

from tests.distribute.server_setup import largest_difference, made
from tests.support.data import dataset
from tests.support.models import ROWS
from tfrec_models.distribute import TrainingCheckpoint, fit, fit_on_servers, training_variables


def checkpoints(strategy, directory):
    """One machine's checkpoint goes on on servers, and back; tables are read and written there."""
    # Made in the scope of the model they belong to.
    metrics = lambda: [keras.metrics.AUC(from_logits=True, name="auc")]  # noqa: E731
    alone, served = made("row_wise"), made("row_wise", strategy, metrics=metrics)
    fit(alone, dataset(8), directory, epochs=2, verbose=0)
    arguments = {"steps_per_epoch": 2, "checkpoint_directory": directory, "verbose": 0}
    data = lambda: dataset(8)  # noqa: E731
    history = fit_on_servers(
        served, data, epochs=4, max_pending=1, save_every=1, validation_dataset_fn=data, **arguments
    )
    assert history.epoch == [2, 3] and "val_auc" in history.history
    again, straight = made("row_wise"), made("row_wise", metrics=metrics)
    TrainingCheckpoint(training_variables(again), directory).restore()
    straight.fit(dataset(8), epochs=4, shuffle=False, verbose=0)
    assert largest_difference(again, served) == 0
    assert largest_difference(straight, served) < 1e-6
    expected = straight.evaluate(dataset(8), verbose=0, return_dict=True)
    for name, value in expected.items():
        assert abs(history.history[f"val_{name}"][-1] - value) < 1e-5, name
    collection = served.embedding_bag_collection
    rows = np.arange(ROWS * 4, dtype=np.float32).reshape(ROWS, 4)
    before = collection.read_table("t1").numpy()
    collection.write_table("t2", rows)
    np.testing.assert_array_equal(collection.read_table("t2"), rows)
    np.testing.assert_array_equal(collection.read_table("t1"), before)


def positions(strategy, directory):
    """`fit` goes on in a directory of the servers, and no epoch is begun that has no step left.

    A run that goes on trains on the batches that were not trained on yet.
    """
    data = lambda: dataset(8)  # noqa: E731
    served = made("row_wise", strategy)
    first = [v.numpy() for v in served.variables]
    run = functools.partial(
        fit_on_servers, served, data, checkpoint_directory=directory, max_pending=1, verbose=0
    )

    def fail(epoch, logs):
        raise RuntimeError("between the last step's checkpoint and that of the epoch")

    dies = [keras.callbacks.LambdaCallback(on_epoch_end=fail)]
    with pytest.raises(RuntimeError, match="between"):
        run(steps_per_epoch=2, save_every=1, callbacks=dies)
    with pytest.raises(ValueError, match="after step 2 of an epoch, but steps_per_epoch is 1"):
        run(steps_per_epoch=1, epochs=2)
    history = run(steps_per_epoch=2, epochs=2, max_to_keep=1)
    assert history.epoch == [1] and history.history["loss"][0] > 0.1
    kept = TrainingCheckpoint(training_variables(served), directory).paths()
    assert len(kept) == 1, kept
    alone, straight = made("row_wise"), made("row_wise", weights=first)
    assert fit(alone, dataset(8), directory, epochs=3, verbose=0).epoch == [2]
    straight.fit(dataset(8), epochs=3, shuffle=False, verbose=0)
    assert largest_difference(alone, straight) < 1e-6
    # From now on it is `fit`'s own, which knows its data again and counts no steps.
    with pytest.raises(ValueError, match="does not begin with the batch"):
        fit(made("row_wise"), dataset(8).skip(1), directory, epochs=4, verbose=0)
    position = TrainingCheckpoint(training_variables(alone), directory).restore()
    assert position["epoch"] == 3 and "steps" not in position
    same_batches(strategy, f"{directory}/same_batches")


def same_batches(strategy, directory):
    """Interrupted within an epoch and gone on with longer ones: weights equal to the bit.

    11 steps on 5 different batches, equal to a run of so many that was not interrupted and to one
    device.
    """

    class StopInSecondEpoch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_end(self, batch, logs=None):
            if self.epoch == 1 and batch == 1:
                raise RuntimeError("in the middle of an epoch")

    alone = made("row_wise")
    first = [v.numpy() for v in alone.variables]
    alone.fit(dataset(20).repeat().take(11), shuffle=False, verbose=0)
    whole = made("row_wise", strategy, first)
    run = functools.partial(
        fit_on_servers, dataset_fn=lambda: dataset(20), max_pending=1, verbose=0
    )
    run(whole, steps_per_epoch=11)
    assert largest_difference(alone, whole) < 1e-6
    resumed = made("row_wise", strategy, first)
    run = functools.partial(run, resumed, checkpoint_directory=directory, save_every=1)
    with pytest.raises(RuntimeError, match="in the middle"):
        # The 5th step is trained and not saved: it is done again.
        run(steps_per_epoch=3, epochs=2, callbacks=[StopInSecondEpoch()])
    assert run(steps_per_epoch=4, epochs=3).epoch == [1, 2]
    assert largest_difference(resumed, whole) == 0
