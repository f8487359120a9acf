"""The model of a recipe."""

import dataclasses
from typing import ClassVar

from tfrec_models.recipes._section import Section, setting

# The sizes that each class of model is made of.
_DLRM = ("dense_arch_layer_sizes", "over_arch_layer_sizes")
_CROSS = ("dcn_num_layers", "dcn_low_rank_dim")
_BRANCHES = ("interaction_branch1_layer_sizes", "interaction_branch2_layer_sizes")
USED: dict[str, tuple[str, ...]] = {
    "DLRM": _DLRM,
    "DLRM_DCN": (*_DLRM, *_CROSS),
    "DLRM_Projection": (*_DLRM, *_BRANCHES),
    "DeepFMRanker": ("deep_layer_sizes",),
    "SimpleDeepFMNN": ("hidden_layer_size", "deep_fm_dimension"),
}
# What DLRM's interactions are made of beside.
INTERACTIONS: dict[str, tuple[str, ...]] = {
    "dot": (),
    "concat": (),
    "parallel_dcn": ("dcn_num_layers", "deep_layer_sizes"),
}


@dataclasses.dataclass(frozen=True)
class ModelSection(Section):
    """Which model a recipe trains, and the sizes of its layers."""

    key: ClassVar[str] = "model."

    kind: str = setting("DLRM", choices=tuple(USED), help="the class of the model")
    interaction: str = setting(
        "dot",
        choices=tuple(INTERACTIONS),
        help="of `DLRM`: dot products, embeddings side by side, or a cross network beside an MLP",
    )
    dense_arch_layer_sizes: list[int] | None = setting(
        None, least=1, help="the MLP over dense features; null for one layer of `tables.dim`"
    )
    over_arch_layer_sizes: list[int] | None = setting(
        None, least=1, help="the MLP over the interaction; the last is 1"
    )
    deep_layer_sizes: list[int] | None = setting(
        None, least=1, help="the MLP of `DeepFMRanker`, and of the interaction `parallel_dcn`"
    )
    dcn_num_layers: int | None = setting(None, least=0, help="cross layers")
    dcn_low_rank_dim: int | None = setting(
        None,
        least=1,
        help="the rank of their matrices; null for full matrices, with `parallel_dcn` alone",
    )
    interaction_branch1_layer_sizes: list[int] | None = setting(
        None, least=1, help="of `DLRM_Projection`"
    )
    interaction_branch2_layer_sizes: list[int] | None = setting(
        None, least=1, help="of `DLRM_Projection`"
    )
    hidden_layer_size: int | None = setting(None, least=1, help="of `SimpleDeepFMNN`")
    deep_fm_dimension: int | None = setting(None, least=1, help="of `SimpleDeepFMNN`")

    def __post_init__(self):
        super().__post_init__()
        if self.dense_arch_layer_sizes == []:
            raise ValueError(
                "model.dense_arch_layer_sizes must have at least one size, received []; set it to "
                "null for one layer of tables.dim."
            )
        if (self.over_arch_layer_sizes or [1])[-1] != 1:
            raise ValueError(
                "model.over_arch_layer_sizes must end in 1, the logit, received "
                f"{self.over_arch_layer_sizes}; for several outputs wrap a model in "
                "tfrec_models.MultiTaskRanker."
            )
        needed, optional = self.needed(), {"dense_arch_layer_sizes"}
        if self.kind == "DLRM":
            optional |= {"dcn_low_rank_dim"} if self.interaction == "parallel_dcn" else set()
        elif self.interaction != "dot":
            raise ValueError(
                f"model.interaction is a choice of DLRM's, received {self.interaction!r} with "
                f"model.kind {self.kind!r}; leave it out."
            )
        names = [field.name for field in dataclasses.fields(self)]
        given = {name for name in names if getattr(self, name) is not None}
        # A section made without any sizes is a start to be overridden, which `build_model` refuses.
        unused = given - {"kind", "interaction", *needed} - optional
        if unused:
            raise ValueError(
                f"model.kind {self.kind!r} has no {sorted(unused)}; it takes "
                f"{sorted({*needed, *optional} if self.kind.startswith('DLRM') else needed)}."
            )

    def needed(self) -> list[str]:
        """The sizes that the model is made of."""
        return [*USED[self.kind], *(INTERACTIONS[self.interaction] if self.kind == "DLRM" else ())]

    def missing(self) -> list[str]:
        """The sizes that the model needs and that are not given."""
        return [
            name
            for name in self.needed()
            if name != "dense_arch_layer_sizes" and getattr(self, name) is None
        ]
