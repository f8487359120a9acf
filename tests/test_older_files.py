"""Files that earlier versions wrote load with the numbers they were written with.

In those of `tests/files` each variable counts on where the one before stopped, in the order of
`training_variables`. Commit 65a0ea2 wrote them.
"""

import pathlib
import shutil

import keras
import numpy as np
import pytest

from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig
from tfrec_models.distribute import TrainingCheckpoint, training_variables
from tfrec_models.optimizers import CompositeOptimizer, LazyAdam, RowWiseAdagrad

FILES = pathlib.Path(__file__).parent / "files"


def table(name, rows, **settings):
    return EmbeddingBagConfig(rows, 4, name, feature_names=[name], **settings)


def new_model(items=7):
    """The model of the files, with other numbers."""
    tables = [
        table("user", 5),
        table("item", items, pooling="mean"),
        table("ad", 3, id_policy="oov"),
    ]
    model = DLRM(EmbeddingBagCollection(tables), 2, [4], [4, 1])
    optimizer = CompositeOptimizer(RowWiseAdagrad(0.5), LazyAdam(0.25))
    model.compile(optimizer, keras.losses.BinaryCrossentropy(from_logits=True))
    model.build()
    optimizer.build(model.trainable_variables)
    return model


def assert_counts(model):
    first = 0
    for name, variable in training_variables(model).items():
        expected = np.arange(first, first + variable.numpy().size).reshape(variable.shape)
        np.testing.assert_array_equal(variable.numpy(), expected, err_msg=name)
        first += expected.size
    # 18 rows and the towers of the model, their slots, and seven counters and rates.
    assert first == 278


def test_a_model_file():
    """Weights, slots, steps and learning rates."""
    assert_counts(keras.saving.load_model(FILES / "model.keras"))


def test_the_weights_in_a_model_file():
    """Into a model that is compiled already."""
    model = new_model()
    model.load_weights(FILES / "model.keras")
    assert_counts(model)


def test_a_checkpoint(tmp_path):
    """With its position; the next one is written beside it."""
    shutil.copytree(FILES / "training_checkpoint", tmp_path / "run")
    model = new_model()
    checkpoint = TrainingCheckpoint(training_variables(model), tmp_path / "run")
    assert checkpoint.restore() == {"epoch": 3, "step": 20}
    assert_counts(model)
    assert pathlib.Path(checkpoint.save({"epoch": 4})).name == "ckpt-2"


def test_a_model_file_whose_tables_have_another_size():
    """It does not say where its tables lie, so a stack loads whole or not at all."""
    model = new_model(items=8)
    before = model.embedding_bag_collection.read_table("item").numpy()
    message = (
        r"received shape \(8, 4\) for the tables 'item' \(8, 4\), which the model has together in "
        r"\(9, 4\) \(the file is of an older version"
    )
    with (
        pytest.warns(UserWarning, match="Skipping the saved state of optimizer"),
        pytest.warns(UserWarning, match=message),
    ):
        model.load_weights(FILES / "model.keras", skip_mismatch=True)
    collection = model.embedding_bag_collection
    np.testing.assert_array_equal(collection.read_table("item"), before)
    np.testing.assert_array_equal(collection.read_table("user"), 4 + np.arange(20.0).reshape(5, 4))
