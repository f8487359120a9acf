"""A recipe's optimizers."""

import inspect
from typing import Any

import keras

from tfrec_models import optimizers
from tfrec_models._checks.names import nearest
from tfrec_models.optimizers import CompositeOptimizer, WarmupDecay
from tfrec_models.recipes.optimizer_part import OptimizerPart
from tfrec_models.recipes.recipe import Recipe

_TABLES: dict[str, Any] = {
    name: getattr(optimizers, name)
    for name in ("SGD", "Adagrad", "RowWiseAdagrad", "LazyAdam", "Adam", "Ftrl")
}
_DENSE: dict[str, Any] = {
    name: item
    for name, item in vars(keras.optimizers).items()
    if inspect.isclass(item)
    and issubclass(item, keras.optimizers.Optimizer)
    # The base and those that wrap others have none.
    and "learning_rate" in inspect.signature(item).parameters
    and name != "Optimizer"
}


def build_optimizer(recipe: Recipe) -> CompositeOptimizer:
    """A recipe's optimizers: one for the tables' rows, one for all other weights.

    Args:
        recipe: `Recipe`. Its `regularization.embedding_l2` becomes the argument `l2` of the tables'
            optimizer, its clipping arguments those of both.

    Raises:
        ValueError: on an unknown optimizer or argument; names the nearest.

    Example:

    >>> from tfrec_models.recipes import Recipe, build_optimizer
    >>> optimizer = build_optimizer(Recipe().override(["optimizer.tables.name=RowWiseAdagrad"]))
    >>> type(optimizer.embedding_optimizer).__name__
    'RowWiseAdagrad'
    """
    section = recipe.optimizer
    clipping = {
        name: value
        for name in ("clipnorm", "clipvalue", "global_clipnorm")
        if (value := getattr(section, name)) is not None
    }
    if len(clipping) > 1:
        raise ValueError(
            f"optimizer takes one of clipnorm, clipvalue and global_clipnorm, received {clipping}."
        )
    l2 = recipe.regularization.embedding_l2
    tables = _made(recipe, "tables", section.tables, _TABLES, {**clipping, "l2": l2})
    return CompositeOptimizer(tables, _made(recipe, "dense", section.dense, _DENSE, clipping))


def _made(recipe: Recipe, role: str, part: OptimizerPart, classes: dict, arguments: dict) -> Any:
    if part.name not in classes:
        raise ValueError(
            f"optimizer.{role}.name: there is no {part.name!r}{nearest(part.name, classes)}"
        )
    schedule = recipe.schedule
    rate: Any = part.learning_rate
    if not schedule.is_constant:
        rate = WarmupDecay(
            part.learning_rate,
            schedule.warmup_steps,
            schedule.hold_steps,
            schedule.decay_steps,
            part.learning_rate * schedule.end_factor,
            schedule.power,
        )
    # The names of both parts are in the log, where Keras tells their learning rates.
    named = {"learning_rate": rate, "name": role, **arguments}
    if twice := [name for name in part.arguments if name in named]:
        raise ValueError(
            f"optimizer.{role}.arguments must not have {twice}, which other keys of a recipe set."
        )
    known = sorted(
        {
            name
            for base in inspect.getmro(classes[part.name])
            if base is not object
            for name in inspect.signature(base).parameters
        }
        - {"args", "kwargs"}
    )
    for name in part.arguments:
        if name not in known:
            raise ValueError(
                f"optimizer.{role}.arguments: {part.name} has no {name!r}{nearest(name, known)}"
            )
    try:
        return classes[part.name](**named, **part.arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"optimizer.{role}: {error}") from error
