"""The optimizers of a recipe."""

import dataclasses
from typing import ClassVar

from tfrec_models.recipes._section import Section, setting
from tfrec_models.recipes.optimizer_part import OptimizerPart


@dataclasses.dataclass(frozen=True)
class OptimizerSection(Section):
    """One optimizer for the tables and one for all other weights, as `CompositeOptimizer` has."""

    key: ClassVar[str] = "optimizer."

    tables: OptimizerPart = dataclasses.field(
        default_factory=lambda: OptimizerPart("LazyAdam", 0.001)
    )
    dense: OptimizerPart = dataclasses.field(default_factory=lambda: OptimizerPart("Adam", 0.001))
    clipnorm: float | None = setting(
        None, above=0, help="the largest norm of one gradient, before `embedding_l2` is added"
    )
    clipvalue: float | None = setting(None, above=0, help="the largest element of a gradient")
    global_clipnorm: float | None = setting(
        None,
        above=0,
        help="the largest norm of all gradients of the tables, and of all others, together",
    )
