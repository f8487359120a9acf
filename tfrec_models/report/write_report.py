"""Writes the report of a run."""

import os
import pathlib

from tfrec_models._files import atomic_path
from tfrec_models.report._features import look
from tfrec_models.report._run import read_run


def write_report(
    run_dir: str | os.PathLike,
    other: str | os.PathLike | None = None,
    out: str | os.PathLike | None = None,
) -> pathlib.Path:
    """Writes one page about a training run, or about two beside each other.

    The page shows metrics, learning curves, ROC and precision over recall, calibration by decile,
    scores by label, sizes of tables, frequencies of ids, empty bags, the importance of each
    feature, settings, checksums of the data, versions and machine. It needs no other file, no
    server and no JavaScript. Each plot is written as a PNG file beside it.

    Ids and importance are read from up to 20,000 rows of the run's test data, drawn with a fixed
    seed; their paths are those of recipe.yaml. Files of the run that are missing are named on the
    page. Needs matplotlib: `pip install 'tfrec_models[report]'`.

    Args:
        run_dir: path of the folder that `python -m tfrec_models train` wrote.
        other: path of another one to compare it with, or None.
        out: path of the folder to write to, made if it is not there; the run's own `report` if
            None.

    Returns:
        path of the page, `report.html`.

    Raises:
        FileNotFoundError: where a folder has no recipe.yaml.
        ValueError: on a file of the run that cannot be read; names it.
        ModuleNotFoundError: without matplotlib.

    Example:

    >>> import pathlib, tempfile
    >>> from tfrec_models.report import write_report
    >>> run = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (run / "recipe.yaml").write_text("seed: 1")
    >>> _ = (run / "metrics.json").write_text('{"test": {"auc": 0.75}, "epochs": 3}')
    >>> write_report(run).name
    'report.html'
    """
    # Drawn with an optional package, which those who never write a report need not have.
    from tfrec_models.report._page import page_of

    folders = [pathlib.Path(folder) for folder in (run_dir, other) if folder is not None]
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    runs = [read_run(folder, name) for folder, name in zip(folders, names, strict=True)]
    folder = pathlib.Path(out) if out is not None else folders[0] / "report"
    folder.mkdir(parents=True, exist_ok=True)
    page = page_of(runs, [look(run) for run in runs], folder)
    with atomic_path(folder / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")
    return folder / "report.html"
