"""How long a recipe trains, and what watches over it."""

import dataclasses
from typing import ClassVar

from tfrec_models.recipes._section import Section, setting


@dataclasses.dataclass(frozen=True)
class TrainingSection(Section):
    """Epochs and Keras's callbacks."""

    key: ClassVar[str] = "training."

    epochs: int = setting(1, least=1, help="passes over the training rows at most")
    monitor: str = setting(
        "val_auc",
        help="what early stopping and the reduction of learning rates watch: a metric of the log, "
        "with `val_` before it for that of the validation rows",
    )
    mode: str = setting("max", choices=("max", "min"), help="which of its values are better")
    min_delta: float = setting(0.0, least=0, help="what counts as no improvement")
    early_stopping_patience: int | None = setting(
        None,
        least=1,
        help="epochs without improvement after which training ends with the best epoch's weights; "
        "null to train to the end and keep the last weights",
    )
    reduce_lr_patience: int | None = setting(
        None,
        least=1,
        help="epochs without improvement after which learning rates are multiplied by "
        "`reduce_lr_factor`; null for never",
    )
    reduce_lr_factor: float = setting(0.1, above=0, below=1, help="see `reduce_lr_patience`")
    min_learning_rate: float = setting(0.0, least=0, help="learning rates fall no lower")
    checkpoint: bool = setting(
        False, help="whether the best model so far is kept in `checkpoint.keras` while training"
    )
    tensorboard: bool = setting(False, help="whether TensorBoard's files are written")
