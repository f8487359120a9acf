"""Freezing, saving and loading weights, as Keras does for any model."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig, execution, optimizers

FEATURES = {
    "dense_features": np.ones((4, 2), np.float32),
    "sparse_features": {
        "user": tf.ragged.constant([[1], [2, 3], [4], []], tf.int64),
        "item": tf.ragged.constant([[7], [8], [], [9, 9]], tf.int64),
    },
}
LABELS = np.array([[0.0], [1.0], [0.0], [1.0]], np.float32)
DATA = tf.data.Dataset.from_tensors((FEATURES, LABELS))


def composite(rows=optimizers.RowWiseAdagrad):
    return optimizers.CompositeOptimizer(rows(0.05), keras.optimizers.Adam(0.01))


@pytest.fixture(autouse=True)
def _without_xla():
    with execution.xla_disabled():
        yield


OPTIMIZERS = {
    "row_wise_adagrad": lambda: optimizers.RowWiseAdagrad(0.05),
    "adagrad": lambda: optimizers.Adagrad(0.05),
    "sgd": lambda: optimizers.SGD(0.05, momentum=0.5),
    "lazy_adam": lambda: optimizers.LazyAdam(0.05),
    "ftrl": lambda: optimizers.Ftrl(0.05),
    "composite": composite,
    "composite_of_ours": lambda: composite(optimizers.LazyAdam),
    "loss_scale": lambda: optimizers.LossScaleOptimizer(composite(), initial_scale=8.0),
    "averaged": lambda: optimizers.SGD(0.05, use_ema=True),
}


def new_model(items=20, names=("user", "item"), optimizer=None):
    rows = {"user": 10, "item": items}
    tables = [EmbeddingBagConfig(rows[n], 4, f"t_{n}", feature_names=[n]) for n in names]
    model = DLRM(EmbeddingBagCollection(tables), 2, [4], [4, 1])
    model.build()
    if optimizer is not None:
        compiled(model, optimizer)
    return model


def compiled(model, optimizer):
    # Eagerly: tracing each of these models would be most of the time.
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(optimizer, loss, run_eagerly=True)
    return model


def fit(model):
    model.fit(DATA, verbose=0, shuffle=False)


def tables(model):
    collection = model.embedding_bag_collection
    return [collection.read_table(name).numpy() for name in ("t_user", "t_item")]


def dense_weights(model):
    return [w.numpy() for w in model.weights if "embedding_table" not in w.path]


def moved(before, after):
    return [not np.array_equal(b, a) for b, a in zip(before, after, strict=True)]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_frozen_tables_stay_and_the_rest_trains(name):
    """Frozen before training; unfrozen and compiled again, they train."""
    model = new_model()
    model.embedding_bag_collection.trainable = False
    compiled(model, OPTIMIZERS[name]())
    before, dense = tables(model), dense_weights(model)
    fit(model)
    assert moved(before, tables(model)) == [False, False]
    assert any(moved(dense, dense_weights(model)))
    model.embedding_bag_collection.trainable = True
    compiled(model, OPTIMIZERS[name]())
    fit(model)
    assert moved(before, tables(model)) == [True, True]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_all_but_the_tables_is_frozen(name):
    """The dense part of an optimizer may be empty too."""
    model = new_model()
    model.dense_arch.trainable = model.over_arch.trainable = False
    compiled(model, OPTIMIZERS[name]())
    before, dense = tables(model), dense_weights(model)
    fit(model)
    assert moved(before, tables(model)) == [True, True]
    assert not any(moved(dense, dense_weights(model)))


@pytest.mark.filterwarnings("ignore:Skipping")
@pytest.mark.parametrize("name", ["row_wise_adagrad", "averaged", "composite", "loss_scale"])
def test_train_freeze_save_and_load(name, tmp_path):
    """The file loads with the same weights, and training goes on without the tables."""
    model = new_model(optimizer=OPTIMIZERS[name]())
    fit(model)
    model.embedding_bag_collection.trainable = False
    model.save(tmp_path / "frozen.keras")
    loaded = keras.saving.load_model(tmp_path / "frozen.keras")
    for ours, theirs in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert loaded.embedding_bag_collection.trainable is False
    before, dense = tables(loaded), dense_weights(loaded)
    fit(loaded)
    assert moved(before, tables(loaded)) == [False, False]
    assert any(moved(dense, dense_weights(loaded)))


def test_a_model_saved_frozen_loads_its_whole_state(tmp_path):
    """Compiled after freezing, nothing is skipped: no warning, equal state."""
    model = new_model()
    model.embedding_bag_collection.trainable = False
    compiled(model, composite())
    fit(model)
    model.save(tmp_path / "frozen.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = keras.saving.load_model(tmp_path / "frozen.keras")
    for ours, theirs in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_unfreezing_needs_a_new_compile():
    """As in Keras: an optimizer knows the variables it was built with."""
    model = new_model()
    model.embedding_bag_collection.trainable = False
    compiled(model, composite())
    model.optimizer.build(model.trainable_variables)
    model.embedding_bag_collection.trainable = True
    before = [w.numpy() for w in model.weights]
    with pytest.raises(ValueError, match=r"'embedding_table_0' is not one of .*compile the model"):
        fit(model)
    assert not any(moved(before, [w.numpy() for w in model.weights]))


def test_a_table_without_a_matching_name_is_told_by_its_gradient():
    """Where no name fits, a sparse gradient shows that tables are not just frozen."""
    model = new_model()
    compiled(
        model,
        optimizers.CompositeOptimizer(
            optimizers.SGD(), keras.optimizers.SGD(), embedding_names="embeddings"
        ),
    )
    before = [w.numpy() for w in model.weights]
    with pytest.raises(
        ValueError, match=r"begins with \['embeddings'\], but there are sparse.*'embedding_table_0'"
    ):
        fit(model)
    assert not any(moved(before, [w.numpy() for w in model.weights]))


@pytest.mark.filterwarnings("ignore:Skipping")
@pytest.mark.parametrize(
    ("kind", "build"), [("model.keras", True), ("m.weights.h5", True), ("m.weights.h5", False)]
)
@pytest.mark.parametrize("source", ["none", "adagrad", "composite"])
@pytest.mark.parametrize("target", ["row_wise_adagrad", "composite", "loss_scale"])
def test_weights_load_whatever_the_optimizer(source, target, build, kind, tmp_path):
    """Into a model compiled with another one, built or not."""
    saved = new_model(optimizer=None if source == "none" else OPTIMIZERS[source]())
    if source != "none":
        saved.optimizer.build(saved.trainable_variables)
    saved.save(tmp_path / kind) if kind == "model.keras" else saved.save_weights(tmp_path / kind)
    model = new_model(optimizer=OPTIMIZERS[target]())
    if build:
        model.optimizer.build(model.trainable_variables)
    model.load_weights(tmp_path / kind)
    for ours, theirs in zip(model.weights, saved.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_state_of_another_optimizer_is_skipped_with_a_warning(tmp_path):
    """The warning names the optimizer, what differs and what to do; nothing is half-loaded."""
    saved = new_model(optimizer=optimizers.Adagrad(0.05))
    fit(saved)
    saved.save_weights(tmp_path / "a.weights.h5")
    model = new_model(optimizer=optimizers.RowWiseAdagrad(0.5, name="rows"))
    model.optimizer.build(model.trainable_variables)
    before = [v.numpy() for v in model.optimizer.variables]
    message = (
        r"Skipping the saved state of optimizer 'rows', all of it: "
        r"'.*embedding_table_0_accumulator' has shape \(31,\), in the file \(31, 4\)\. "
        r".*same class and settings"
    )
    with pytest.warns(UserWarning, match=message):
        model.load_weights(tmp_path / "a.weights.h5")
    assert not any(moved(before, [v.numpy() for v in model.optimizer.variables]))
    other = new_model(optimizer=optimizers.SGD(name="plain"))
    other.optimizer.build(other.trainable_variables)
    with pytest.warns(UserWarning, match="'plain', all of it: it has 2 variables, the file has 9"):
        other.load_weights(tmp_path / "a.weights.h5")


@pytest.mark.parametrize("name", ["row_wise_adagrad", "lazy_adam", "averaged", "composite"])
def test_the_state_of_tables_that_kept_their_size_is_loaded(name, tmp_path):
    """One table grew: its slots start anew, those of the other tables are the file's."""
    saved = new_model(optimizer=OPTIMIZERS[name]())
    fit(saved)
    saved.save_weights(tmp_path / "a.weights.h5")
    model = new_model(items=25, optimizer=OPTIMIZERS[name]())
    model.optimizer.build(model.trainable_variables)
    new_rows = tables(model)[1]
    with pytest.warns(UserWarning) as caught:
        model.load_weights(tmp_path / "a.weights.h5", skip_mismatch=True)
    shown = "\n".join(str(warning.message) for warning in caught)
    assert "'t_item' of shape (20, 4) where the model has (25, 4)" in shown
    assert "these tables have another size in the file" in shown
    assert "that of tables ['t_item']" in shown
    assert "t_user" not in shown
    np.testing.assert_array_equal(tables(model)[0], tables(saved)[0])
    np.testing.assert_array_equal(tables(model)[1], new_rows)
    fresh = new_model(items=25, optimizer=OPTIMIZERS[name]())
    fresh.optimizer.build(fresh.trainable_variables)
    for ours, theirs, start in zip(
        model.optimizer.variables, saved.optimizer.variables, fresh.optimizer.variables, strict=True
    ):
        if "embedding_table" in ours.name:
            np.testing.assert_array_equal(ours.numpy()[1:11], theirs.numpy()[1:11])
            np.testing.assert_array_equal(ours.numpy()[11:], start.numpy()[11:])
        else:
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_the_state_of_reordered_tables_is_found_by_name(tmp_path):
    """Both tables have other places in the variable."""
    saved = new_model(optimizer=optimizers.Adagrad(0.05))
    fit(saved)
    saved.save_weights(tmp_path / "a.weights.h5")
    model = new_model(names=("item", "user"), optimizer=optimizers.Adagrad(0.05))
    model.optimizer.build(model.trainable_variables)
    model.load_weights(tmp_path / "a.weights.h5")
    slots = [m.optimizer.variables[2].numpy() for m in (saved, model)]
    np.testing.assert_array_equal(slots[1][1:21], slots[0][11:])
    np.testing.assert_array_equal(slots[1][21:], slots[0][1:11])


def test_a_regularizer_on_a_table_is_named_at_build_and_at_save(tmp_path):
    """It walks the table and is in no file: the warnings say what to do instead."""
    model = new_model(optimizer=optimizers.SGD())
    model.embedding_bag_collection.table_variables[0].regularizer = keras.regularizers.L2(1e-3)
    message = "'embedding_table_0' has a regularizer, .* not saved .* pass l2=... to the optimizer"
    with pytest.warns(UserWarning, match=message):
        model.optimizer.build(model.trainable_variables)
    with pytest.warns(UserWarning, match=message):
        model.save(tmp_path / "model.keras")
