"""Recipes as plain data: files, other values, and what is refused."""

import dataclasses
import json
import re

import pytest

from tfrec_models.recipes import ModelSection, Recipe, TablesSection, find_recipe, shipped_recipes


@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_files_hold_every_value(tmp_path, ending):
    """What is saved is loaded again, defaults included, and a file may say a part alone."""
    recipe = Recipe(name="mine", tables=TablesSection(dim=8)).override(["data.train=[a, b]"])
    path = tmp_path / f"mine.{ending}"
    recipe.save(path)
    assert Recipe.load(path) == recipe
    assert "min_learning_rate" in path.read_text()
    path.write_text(json.dumps({"tables": {"dim": 4}}))
    assert Recipe.load(path) == Recipe(tables=TablesSection(dim=4))


def test_other_values():
    """Values are YAML; mappings take any key; the recipe itself stays."""
    recipe = Recipe()
    other = recipe.override(
        [
            "tables.dim=32",
            "model.over_arch_layer_sizes=[64, 1]",
            "optimizer.dense.learning_rate=1e-3",
            "optimizer.tables.arguments.epsilon=0.1",
            "tables.by_name.item.initializer.name=zeros",
            "data.test=null",
            "regularization.batch_normalization=true",
        ]
    )
    assert recipe == Recipe()
    assert other.tables.dim == 32
    assert other.model.over_arch_layer_sizes == [64, 1]
    assert other.optimizer.dense.learning_rate == 0.001
    assert other.optimizer.tables.arguments == {"epsilon": 0.1}
    assert other.optimizer.tables.name == "LazyAdam"
    assert other.tables.by_name == {"item": {"initializer": {"name": "zeros"}}}
    assert other.regularization.batch_normalization is True


REFUSED = {
    "tables.dmi=3": "A recipe has no key tables.dmi; did you mean 'tables.dim'?",
    "table.dim=3": "A recipe has no key table.dim; did you mean 'tables.dim'?",
    "tables.dim=0": "tables.dim must be at least 1, received 0",
    "tables.dim=4.5": "tables.dim must be an integer, received 4.5",
    "tables.dim=true": "tables.dim must be an integer, received True",
    "tables.dim": "must have the form key=value, such as tables.dim=32, received 'tables.dim'",
    "tables=3": "tables of a recipe must be a mapping of names to values, received 3",
    "regularization.dropout=1": "regularization.dropout must be at least 0 and below 1, received 1",
    "regularization.embedding_l2=.nan": "must be at least 0, received nan",
    "optimizer.dense.learning_rate=fast": "must be a number, received 'fast'",
    "training.mode=maximum": "must be one of ['auto', 'max', 'min'], received 'maximum'",
    "training.monitor=val_aucc": "received 'val_aucc'; did you mean 'val_auc'?",
    "seed=4294967296": "seed must be at least 0 and at most 4294967295",
    "published.auc=high": "published.auc must be a number, received 'high'",
    "schedule.hold_steps=3": "schedule has ['hold_steps'], which need decay_steps",
    "model.dense_arch_layer_sizes=[]": "must have at least one size, received []",
    "model.over_arch_layer_sizes=[8, 2]": "must end in 1, the logit, received [8, 2]",
    "model.kind=DLRN": "received 'DLRN'; did you mean 'DLRM'?",
    "model.interaction=cat": "must be one of ['dot', 'concat', 'parallel_dcn'], received 'cat'",
    "model.deep_layer_sizes=[4]": "model.kind 'DLRM' has no ['deep_layer_sizes']; it takes",
    "model.over_arch_layer_sizes=[4, 0]": "over_arch_layer_sizes must be at least 1, received 0",
    "model.over_arch_layer_sizes=4": "must be a list, each an integer or null, received 4",
    "training.early_stopping_patience=2": "'val_auc' needs data.validation, received null",
    "data.format=parkuet": "received 'parkuet'; did you mean 'parquet'?",
}


@pytest.mark.parametrize("setting", REFUSED)
def test_what_is_refused(setting):
    """The message has the full key, what was received, and the nearest there is."""
    with pytest.raises(ValueError, match=re.escape(REFUSED[setting])):
        Recipe().override([setting])


def test_refused_in_python_and_in_files(tmp_path):
    """The same checks hold for sections made in Python; a file is named."""
    with pytest.raises(ValueError, match="tables.dim must be at least 1, received 0"):
        TablesSection(dim=0)
    with pytest.raises(ValueError, match="interaction is a choice of DLRM's, received 'concat'"):
        ModelSection(kind="DeepFMRanker", interaction="concat")
    with pytest.raises(ValueError, match="patience goes with constant learning rates"):
        Recipe().override(["schedule.warmup_steps=9", "training.reduce_lr_patience=1"])
    path = tmp_path / "mine.yaml"
    path.write_text("training:\n  epoch: 3\n")
    expected = r"mine.yaml: A recipe has no key training.epoch; did you mean 'training.epochs'\?"
    with pytest.raises(ValueError, match=expected):
        Recipe.load(path)
    path.write_text("a: [")
    with pytest.raises(ValueError, match="mine.yaml is no YAML"):
        Recipe.load(path)


def test_shipped_recipes(tmp_path, monkeypatch):
    """Each loads, has its file's name, and is found by name; a file in the way is taken first."""
    monkeypatch.chdir(tmp_path)
    assert {"frappe_dlrm", "frappe_deepfm", "mlperf_dlrm_dcnv2"} <= shipped_recipes().keys()
    for name, path in shipped_recipes().items():
        recipe = Recipe.load(path)
        assert (recipe.name, bool(recipe.description)) == (name, True)
        assert recipe.model.missing() == []
        assert find_recipe(f"recipes/{name}.yaml") == find_recipe(name) == path
    with pytest.raises(FileNotFoundError, match="did you mean 'frappe_dlrm'"):
        find_recipe("recipes/frape_dlrm.yaml")
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/frappe_dlrm.yaml").write_text("name: mine")
    assert Recipe.load(find_recipe("recipes/frappe_dlrm.yaml")).name == "mine"


def test_every_key_is_explained():
    """A setting without a word on what it is would be missing in the documentation."""
    sections = [Recipe, *(field.default_factory for field in dataclasses.fields(Recipe))]
    for section in sections:
        if dataclasses.is_dataclass(section):
            for field in dataclasses.fields(section):
                if not dataclasses.is_dataclass(field.default_factory):
                    is_part = field.name in ("tables", "dense")
                    assert is_part or field.metadata["help"], f"{section.__name__}.{field.name}"


def test_a_mode_against_its_metric():
    """Refused where something watches; stored recipes that watch nothing load as before."""
    stored = {"training": {"monitor": "val_loss", "mode": "max"}}
    assert Recipe.from_dict(stored).training.better == "min"
    stored["training"] |= {"checkpoint": True}
    stored["data"] = {"validation": "log.parquet"}
    with pytest.raises(ValueError, match="training.mode 'max' would keep the worst 'val_loss'"):
        Recipe.from_dict(stored)
