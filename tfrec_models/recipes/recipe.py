"""A training from data to a measured model, as plain data."""

import copy
import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from tfrec_models._checks.names import nearest
from tfrec_models._config_files import load_config, save_config
from tfrec_models.recipes._section import Section, from_config, full_names, setting
from tfrec_models.recipes.data_section import DataSection
from tfrec_models.recipes.model_section import ModelSection
from tfrec_models.recipes.optimizer_section import OptimizerSection
from tfrec_models.recipes.regularization_section import RegularizationSection
from tfrec_models.recipes.schedule_section import ScheduleSection
from tfrec_models.recipes.tables_section import TablesSection
from tfrec_models.recipes.training_section import TrainingSection

# Mappings of a recipe whose keys are not the recipe's.
_FREE = ("schema", "schema_arguments", "initializer", "by_name", "arguments", "published")


@dataclasses.dataclass(frozen=True)
class Recipe(Section):
    """Everything that a training depends on, in one typed, plain configuration.

    Data and schema, model, tables, optimizers, schedule, regularization, callbacks, seed and
    precision. It is read from and written to YAML and JSON, and `train` trains it. Every value
    has a default; what is not right is refused when the recipe is made, with the full name of the
    key and the nearest one there is.

    Args:
        name: str, what results are called.
        description: str, what it is, and where the settings are from.
        published: dict from metric to number, what others report for these settings.
        seed: int, of weights, dropout and the order of rows.
        precision: str, a dtype policy of Keras's.
        data: `DataSection`.
        model: `ModelSection`.
        tables: `TablesSection`.
        optimizer: `OptimizerSection`.
        schedule: `ScheduleSection`.
        regularization: `RegularizationSection`.
        training: `TrainingSection`.

    Raises:
        ValueError: on an unknown key, a value of another type or out of range, or settings that
            exclude each other.

    Example:

    >>> import os, tempfile
    >>> from tfrec_models.recipes import Recipe
    >>> path = os.path.join(tempfile.mkdtemp(), "mine.yaml")
    >>> Recipe(name="mine").save(path)
    >>> recipe = Recipe.load(path).override(["tables.dim=32", "training.epochs=3"])
    >>> recipe.tables.dim, recipe.training.epochs
    (32, 3)
    >>> recipe.override(["table.dim=32"])
    Traceback (most recent call last):
    ValueError: A recipe has no key table.dim; did you mean 'tables.dim'?
    """

    name: str = setting("recipe", help="what results are called")
    description: str = setting("", help="what it is, and where the settings are from")
    published: dict = setting(dict, help="what others report for these settings: metric to number")
    seed: int = setting(0, least=0, most=2**32 - 1, help="of weights, dropout and order of rows")
    precision: str = setting(
        "float32",
        choices=("float32", "float64", "mixed_bfloat16", "mixed_float16"),
        help="a dtype policy of Keras's",
    )
    data: DataSection = dataclasses.field(default_factory=DataSection)
    model: ModelSection = dataclasses.field(default_factory=ModelSection)
    tables: TablesSection = dataclasses.field(default_factory=TablesSection)
    optimizer: OptimizerSection = dataclasses.field(default_factory=OptimizerSection)
    schedule: ScheduleSection = dataclasses.field(default_factory=ScheduleSection)
    regularization: RegularizationSection = dataclasses.field(default_factory=RegularizationSection)
    training: TrainingSection = dataclasses.field(default_factory=TrainingSection)

    def __post_init__(self):
        super().__post_init__()
        for name, value in self.published.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"published.{name} must be a number, received {value!r}.")
        if self.training.reduce_lr_patience is not None and not self.schedule.is_constant:
            raise ValueError(
                "training.reduce_lr_patience goes with constant learning rates, received a "
                f"schedule with warmup_steps={self.schedule.warmup_steps} and decay_steps="
                f"{self.schedule.decay_steps}; set one of the two to null or 0."
            )
        is_validated = self.data.validation is not None
        if (
            self.training.is_watched
            and self.training.monitor.startswith("val_")
            and not is_validated
        ):
            raise ValueError(
                f"training.monitor {self.training.monitor!r} needs data.validation, received null; "
                "name its files, or monitor a metric of the training rows, such as 'auc'."
            )

    def to_dict(self) -> dict[str, Any]:
        """All values, defaults included, as plain dicts, lists, strings and numbers."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> "Recipe":
        """The recipe of plain data; what it does not say has its default.

        Raises:
            ValueError: on an unknown key, or a value of another type or out of range.
        """
        return from_config(cls(), config, known=full_names(cls))

    def save(self, path: str | os.PathLike) -> None:
        """Writes all values, as YAML or JSON by the ending of the path; whole or not at all."""
        save_config(self.to_dict(), path)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Recipe":
        """The recipe that `save` wrote, or that was written by hand.

        Raises:
            FileNotFoundError: if the file is not there.
            ValueError: as `from_dict`, and on a file that is no YAML or JSON.
        """
        config = load_config(path)
        try:
            return cls.from_dict(config)
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from error

    def override(self, settings: Iterable[str]) -> "Recipe":
        """A recipe with other values.

        Args:
            settings: list of str of the form "key=value", with the full key and the value as YAML
                has it: "tables.dim=32", "model.over_arch_layer_sizes=[64, 1]", "data.test=null".

        Raises:
            ValueError: as `from_dict`, and on a setting of another form.
        """
        config = copy.deepcopy(self.to_dict())
        known = full_names(type(self))
        for text in settings:
            key, equals, value = text.partition("=")
            if not equals:
                raise ValueError(
                    f"A setting must have the form key=value, such as tables.dim=32, received "
                    f"{text!r}."
                )
            try:
                value = yaml.safe_load(value)
            except yaml.YAMLError as error:
                raise ValueError(f"The value of {key} is no YAML: {error}") from error
            _set(config, key.strip(), value, known)
        return self.from_dict(config)


def _set(config, key, value, known):
    """Sets a value of nested mappings; within those whose keys are free, any key."""
    *path, last = key.split(".")
    place, is_free = config, False
    for name in path:
        inner = place.get(name)
        is_free = is_free or name in _FREE
        if not isinstance(inner, dict):
            if not is_free:
                raise ValueError(f"A recipe has no key {key}{nearest(key, known)}")
            inner = place[name] = {}
        place = inner
    if last not in place and not is_free:
        raise ValueError(f"A recipe has no key {key}{nearest(key, known)}")
    place[last] = value
