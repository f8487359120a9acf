"""Makes the next version of a model of the one before and a delta."""

import os
import pathlib
import shutil

from tfrec_models.serving.delta_file import DeltaFile, digest_of, digests_of
from tfrec_models.serving.version_directory import new_directory


def apply_delta(
    base: str | os.PathLike, delta: str | os.PathLike, out: str | os.PathLike
) -> pathlib.Path:
    """Writes the version that a delta makes of its base.

    `base` stays as it is. The new version is written beside `out`, compared with the checksums in
    the delta and renamed: a server sees all of it or nothing, also where the process is killed.

    Args:
        base: path of the version that the delta was made on.
        delta: path of what `export_delta` wrote.
        out: path of the new version, such as `models/ranker/2`.

    Returns:
        `pathlib.Path` of the new version.

    Raises:
        FileExistsError: if there is something at `out`.
        FileNotFoundError: if there is no delta or no base.
        ValueError: if the delta is damaged or no delta, if it is of another base, or if `base` is
            its result already.

    Example:

    >>> import pathlib, tempfile
    >>> from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig
    >>> from tfrec_models.serving import apply_delta, export, export_delta
    >>> table = EmbeddingBagConfig(100, 8, "t1", feature_names=["f1"])
    >>> model = DLRM(EmbeddingBagCollection([table]), 2, [8], [4, 1])
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> base = export(model, folder / "ranker")
    >>> delta = export_delta(model, base, folder / "2.delta")
    >>> apply_delta(base, delta, folder / "ranker" / "2").name
    '2'
    """
    base = pathlib.Path(base)
    if not base.is_dir():
        raise FileNotFoundError(
            f"base must be the directory of a version, such as models/ranker/1, received {base}."
        )
    changes = DeltaFile(delta)
    try:
        with new_directory(out) as pending:
            _check_base(base, delta, changes)
            for name, digest in changes.result.items():
                target = pending.path / name
                target.parent.mkdir(parents=True, exist_ok=True)
                if not changes.has_whole(name):
                    shutil.copyfile(base / name, target)
                changes.write(name, target)
                if digest_of(target) != digest:
                    raise ValueError(
                        f"{delta} makes another {name} of {base} than it says: it is damaged. "
                        "Copy or write it again."
                    )
    finally:
        changes.close()
    return pending.final_path


def _check_base(base, delta, changes):
    found = digests_of(base)
    if found == changes.base:
        return
    if found == changes.result:
        raise ValueError(f"{base} has the changes of {delta} already. Serve it as it is.")
    names = sorted({*found, *changes.base})
    different = [name for name in names if found.get(name) != changes.base.get(name)]
    raise ValueError(
        f"{delta} was made on another version than {base}, where {different} differ. Apply it to "
        "the version that export_delta received as base."
    )
