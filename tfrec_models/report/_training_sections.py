"""The sections about training and about the predictions of the test rows."""

from tfrec_models import _html
from tfrec_models.report import _plots
from tfrec_models.report._curves import (
    RankedArea,
    average_precision,
    histogram,
    precision_recall,
    reliability,
    roc,
)
from tfrec_models.report._numbers import decile_table
from tfrec_models.report._paper import is_number, nothing, slug

_SPLITS = ("train", "validation", "test", "published")
_NO_PREDICTIONS = "No predictions of the test rows are there to draw."


def metrics(paper):
    """The metrics of each part of the data, beside published ones."""
    numbers = [
        {split: found[split] for split in _SPLITS if _is_numbers(found.get(split))}
        for run in paper.runs
        for found in [{**run.metrics, "published": run.recipe.get("published")}]
    ]
    splits = [split for split in _SPLITS if any(split in found for found in numbers)]
    if not splits:
        return nothing("No metrics are there to show.")
    names = list(dict.fromkeys(n for found in numbers for split in found.values() for n in split))
    if len(paper.runs) == 1:
        rows = [[name, *(_number(numbers[0][s].get(name)) for s in splits)] for name in names]
        return [_html.table(["", *splits], rows)]
    rows = []
    for split in splits:
        for name in names:
            first, second = (found.get(split, {}).get(name) for found in numbers)
            if first is None and second is None:
                continue
            difference = "" if None in (first, second) else f"{first - second:+.5f}"
            rows.append([f"{split} {name}", _number(first), _number(second), difference])
    return [_html.table(["", *paper.names, "difference"], rows)]


def learning(paper):
    """A plot for each metric of the log."""
    names = list(dict.fromkeys(column for run in paper.runs for column in run.log))
    names = [name for name in names if name != "epoch"]
    metrics = dict.fromkeys(name.removeprefix("val_") for name in names)
    if not metrics:
        return nothing("No epoch is logged.")
    drawn = []
    for metric in metrics:
        curves = [
            (run.log.get(metric), run.log.get(f"val_{metric}"), run.metrics.get("best_epoch"))
            for run in paper.runs
        ]
        figure = _plots.learning(metric, paper.series(curves))
        drawn.append(paper.figure(f"learning_{slug(metric)}", figure, f"{metric} by epoch"))
    return [
        _html.paragraph(
            "Dashed: training, as the mean of an epoch's steps while the model changes. Solid: "
            "validation, after the epoch. Dotted: the epoch whose weights the model has. "
            "Validation that turns while training continues is overfitting.",
            "muted",
        ),
        _html.group("side", drawn),
    ]


def ranking(paper):
    """ROC, precision over recall, and the area with its standard error."""
    runs = [run for run in paper.runs if run.scores is not None]
    if not runs:
        return nothing(_NO_PREDICTIONS)
    areas = [RankedArea.of(run.labels, run.scores) for run in runs]
    words = [
        _html.paragraph(
            f"Test AUC of {run.name}: {area.value:.5f} ± {area.error:.5f}, one standard error, "
            f"of {len(run.labels):,} rows."
        )
        for run, area in zip(runs, areas, strict=True)
    ]
    if len(runs) == 2:
        words.append(_html.paragraph(_difference(runs, areas)))
    curves = _of_predictions(paper, precision_recall)
    precisions = ", ".join(
        f"{average_precision(*curve):.4f} of {name}"
        if len(runs) > 1
        else f"{average_precision(*curve):.4f}"
        for _, name, curve in curves
    )
    rate = float(runs[0].labels.mean())
    drawn = [
        paper.figure(
            "roc",
            _plots.roc(_of_predictions(paper, roc)),
            "ROC curve",
            "Of the rows with label 0 and with label 1, the share above each score. The dotted "
            "line is what random scores give.",
        ),
        paper.figure(
            "precision_recall",
            _plots.precision_recall(curves, rate),
            "Precision over recall",
            f"Average precision {precisions}. The dotted line is the share of label 1, "
            f"{rate:.4g}, which random scores give.",
        ),
    ]
    return [*words, _html.group("side", drawn)]


def calibration(paper):
    """Scores beside the share of label 1, and their histogram."""
    groups = _of_predictions(paper, reliability)
    if not groups:
        return nothing(_NO_PREDICTIONS)
    drawn = [
        paper.figure(
            "calibration",
            _plots.reliability(groups),
            "Share of label 1 over mean score, by decile",
            "Test rows in ten groups by score. Bars are 95% intervals of the share of label 1. "
            "On the dotted line scores are the probabilities they say; below it they are too "
            "high.",
        ),
        paper.figure(
            "scores",
            _plots.scores(_of_predictions(paper, histogram)),
            "Histogram of scores by label",
            "The share of each label's test rows in each bar; the outer bars hold the "
            "outermost 0.1% too.",
        ),
    ]
    return [_html.group("side", drawn), paper.each(groups, lambda _, g: [decile_table(g)])]


def _of_predictions(paper, function):
    return paper.series(
        [None if run.scores is None else function(run.labels, run.scores) for run in paper.runs]
    )


def _difference(runs, areas):
    first, second = runs
    if first.labels.shape != second.labels.shape or (first.labels != second.labels).any():
        return (
            "The runs' test rows have other labels, so that the difference of their areas has no "
            "error to compare it with."
        )
    difference, error = areas[0].minus(areas[1])
    return (
        f"{first.name} minus {second.name}: {difference:+.5f} ± {error:.5f}, one standard error, "
        "on the same rows. Less than two standard errors may be chance; training with other seeds "
        "varies the AUC further."
    )


def _is_numbers(value):
    return isinstance(value, dict) and all(map(is_number, value.values()))


def _number(value):
    return "" if value is None else f"{value:.5g}"
