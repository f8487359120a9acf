"""One of the two optimizers of a recipe."""

import dataclasses
from typing import ClassVar

from tfrec_models.recipes._section import Section, setting


@dataclasses.dataclass(frozen=True)
class OptimizerPart(Section):
    """An optimizer by name, with its learning rate and other arguments."""

    key: ClassVar[str] = "optimizer.(tables or dense)."

    name: str = setting(
        "Adam",
        help="of the tables: `SGD`, `Adagrad`, `RowWiseAdagrad`, `LazyAdam`, `Adam` or `Ftrl`, "
        "those of `tfrec_models.optimizers`; of the rest: an optimizer of Keras's",
    )
    learning_rate: float = setting(0.001, least=0, help="at the start, or after the warm-up")
    arguments: dict = setting(dict, help="further arguments of the optimizer, such as `epsilon`")
