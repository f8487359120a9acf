"""fit, evaluate and predict on two devices, with sparse features in every form."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.data import as_form, dataset_with_repeated_ids, ids_in_both_halves
from tests.support.training import OPTIMIZERS, trained
from tfrec_models import xla_disabled
from tfrec_models._compat import keras as compat


@pytest.fixture(autouse=True)
def _without_xla(request):
    """Compiling the interaction on each device is most of a test's time; one test does it."""
    with contextlib.nullcontext() if "kjt" in request.node.name else xla_disabled():
        yield


@pytest.mark.parametrize("form", ["dict", "ids"])
def test_ids_are_repeated_across_replicas(form):
    """The data of the comparisons with one device has ids whose gradients come from both."""
    for inputs, _ in as_form(form, dataset_with_repeated_ids(8)):
        assert ids_in_both_halves(inputs) >= 3


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_weights_equal_one_device(optimizer, two_devices):
    """20 steps on the same global batches, ids repeated across replicas: equal to 1e-6.

    Repeated ids are proved by `test_ids_are_repeated_across_replicas`, here and wherever `dataset`
    of this module is trained on.
    """
    batches = dataset_with_repeated_ids(8)
    alone, mirrored = trained(batches, optimizer), trained(batches, optimizer, two_devices)
    for one, two in zip(alone.weights, mirrored.weights, strict=True):
        np.testing.assert_allclose(two.numpy(), one.numpy(), atol=1e-6, err_msg=one.path)


@pytest.mark.parametrize("form", ["dict", "kjt", "packed", "ids"])
def test_every_form_with_an_uneven_last_batch(form, two_devices):
    """9 examples in batches of 4 leave one replica without any: order and count are kept."""
    batches = as_form(form, dataset_with_repeated_ids(9))
    model = trained(batches, "sgd", two_devices, repeats=1)
    logits = model.predict(batches, verbose=0)
    expected = np.concatenate([model(inputs).numpy() for inputs, _ in batches])
    np.testing.assert_allclose(logits, expected, atol=1e-6)
    assert np.isfinite(model.evaluate(batches, verbose=0)[0])


def test_saved_under_a_strategy_loads_without(tmp_path, two_devices):
    """A model trained on two devices, reloaded on one, predicts the same and trains on."""
    batches = dataset_with_repeated_ids(8)
    model = trained(batches, "row_wise", two_devices, repeats=1)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict(batches, verbose=0), model.predict(batches, verbose=0), atol=1e-6
    )
    loaded.fit(batches, verbose=0)


def test_other_keras_versions_warn():
    """The hooks say which versions they were tested on."""
    with pytest.warns(UserWarning, match="tested on Keras 3.12 to 3.15, received 3.99.0"):
        compat.check_version("3.99.0")
    compat.check_version(keras.__version__)


def test_what_the_hooks_override_is_still_there():
    """Keras still calls the private methods the hooks replace, from where they did."""
    from keras.src.backend.tensorflow import trainer
    from keras.src.trainers import data_adapters

    for method in ("_maybe_symbolic_build", "_make_function"):
        assert hasattr(trainer.TensorFlowTrainer, method)
    code = trainer.TensorFlowTrainer.fit.__wrapped__.__code__
    assert "_maybe_symbolic_build" in code.co_names
    assert "_make_function" in trainer.TensorFlowTrainer.make_train_function.__code__.co_names
    # `distribute.fit` hands over a data adapter, and takes the train function's place for a while.
    assert "train_function" in code.co_names
    data = adapter_that_repeats(tf.data.Dataset.range(3))
    assert data_adapters.get_data_adapter(data) is data
    iterator = trainer.TFEpochIterator(x=data, distribute_strategy=tf.distribute.get_strategy())
    assert [next(batches).numpy() for _, _, batches in iterator] == [0, 1, 2]
    # A step's variables are made for the specs of its batches.
    numbers = trainer.TFEpochIterator(
        x=tf.data.Dataset.range(3), distribute_strategy=tf.distribute.get_strategy()
    )
    assert numbers._distributed_dataset.element_spec == tf.TensorSpec([], tf.int64)


def adapter_that_repeats(dataset):
    """A data adapter whose iterators are those of `dataset`."""

    class Adapter(compat.IterableAdapter):
        num_batches = 3

        def __iter__(self):
            return iter(dataset)

    return Adapter()
