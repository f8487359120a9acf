"""The embedding tables of a recipe."""

import dataclasses
from typing import Any, ClassVar

from tfrec_models.embeddings.id_policy import ID_POLICIES
from tfrec_models.recipes._section import Section, setting


@dataclasses.dataclass(frozen=True)
class TablesSection(Section):
    """The embedding tables: their number of rows is the schema's."""

    key: ClassVar[str] = "tables."

    dim: int = setting(16, least=1, help="columns of each table")
    pooling: str = setting("sum", choices=("sum", "mean"), help="of bags of several ids")
    data_type: str | None = setting(
        None,
        choices=("float32", "float16", "bfloat16", "float64"),
        help="of the tables; null for that of `precision`",
    )
    id_policy: str = setting(
        "error", choices=tuple(ID_POLICIES), help="what an id outside a table means"
    )
    initializer: Any = setting(
        None,
        help="the initial rows: a Keras initializer's name, or a mapping of `name` and its "
        "arguments; null for TorchRec's. Each table has numbers of its own",
    )
    by_name: dict = setting(
        dict,
        help="settings of single tables: the table's name to a mapping of `pooling`, `data_type`, "
        "`id_policy` or `initializer`",
    )
