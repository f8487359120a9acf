"""The regularization of a recipe."""

import dataclasses
from typing import ClassVar

from tfrec_models.recipes._section import Section, setting


@dataclasses.dataclass(frozen=True)
class RegularizationSection(Section):
    """What limits overfitting: L2 of rows, dropout and batch normalization."""

    key: ClassVar[str] = "regularization."

    embedding_l2: float = setting(
        0.0,
        least=0,
        help="L2 of the rows that a batch looks up, and with the tables' optimizer `Adam` of all: "
        "each adds `embedding_l2 * row` to its gradient",
    )
    dropout: float = setting(
        0.0, least=0, below=1, help="the share of outputs of the MLPs' layers set to zero"
    )
    batch_normalization: bool = setting(False, help="whether the MLPs' layers normalize")
