"""How long a recipe trains, and what watches over it."""

import dataclasses
from typing import ClassVar

from tfrec_models.recipes._section import Section, setting

# What a log has that can be watched, and which of its values are better.
BETTER = {"auc": "max", "loss": "min", "normalized_entropy": "min"}
MONITORS = tuple(f"{prefix}{name}" for prefix in ("val_", "") for name in BETTER)


@dataclasses.dataclass(frozen=True)
class TrainingSection(Section):
    """Epochs and Keras's callbacks."""

    key: ClassVar[str] = "training."

    epochs: int = setting(1, least=1, help="passes over the training rows at most")
    monitor: str = setting(
        "val_auc",
        choices=MONITORS,
        help="what early stopping and the reduction of learning rates watch, with `val_` before it "
        "for that of the validation rows",
    )
    mode: str = setting(
        "auto",
        choices=("auto", "max", "min"),
        help="which of its values are better; `auto` for what the metric says",
    )
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

    def __post_init__(self):
        super().__post_init__()
        if self.is_watched and self.mode not in ("auto", self.better):
            raise ValueError(
                f"training.mode {self.mode!r} would keep the worst {self.monitor!r}; set it to "
                f"'auto' or {self.better!r}."
            )

    @property
    def is_watched(self) -> bool:
        """Whether a callback watches the monitored metric."""
        patience = (self.early_stopping_patience, self.reduce_lr_patience)
        return self.checkpoint or any(epochs is not None for epochs in patience)

    @property
    def better(self) -> str:
        """Which values of the monitored metric are better, "max" or "min"."""
        return BETTER[self.monitor.removeprefix("val_")]
