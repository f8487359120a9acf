"""The learning-rate schedule of a recipe."""

import dataclasses
from typing import ClassVar

from tfrec_models.recipes._section import Section, setting


@dataclasses.dataclass(frozen=True)
class ScheduleSection(Section):
    """How the learning rates move with the steps; without any steps they stay as they are."""

    key: ClassVar[str] = "schedule."

    warmup_steps: int = setting(0, least=0, help="steps in which the rates rise from 0")
    hold_steps: int = setting(0, least=0, help="steps at the full rates after that")
    decay_steps: int = setting(0, least=0, help="steps in which they fall to `end_factor`")
    end_factor: float = setting(0.0, least=0, most=1, help="the last rates as a share of the full")
    power: float = setting(1.0, above=0, help="of the polynomial by which they fall")

    def __post_init__(self):
        super().__post_init__()
        names = ("hold_steps", "end_factor", "power")
        default = {field.name: field.default for field in dataclasses.fields(self)}
        unused = [name for name in names if getattr(self, name) != default[name]]
        if unused and not self.decay_steps:
            raise ValueError(
                f"schedule has {unused}, which need decay_steps, received decay_steps=0; set "
                "schedule.decay_steps, or leave them out."
            )

    @property
    def is_constant(self) -> bool:
        """Whether the rates stay as they are."""
        return not (self.warmup_steps or self.decay_steps)
