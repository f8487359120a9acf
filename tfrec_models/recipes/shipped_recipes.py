"""The recipes that come with the package."""

import os
import pathlib

from tfrec_models._checks.names import nearest

_FOLDER = pathlib.Path(__file__).with_name("shipped")


def shipped_recipes() -> dict[str, pathlib.Path]:
    """Name to file of each recipe that comes with the package.

    Example:

    >>> from tfrec_models.recipes import shipped_recipes
    >>> "frappe_dlrm" in shipped_recipes()
    True
    """
    return {path.stem: path for path in sorted(_FOLDER.glob("*.yaml"))}


def find_recipe(path: str | os.PathLike) -> pathlib.Path:
    """The file of a recipe: the path itself, or the shipped one of the same name.

    Args:
        path: such as "mine.yaml", "recipes/frappe_dlrm.yaml" or "frappe_dlrm".

    Raises:
        FileNotFoundError: if there is neither; names the nearest shipped recipe.

    Example:

    >>> from tfrec_models.recipes import find_recipe
    >>> find_recipe("recipes/frappe_dlrm.yaml").name
    'frappe_dlrm.yaml'
    """
    path = pathlib.Path(path)
    if path.is_file():
        return path
    shipped = shipped_recipes()
    if path.stem in shipped and path.parent.name in ("", "recipes"):
        return shipped[path.stem]
    raise FileNotFoundError(
        f"There is no file {os.fspath(path)}, and no shipped recipe {path.stem!r}"
        + nearest(path.stem, shipped)
    )
