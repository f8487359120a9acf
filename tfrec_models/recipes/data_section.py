"""The data of a recipe."""

import dataclasses
from typing import Any, ClassVar

from tfrec_models.recipes._section import Section, setting


@dataclasses.dataclass(frozen=True)
class DataSection(Section):
    """Which files a recipe trains on, and by which schema they are read."""

    key: ClassVar[str] = "data."

    train: str | list[str] | None = setting(
        None, help="files, globs, folders or URIs to train on, as `datasets.read` takes them"
    )
    validation: str | list[str] | None = setting(
        None, help="files to evaluate after each epoch, or null"
    )
    test: str | list[str] | None = setting(None, help="files to evaluate at the end, or null")
    schema: Any = setting(
        None,
        help="`frappe`, `movielens`, `criteo` or `avazu`, the path of a schema's file, or the "
        "schema itself as a mapping; what it learns is learned from `data.train`",
    )
    schema_arguments: dict = setting(
        dict, help="arguments of a ready schema's function, such as `num_ids`"
    )
    format: str | None = setting(
        None,
        choices=("parquet", "csv", "tfrecord"),
        help="of the files; null to infer it from their names",
    )
    delimiter: str | None = setting(None, help="of text files; null for a tab or a comma")
    batch_size: int = setting(1024, least=1, help="rows a training step")
    evaluation_batch_size: int = setting(8192, least=1, help="rows a step of evaluation")
    shuffle: bool = setting(True, help="whether each epoch has another order")
    shuffle_buffer: int = setting(131_072, least=1, help="rows that are shuffled together")
    steps_per_epoch: int | None = setting(
        None, least=1, help="steps after which an epoch ends, for a scaled run; null for all rows"
    )
