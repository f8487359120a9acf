"""A recipe from command to files: what a run leaves, and that it can be repeated."""

import contextlib
import csv
import io
import json
import shutil
import sys

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import yaml

from tfrec_models import native
from tfrec_models.__main__ import main
from tfrec_models.metrics import auc
from tfrec_models.recipes import Recipe, build_data, build_schema, train


def log(rows, seed):
    """Clicks that depend on the parity of an item, some of it unseen in other logs."""
    rng = np.random.default_rng(seed)
    items = rng.integers(0, 20, rows)
    noise = rng.uniform(size=rows) < 0.1
    return pa.table(
        {
            "clicked": ((items % 2 == 0) ^ noise).astype("int8"),
            "price": rng.normal(size=rows),
            "item": items.astype(str),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with three logs and a recipe of them."""
    folder = tmp_path_factory.mktemp("runs")
    for seed, part in enumerate(("train", "validation", "test")):
        pq.write_table(log(600, seed), folder / f"{part}.parquet")
    recipe = Recipe.from_dict(
        {
            "name": "tiny",
            "published": {"auc": 0.9},
            "data": {
                **{part: f"{folder}/{part}.parquet" for part in ("train", "validation", "test")},
                "schema": {
                    "label": "clicked",
                    "dense": [{"name": "price"}],
                    "sparse": [{"name": "item", "ids": "vocabulary"}],
                },
                "batch_size": 100,
            },
            "tables": {"dim": 4},
            "model": {"interaction": "concat", "over_arch_layer_sizes": [8, 1]},
            "optimizer": {"tables": {"learning_rate": 0.02}, "dense": {"learning_rate": 0.02}},
            "regularization": {"dropout": 0.1, "batch_normalization": True},
            "training": {"epochs": 6, "early_stopping_patience": 2, "reduce_lr_patience": 1},
        }
    )
    recipe.save(folder / "tiny.yaml")
    return folder


@pytest.fixture(scope="module")
def printed(folder):
    """What the command prints for a run, its output no terminal."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        arguments = ["--set", "seed=7", "--out", str(folder / "run")]
        assert main(["train", str(folder / "tiny.yaml"), *arguments]) == 0
    return output.getvalue()


@pytest.fixture(scope="module")
def run(folder, printed):
    """The folder of that run."""
    return folder / "run"


def test_what_a_run_leaves(run):
    """Every setting, the fitted schema, a line an epoch, metrics, predictions, checksums."""
    recipe = Recipe.load(run / "recipe.yaml")
    assert (recipe.seed, recipe.training.min_learning_rate) == (7, 0.0)
    learned = yaml.safe_load((run / "schema.yaml").read_text())["learned"]
    assert len(learned["vocabularies"]["item"]) == 20
    metrics = json.loads((run / "metrics.json").read_text())
    lines = list(csv.DictReader((run / "log.csv").open()))
    assert len(lines) == metrics["epochs"] <= 6
    best = lines[metrics["best_epoch"] - 1]
    assert metrics["train"]["auc"] == pytest.approx(float(best["auc"]))
    assert metrics["validation"]["auc"] == pytest.approx(float(best["val_auc"]), abs=1e-4)
    assert float(best["val_auc"]) == max(float(line["val_auc"]) for line in lines)
    assert "learning_rate_tables" in best
    predictions = np.load(run / "predictions.npz")
    labels, scores = predictions["label"], predictions["score"].astype(np.float64)
    assert labels.shape == scores.shape == (600,)
    # By the labels and probabilities alone.
    assert metrics["test"]["auc"] == pytest.approx(auc(labels, scores), abs=2e-4)
    expected = -np.mean(labels * np.log(scores) + (1 - labels) * np.log(1 - scores))
    assert metrics["test"]["log_loss"] == pytest.approx(expected, abs=1e-5)
    assert metrics["test"]["auc"] > 0.8
    environment = json.loads((run / "environment.json").read_text())
    assert environment["seed"] == 7 and environment["cores"] >= 1 and environment["machine"]
    assert environment["versions"]["keras"] == keras.__version__
    (data,) = environment["data"]["test"]
    assert (data["path"], data["rows"], len(data["sha256"])) == ("test.parquet", 600, 64)
    assert not (run / "backup").exists()


@pytest.mark.filterwarnings("error:`shuffle=True` was passed")
def test_train_gives_keras_no_reason_to_warn(folder, tmp_path):
    """`fit` warns of its own default where it is given a `tf.data.Dataset`."""
    recipe = Recipe.load(folder / "tiny.yaml").override(["training.epochs=1"])
    metrics = train(recipe, tmp_path / "run", progress=False)
    assert metrics["epochs"] == 1


def test_commands_on_a_run(run, folder, tmp_path, capsys):
    """`evaluate` finds the run's numbers again, `export` writes a version; a run is not lost."""
    metrics = json.loads((run / "metrics.json").read_text())
    assert main(["evaluate", str(run), str(folder / "test.parquet")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == pytest.approx(metrics["test"], abs=1e-6)
    assert main(["export", str(run), "--out", str(tmp_path / "serving")]) == 0
    assert (tmp_path / "serving/1/saved_model.pb").exists()
    assert main(["train", "frappe_dlrm", "--out", str(run)]) == 1
    assert "holds a finished run; choose another --out" in capsys.readouterr().err
    assert main(["train", str(run / "recipe.yaml"), "--out", str(run), "--resume"]) == 1
    assert "holds a finished run, which cannot be resumed" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path)]) == 1
    assert "must be the folder of a finished run" in capsys.readouterr().err


def test_plain_lines_outside_a_terminal(run, printed):
    """Every setting, one line an epoch with its numbers and the time left, no bar, the results."""
    epochs = [line for line in printed.splitlines() if line.startswith("epoch ")]
    num_epochs = json.loads((run / "metrics.json").read_text())["epochs"]
    assert [line.split()[1] for line in epochs] == [f"{i + 1}/6" for i in range(num_epochs)]
    assert "val_auc" in epochs[0] and "left" in epochs[0]
    assert "\b" not in printed and "min_learning_rate: 0.0" in printed
    assert "published: auc 0.90000" in printed


def weights_of(run):
    return keras.models.load_model(run / "model.keras").get_weights()


def test_repeated_run_has_the_same_weights(run, tmp_path):
    """To the bit, with dropout and shuffling, of the recipe that the run has left."""
    train(Recipe.load(run / "recipe.yaml"), tmp_path / "again", progress=False)
    for weight, again in zip(weights_of(run), weights_of(tmp_path / "again"), strict=True):
        np.testing.assert_array_equal(weight, again)


def test_repeated_run_without_kernels(folder, tmp_path):
    """The same holds for TensorFlow's operations, and for a run of training rows alone."""
    recipe = Recipe.load(folder / "tiny.yaml").override(
        [
            "training.epochs=1",
            "training.early_stopping_patience=null",
            "training.reduce_lr_patience=null",
            "data.validation=null",
            "data.test=null",
        ]
    )
    with native.native_disabled():
        for name in ("first", "second"):
            train(recipe, tmp_path / name, progress=False)
    for weight, again in zip(*(weights_of(tmp_path / n) for n in ("first", "second")), strict=True):
        np.testing.assert_array_equal(weight, again)


def test_interrupted_run_goes_on(folder, tmp_path, capsys):
    """At the epoch after the last that was finished, with its log; without asking it is refused."""
    settings = ["training.early_stopping_patience=null", "data.test=null"]
    recipe = Recipe.load(folder / "tiny.yaml").override(settings)

    class Killed(Exception):
        """Stands for the end of the process."""

    class Kill(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 3:
                raise Killed

    out = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        from tfrec_models.recipes import train as module  # noqa: F401

        train_module = sys.modules["tfrec_models.recipes.train"]
        original = train_module.callbacks_of
        patch.setattr(train_module, "callbacks_of", lambda *a: [*original(*a), Kill()])
        with pytest.raises(Killed):
            train(recipe, out, progress=False)
    assert not (out / "metrics.json").exists()
    with pytest.raises(FileExistsError, match="was interrupted; continue with --resume"):
        train(recipe, out, progress=False)
    metrics = train(recipe, out, resume=True, progress=False)
    lines = list(csv.DictReader((out / "log.csv").open()))
    assert [line["epoch"] for line in lines] == ["0", "1", "2", "3", "4", "5"]
    assert metrics["epochs"] == 6


def test_bad_data(folder, tmp_path):
    """Files that are not there, labels other than 0 and 1, and no rows to evaluate are named."""
    recipe = Recipe.load(folder / "tiny.yaml")
    with pytest.raises(FileNotFoundError, match="data.test names files that are not there: 'gone'"):
        train(recipe.override(["data.test=gone"]), tmp_path / "a", progress=False)
    with pytest.raises(ValueError, match="data.train must name the training rows, received null"):
        train(recipe.override(["data.train=null"]), tmp_path / "b", progress=False)
    pq.write_table(log(0, 0), tmp_path / "empty.parquet")
    for key, told in (("train", "data.train must have rows, received"), ("test", "no test rows")):
        empty = recipe.override([f"data.{key}={tmp_path / 'empty.parquet'}", "training.epochs=1"])
        with pytest.raises(ValueError, match=told):
            train(empty, tmp_path / f"empty_{key}", progress=False)
    with pytest.raises(FileNotFoundError, match="no ready schema 'frape'; did you mean 'frappe'"):
        train(recipe.override(["data.schema=frape"]), tmp_path / "c", progress=False)
    table = log(50, 0)
    wrong = table.set_column(0, "clicked", pa.array([2] * 50))
    pq.write_table(wrong, tmp_path / "wrong.parquet")
    wrong = recipe.override([f"data.train={tmp_path / 'wrong.parquet'}"])
    with pytest.raises(tf.errors.InvalidArgumentError, match="Labels must be 0 or 1, received"):
        next(iter(build_data(wrong, build_schema(wrong), "train")))
    assert not (tmp_path / "a").exists() or not list((tmp_path / "a").iterdir())


class Stopped(keras.callbacks.Callback):
    """Stands for a process that is killed at the end of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self._epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self._epoch:
            raise KeyboardInterrupt


def test_a_run_is_overwritten_by_one_that_starts(run, folder, tmp_path, capsys):
    """A recipe that is refused leaves the finished run as it is."""
    there = tmp_path / "run"
    shutil.copytree(run, there)
    for wrong in ("data.train=nowhere.parquet", "optimizer.dense.name=Adem"):
        setting = ["--set", wrong, "--overwrite", "--quiet"]
        assert main(["train", str(folder / "tiny.yaml"), "--out", str(there), *setting]) == 1
        assert (there / "metrics.json").exists()
    assert "there is no 'Adem'; did you mean 'Adam'?" in capsys.readouterr().err
    recipe = Recipe.load(folder / "tiny.yaml").override(["training.epochs=1"])
    (there / "left").write_text("")
    assert train(recipe, there, overwrite=True, progress=False)["epochs"] == 1
    assert not (there / "left").exists()


def test_resume_of_a_run_that_ended_after_training(folder, tmp_path):
    """Test rows that were refused, and repaired: the model is there, and is measured alone."""
    path = tmp_path / "test.parquet"
    good = log(300, 2)
    pq.write_table(good.set_column(0, "clicked", pa.array([2] * 300)), path)
    recipe = Recipe.load(folder / "tiny.yaml").override([f"data.test={path}", "training.epochs=2"])
    out = tmp_path / "run"
    with pytest.raises(tf.errors.InvalidArgumentError, match="Labels must be 0 or 1"):
        train(recipe, out, progress=False)
    pq.write_table(good, path)
    model = (out / "model.keras").read_bytes()
    metrics = train(recipe, out, resume=True, progress=False)
    assert (out / "model.keras").read_bytes() == model
    assert len(list(csv.DictReader((out / "log.csv").open()))) == metrics["epochs"] == 2
    assert metrics["seconds"] > 0 and metrics["test"]["auc"] > 0.5


def test_resume_with_other_settings(folder, tmp_path):
    """The settings of the interrupted run are not replaced without a word."""
    recipe = Recipe.load(folder / "tiny.yaml").override(["data.test=null"])
    out = tmp_path / "run"
    module = sys.modules["tfrec_models.recipes.train"]
    original = module.callbacks_of
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "callbacks_of", lambda *a: [*original(*a), Stopped(0)])
        train(recipe, out, progress=False)
    other = recipe.override(["tables.dim=8", "seed=3"])
    with pytest.raises(
        ValueError, match="holds a run with seed=0, .*tables.dim=4, received seed=3"
    ):
        train(other, out, resume=True, progress=False)
    assert train(recipe, out, resume=True, progress=False)["epochs"] >= 2


def test_the_best_epoch_is_that_of_early_stopping(folder, tmp_path):
    """With `min_delta` it is not always the one with the largest value."""
    settings = ["training.min_delta=0.5", "training.early_stopping_patience=2", "data.test=null"]
    recipe = Recipe.load(folder / "tiny.yaml").override(settings)
    metrics = train(recipe, tmp_path / "run", progress=False)
    lines = list(csv.DictReader((tmp_path / "run" / "log.csv").open()))
    # No later epoch is better by half.
    assert metrics["best_epoch"] == 1 and metrics["epochs"] == 3
    assert max(lines, key=lambda line: float(line["val_auc"])) is not lines[0]
    assert metrics["train"]["auc"] == pytest.approx(float(lines[0]["auc"]))
    assert metrics["validation"]["auc"] == pytest.approx(float(lines[0]["val_auc"]), abs=1e-4)


def test_a_loss_that_is_no_number(folder, tmp_path, capsys):
    """Training that diverged is no finished run."""
    settings = ["data.batch_size=300", "regularization.batch_normalization=false"]
    settings += ["optimizer.dense.learning_rate=1e30", "data.test=null", "data.validation=null"]
    settings += ["training.early_stopping_patience=null", "training.reduce_lr_patience=null"]
    arguments = [part for text in settings for part in ("--set", text)]
    out = tmp_path / "run"
    assert main(["train", str(folder / "tiny.yaml"), *arguments, "--out", str(out)]) == 1
    said = capsys.readouterr()
    assert "with a loss of nan; lower the learning rates of optimizer.tables" in said.err
    assert "beta_1: 0.9" in said.out  # Defaults of optimizers are printed too.
    assert not (out / "metrics.json").exists() and not (out / "model.keras").exists()


def test_bad_rows_are_one_line(folder, tmp_path, capsys):
    """Of an error that a graph raised, what it says."""
    table = log(50, 0)
    labels = table.set_column(0, "clicked", pa.array([2] * 50))
    prices = table.set_column(1, "price", pa.array([None, *[1.0] * 49], pa.float64()))
    for wrong, told in (
        (labels, "error: Labels must be 0 or 1, received others; correct the label's column of"),
        (prices, "row 0, column 'price': is null or NaN; declare a fill, or repair the row."),
    ):
        pq.write_table(wrong, tmp_path / "wrong.parquet")
        setting = ["--set", f"data.train={tmp_path / 'wrong.parquet'}", "--quiet", "--overwrite"]
        assert (
            main(["train", str(folder / "tiny.yaml"), *setting, "--out", str(tmp_path / "o")]) == 1
        )
        (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
        assert told in line


def test_steps_per_epoch(folder, tmp_path):
    """Each epoch has as many, where the rows are not a multiple of them."""
    settings = ["data.steps_per_epoch=4", "training.early_stopping_patience=null", "data.test=null"]
    recipe = Recipe.load(folder / "tiny.yaml").override(settings)
    out = tmp_path / "run"
    train(recipe, out, progress=False)
    model = keras.models.load_model(out / "model.keras")
    assert int(model.optimizer.iterations) == 6 * 4
