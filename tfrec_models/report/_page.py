"""The page of a report."""

from tfrec_models import _html
from tfrec_models.report import _feature_sections, _training_sections
from tfrec_models.report._drawing import drawing
from tfrec_models.report._paper import Paper, is_number, nothing, slug
from tfrec_models.report._settings import settings_table


def page_of(runs, found, folder):
    """The page, whose figures are written to a folder too.

    Args:
        runs: list of one or two `Run`.
        found: list of `Features`, one a run.
        folder: path of an existing folder.
    """
    paper = Paper(runs, found, folder)
    links = "".join(f'<a href="#{slug(title)}">{title}</a> ' for title in _SECTIONS)
    body = [*_head(paper), f"<nav>{links}</nav>"]
    with drawing():
        for title, section in _SECTIONS.items():
            body += [f'<h2 id="{slug(title)}">{title}</h2>', *section(paper)]
    return _html.page("Report of " + " and ".join(paper.names), body)


def _head(paper):
    pieces = []
    for number, (run, found) in enumerate(zip(paper.runs, paper.found, strict=True)):
        kind = ("first", "second")[number] if len(paper.runs) > 1 else None
        pieces.append(_html.paragraph(f"{run.name}: {_duration(run.metrics)}", kind))
        if len(paper.runs) == 1 and isinstance(run.recipe.get("description"), str):
            pieces.append(_html.paragraph(run.recipe["description"], "muted"))
        prefix = f"{run.name}: " if len(paper.runs) > 1 else ""
        for note in (*run.notes, *found.notes):
            pieces.append(_html.paragraph(prefix + note, "note"))
    return pieces


def _settings(paper):
    return [settings_table(paper.titles, [run.recipe for run in paper.runs])]


def _data(paper):
    data = [run.environment.get("data", {}) for run in paper.runs]
    if not any(data):
        return nothing("No checksums of the data are there.")
    return [settings_table(paper.titles, data)]


def _machine(paper):
    rest = [{k: v for k, v in r.environment.items() if k != "data"} for r in paper.runs]
    if not any(rest):
        return nothing("The environment of the run is not known.")
    return [settings_table(paper.titles, rest)]


def _duration(metrics):
    """Notes on a run beside its metrics."""
    told = []
    if is_number(metrics.get("epochs")):
        told.append(f"{metrics['epochs']:,} epochs")
    if is_number(metrics.get("seconds")):
        minutes, seconds = divmod(round(metrics["seconds"]), 60)
        told.append(f"{minutes} min {seconds} s" if minutes else f"{seconds} s")
    words = " in ".join(told) or "not known how long it trained"
    if is_number(metrics.get("best_epoch")):
        words += f", with the weights of epoch {metrics['best_epoch']:,}"
    return words


_SECTIONS = {
    "Metrics": _training_sections.metrics,
    "Learning curves": _training_sections.learning,
    "Ranking": _training_sections.ranking,
    "Calibration": _training_sections.calibration,
    "Tables": _feature_sections.tables,
    "Ids": _feature_sections.ids,
    "Importance": _feature_sections.importance,
    "Settings": _settings,
    "Data": _data,
    "Versions and machine": _machine,
}
