"""A recipe's schema, fitted."""

import inspect
import os
from collections.abc import Callable, Mapping

from tfrec_models._checks.names import nearest
from tfrec_models.datasets.avazu_schema import avazu_schema
from tfrec_models.datasets.criteo_schema import criteo_schema
from tfrec_models.datasets.frappe_schema import frappe_schema
from tfrec_models.datasets.movielens_schema import movielens_schema
from tfrec_models.datasets.schema import Schema
from tfrec_models.recipes.recipe import Recipe

_READY: dict[str, Callable[..., Schema]] = {
    "avazu": avazu_schema,
    "criteo": criteo_schema,
    "frappe": frappe_schema,
    "movielens": movielens_schema,
}


def build_schema(recipe: Recipe, progress: bool = False) -> Schema:
    """The schema of a recipe's data; what it learns is learned from the training files.

    Args:
        recipe: `Recipe`.
        progress: bool, whether to show rows and rows per second on stderr where it learns.

    Returns:
        `Schema`, ready for `datasets.read` and `build_model`.

    Raises:
        FileNotFoundError: if a file of the schema or of the training rows is not there.
        ValueError: if data.schema is nothing of the kind, or learns while data.train is null.

    Example:

    >>> from tfrec_models.recipes import Recipe, build_schema
    >>> recipe = Recipe().override(["data.schema=criteo", "data.schema_arguments={num_ids: 1000}"])
    >>> build_schema(recipe).num_dense
    13
    """
    schema = _declared(recipe)
    if is_fitted(schema):
        return schema
    data = recipe.data
    if data.train is None:
        raise ValueError(
            "data.train must name the training rows, received null: sizes of tables and "
            "vocabularies are learned from them; set data.train=PATH."
        )
    try:
        schema.fit(data.train, progress, format=data.format, delimiter=data.delimiter)
    except FileNotFoundError as error:
        raise missing_files("train", data.train, error) from error
    return schema


def is_fitted(schema: Schema) -> bool:
    """Whether a schema has learned all that it learns."""
    vocabularies = schema.learned["vocabularies"]
    for column in schema.sparse:
        if column.ids == "vocabulary" and column.name not in vocabularies:
            return False
        is_learned = column.ids == "integer" and column.num_ids is None
        if is_learned and column.name not in schema.learned["num_ids"]:
            return False
    return all(
        column.name in schema.learned["statistics"] for column in schema.dense if column.is_learned
    )


def missing_files(part: str, files: object, error: FileNotFoundError) -> FileNotFoundError:
    """What to raise where the files of a part of the data are not there."""
    return FileNotFoundError(
        f"data.{part} names files that are not there: {files!r} ({error}). Put them there, or set "
        f"data.{part}=PATH."
    )


def _declared(recipe):
    declared, arguments = recipe.data.schema, recipe.data.schema_arguments
    if isinstance(declared, str) and declared in _READY:
        known = inspect.signature(_READY[declared]).parameters
        for name in arguments:
            if name not in known:
                raise ValueError(
                    f"data.schema_arguments: the schema {declared!r} has no {name!r}"
                    f"{nearest(name, known)}"
                )
        return _READY[declared](**arguments)
    if arguments:
        raise ValueError(
            f"data.schema_arguments goes with one of {sorted(_READY)}, received data.schema "
            f"{declared!r}; leave it out."
        )
    if isinstance(declared, Mapping):
        return Schema.from_dict({"version": 1, **declared})
    if not isinstance(declared, str):
        raise ValueError(
            f"data.schema must be one of {sorted(_READY)}, the path of a schema's file or a schema "
            f"as a mapping, received {declared!r}."
        )
    if not os.path.exists(declared):
        raise FileNotFoundError(
            f"data.schema: there is no file and no ready schema {declared!r}"
            + nearest(declared, _READY)
        )
    return Schema.load(declared)
