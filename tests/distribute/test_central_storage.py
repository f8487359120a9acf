"""Tables in the memory of one device, computing on several."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.data import as_form, dataset_with_repeated_ids
from tests.support.models import compiled, make_dlrm
from tests.support.stopped_runs import DATASETS, assert_equal, run_to_the_end
from tests.support.training import OPTIMIZERS, trained
from tfrec_models import xla_disabled
from tfrec_models.distribute import TrainingCheckpoint, training_variables


@pytest.fixture(scope="module")
def central():
    """Two devices compute; all variables live on the second, which stands for the host."""
    return tf.distribute.experimental.CentralStorageStrategy(["CPU:0", "CPU:1"], "CPU:1")


def test_weights_equal_one_device(central, tmp_path):
    """20 steps, ids repeated across replicas: equal to 1e-6, and one copy of each variable.

    Its checkpoint loads into a model on one device.
    """
    batches, optimizer = dataset_with_repeated_ids(8), "row_wise"
    with xla_disabled():
        alone = trained(batches, optimizer)
        with pytest.warns(UserWarning, match=r"metrics that Keras shows are not.*from predict\(\)"):
            model = trained(batches, optimizer, central)
        for one, two in zip(alone.weights, model.weights, strict=True):
            np.testing.assert_allclose(two.numpy(), one.numpy(), atol=1e-6, err_msg=one.path)
        uneven = as_form("packed", dataset_with_repeated_ids(9))
        logits = model.predict(uneven, verbose=0)
    expected = np.concatenate([model(inputs).numpy() for inputs, _ in uneven])
    np.testing.assert_allclose(logits, expected, atol=1e-6)

    central_variables = training_variables(model)
    assert {v.device.rpartition("/")[2] for v in central_variables.values()} == {"device:CPU:1"}
    TrainingCheckpoint(central_variables, tmp_path).save({})
    loaded = compiled(make_dlrm(), OPTIMIZERS[optimizer]())
    loaded.build()
    restored = training_variables(loaded)
    TrainingCheckpoint(restored, tmp_path).restore()
    for name, variable in restored.items():
        np.testing.assert_array_equal(variable, central_variables[name].read_value(), name)


def test_resumed_equals_whole(central, tmp_path):
    """`distribute.fit` goes on exactly there too.

    Without dropout: TensorFlow refuses the variable of its seed, which Keras makes without
    aggregation.
    """
    data = DATASETS["function of the epoch"]
    whole = run_to_the_end(tmp_path / "whole", [], data, central, dropout=0)
    assert_equal(run_to_the_end(tmp_path / "resumed", [8], data, central, dropout=0), whole)
