"""Writes what training has changed since an exported version."""

import os
import pathlib
import tempfile
from typing import Any

from tfrec_models._files import atomic_path
from tfrec_models.ranking_model import RankingModel
from tfrec_models.serving.artifact import Artifact
from tfrec_models.serving.delta_file import write_delta
from tfrec_models.serving.metadata import Metadata


def export_delta(
    model: RankingModel,
    base: str | os.PathLike,
    path: str | os.PathLike,
    **options: Any,
) -> pathlib.Path:
    """Writes the rows of tables that differ from an exported version, and all dense weights.

    For a model that is trained on and whose tables are mostly as they were: in place of a version
    of the size of all tables a file of the size of the touched rows goes to the servers, where
    `apply_delta`, or `python -m tfrec_models.serving apply`, makes the new version of it and the
    old one. The result is what `export` would have written, byte for byte in its variables.

    The model is exported in full into a temporary directory beside `path`, which needs that much
    space for the time, and compared with `base` in blocks of 64 bytes. Make each delta on the last
    version that the servers have in full, or apply one after the other.

    Args:
        model: `RankingModel`, the one that `base` was exported from, trained on.
        base: path of a version, such as `models/ranker/1`.
        path: path of the file to write.
        **options: the arguments of `export` that `base` was written with, but `version`.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        FileNotFoundError: if there is no export at `base`, or no directory for `path`.
        ValueError: if `base` is of another model or other options, so that its variables are of
            another size.
        TypeError, ValueError: as `export`.

    Example:

    >>> import pathlib, tempfile
    >>> import tensorflow as tf
    >>> from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig
    >>> from tfrec_models.serving import apply_delta, export, export_delta
    >>> table = EmbeddingBagConfig(100, 8, "t1", feature_names=["f1"])
    >>> model = DLRM(EmbeddingBagCollection([table]), 2, [8], [4, 1])
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> base = export(model, folder / "ranker")
    >>> model.embedding_bag_collection.write_table("t1", tf.ones([100, 8]))
    >>> delta = export_delta(model, base, folder / "2.delta")
    >>> apply_delta(base, delta, folder / "ranker" / "2").name
    '2'
    """
    Metadata.read(base)
    with (
        atomic_path(path) as temporary,
        tempfile.TemporaryDirectory(dir=temporary.parent) as version,
    ):
        Artifact(model, **options).write(version)
        write_delta(base, version, temporary)
    return pathlib.Path(path)
