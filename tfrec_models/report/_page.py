"""The sections of a report's page."""

import html
import numbers
import re

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
from tfrec_models.report._drawing import RUN_COLOURS, as_svg, drawing, save_png
from tfrec_models.report._features import tables_of
from tfrec_models.report._settings import settings_table

_SPLITS = ("train", "validation", "test")
_NO_PREDICTIONS = "No predictions of the test rows are there to draw."


def page_of(runs, found, folder):
    """The page, whose figures are written to a folder too.

    Args:
        runs: list of one or two `Run`.
        found: list of `Features`, one a run.
        folder: path of an existing folder.
    """
    with drawing():
        builder = _Page(runs, found, folder)
        title = " and ".join(run.name for run in runs)
        return _html.page(f"Report of {title}", builder.body())


class _Page:
    """Builds the body of the page."""

    def __init__(self, runs, found, folder):
        self._runs, self._found, self._folder = runs, found, folder
        self._names = [run.name for run in runs]

    def body(self):
        """Pieces of HTML."""
        sections = [
            ("Metrics", self._metrics),
            ("Learning curves", self._learning),
            ("Ranking", self._ranking),
            ("Calibration", self._calibration),
            ("Tables", self._tables),
            ("Ids", self._ids),
            ("Importance", self._importance),
            ("Settings", lambda: [settings_table(self._titles(), [r.recipe for r in self._runs])]),
            ("Data", self._data),
            ("Versions and machine", self._machine),
        ]
        links = "".join(f'<a href="#{_slug(title)}">{title}</a> ' for title, _ in sections)
        body = [*self._head(), f"<nav>{links}</nav>"]
        for title, section in sections:
            body += [f'<h2 id="{_slug(title)}">{title}</h2>', *section()]
        return body

    def _head(self):
        pieces = []
        for number, (run, found) in enumerate(zip(self._runs, self._found, strict=True)):
            words = ", ".join([f"{run.name}: {_duration(run.metrics)}"])
            kind = ("first", "second")[number] if len(self._runs) > 1 else None
            pieces.append(_html.paragraph(words, kind))
            prefix = f"{run.name}: " if len(self._runs) > 1 else ""
            for note in (*run.notes, *found.notes):
                pieces.append(_html.paragraph(prefix + note, "note"))
        return pieces

    def _titles(self):
        return self._names if len(self._runs) > 1 else ["value"]

    def _figure(self, name, figure, title, caption=""):
        save_png(figure, self._folder / f"{name}.png")
        return _html.figure(as_svg(figure, name, title), caption)

    def _metrics(self):
        metrics = [
            {split: run.metrics[split] for split in _SPLITS if _is_numbers(run.metrics.get(split))}
            for run in self._runs
        ]
        splits = [split for split in _SPLITS if any(split in found for found in metrics)]
        if not splits:
            return [_html.paragraph("No metrics are there to show.", "muted")]
        names = list(dict.fromkeys(n for found in metrics for split in found.values() for n in split))
        if len(self._runs) == 1:
            rows = [[name, *(_number(metrics[0][s].get(name)) for s in splits)] for name in names]
            return [_html.table(["", *splits], rows)]
        rows = []
        for split in splits:
            for name in names:
                first, second = (found.get(split, {}).get(name) for found in metrics)
                if first is None and second is None:
                    continue
                difference = "" if None in (first, second) else f"{first - second:+.4g}"
                rows.append([f"{split} {name}", _number(first), _number(second), difference])
        return [_html.table(["", *self._names, "difference"], rows)]

    def _learning(self):
        names = list(dict.fromkeys(column for run in self._runs for column in run.log))
        names = [name for name in names if name != "epoch"]
        metrics = dict.fromkeys(name.removeprefix("val_") for name in names)
        if not metrics:
            return [_html.paragraph("No epoch is logged.", "muted")]
        drawn = []
        for metric in metrics:
            curves = [
                (run.name, (run.log.get(metric), run.log.get(f"val_{metric}"))) for run in self._runs
            ]
            figure = _plots.learning(metric, curves)
            drawn.append(self._figure(f"learning_{_slug(metric)}", figure, f"{metric} by epoch"))
        return [
            _html.paragraph(
                "Dashed: training, as the mean of an epoch's steps while the model changes. Solid: "
                "validation, after the epoch. Validation that turns while training goes on is "
                "overfitting.",
                "muted",
            ),
            _html.group("side", drawn),
        ]

    def _predicted(self):
        return [run for run in self._runs if run.scores is not None]

    def _ranking(self):
        runs = self._predicted()
        if not runs:
            return [_html.paragraph(_NO_PREDICTIONS, "muted")]
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
        curves = [(run.name, precision_recall(run.labels, run.scores)) for run in runs]
        precisions = ", ".join(
            f"{average_precision(*curve):.4f} of {name}" if len(runs) > 1
            else f"{average_precision(*curve):.4f}"
            for name, curve in curves
        )
        rate = float(runs[0].labels.mean())
        drawn = [
            self._figure(
                "roc",
                _plots.roc([(run.name, roc(run.labels, run.scores)) for run in runs]),
                "ROC curve",
                "Of the rows with label 0 and with label 1, the share above each score. The dotted "
                "line is what random scores give.",
            ),
            self._figure(
                "precision_recall",
                _plots.precision_recall(curves, rate),
                "Precision over recall",
                f"Average precision {precisions}. The dotted line is the share of label 1, "
                f"{rate:.4g}, which random scores give.",
            ),
        ]
        return [*words, _html.group("side", drawn)]

    def _calibration(self):
        runs = self._predicted()
        if not runs:
            return [_html.paragraph(_NO_PREDICTIONS, "muted")]
        groups = [(run.name, reliability(run.labels, run.scores)) for run in runs]
        histograms = [(run.name, histogram(run.labels, run.scores)) for run in runs]
        drawn = [
            self._figure(
                "calibration",
                _plots.reliability(groups),
                "Share of label 1 over mean score, by decile",
                "Test rows in ten groups by score. Bars are 95% intervals of the share of label 1. "
                "On the dotted line scores are the probabilities they say; below it they are too "
                "high.",
            ),
            self._figure(
                "scores",
                _plots.scores(histograms),
                "Histogram of scores by label",
                "The share of each label's test rows in each bar; the outer bars hold the "
                "outermost 0.1% too.",
            ),
        ]
        return [_html.group("side", drawn), self._each(groups, lambda _, g: [_deciles(g)])]

    def _each(self, named, content, title=True):
        """What belongs to each run, beside each other."""
        pieces = []
        for number, (name, values) in enumerate(named):
            head = f"<h3>{html.escape(name)}</h3>" if len(self._runs) > 1 and title else ""
            inner = "\n".join(content(number, values))
            pieces.append(f"<div>{head}\n{inner}\n</div>")
        return _html.group("side" if len(pieces) > 1 else "single", pieces)

    def _tables(self):
        of_runs = [(run.name, tables_of(run)) for run in self._runs]
        if not any(tables for _, tables in of_runs):
            return [_html.paragraph("Neither a model nor a schema tells the tables.", "muted")]

        def content(number, tables):
            pieces = [_tables(tables)]
            if tables and "bytes" in tables[0]:
                figure = _plots.table_sizes(tables, RUN_COLOURS[number])
                pieces.append(self._figure(_of(number, "tables"), figure, "Memory of tables"))
            return pieces

        return [self._each(of_runs, content)]

    def _ids(self):
        of_runs = [
            (run.name, found) for run, found in zip(self._runs, self._found, strict=True) if found.ids
        ]
        if not of_runs:
            return [_html.paragraph("No ids of the test rows were read.", "muted")]

        def content(number, found):
            figure = _plots.id_frequencies(found.ids, RUN_COLOURS[number])
            pieces = [
                _html.paragraph(f"Of {found.rows:,} test rows.", "muted"),
                self._figure(_of(number, "ids"), figure, "Frequencies of ids"),
            ]
            if any(feature["empty"] for feature in found.ids):
                figure = _plots.empty_bags(found.ids, RUN_COLOURS[number])
                pieces.append(self._figure(_of(number, "empty_bags"), figure, "Empty bags"))
            else:
                pieces.append(_html.paragraph("No bag is empty."))
            return [*pieces, _ids(found.ids)]

        return [self._each(of_runs, content)]

    def _importance(self):
        measured = [
            (run.name, found)
            for run, found in zip(self._runs, self._found, strict=True)
            if found.drops
        ]
        if not measured:
            return [_html.paragraph("The importance of features was not measured.", "muted")]
        figure = _plots.importance([(name, found.drops) for name, found in measured])
        told = "; ".join(
            f"{found.sampled:,} test rows of {name}, whose AUC is {found.area.value:.4f}"
            for name, found in measured
        )
        return [
            _html.paragraph(
                f"How much the AUC drops when the values of one feature are shuffled between rows. "
                f"Measured on {told}. Lines are 95% intervals. What several features tell alike "
                "shows in none of them.",
                "muted",
            ),
            _html.group(
                "side",
                [
                    self._figure("importance", figure, "Importance of features"),
                    self._each(measured, lambda _, found: [_drops(found.drops)]),
                ],
            ),
        ]

    def _data(self):
        data = [run.environment.get("data", {}) for run in self._runs]
        if not any(data):
            return [_html.paragraph("No checksums of the data are there.", "muted")]
        return [settings_table(self._titles(), data)]

    def _machine(self):
        rest = [{k: v for k, v in r.environment.items() if k != "data"} for r in self._runs]
        if not any(rest):
            return [_html.paragraph("The environment of the run is not known.", "muted")]
        return [settings_table(self._titles(), rest)]


def _difference(runs, areas):
    first, second = runs
    if first.labels.shape != second.labels.shape or (first.labels != second.labels).any():
        return (
            "The runs' test rows have other labels, so that the difference of their areas has no "
            "error to compare it with."
        )
    difference, error = areas[0].minus(areas[1])
    return (
        f"{first.name} minus {second.name}: {difference:+.5f} ± {error:.5f}, one standard error, on "
        "the same rows. Less than two standard errors is chance; other seeds vary by more."
    )


def _deciles(groups):
    titles = ["decile", "rows", "mean score", "label 1", "95%", "score / label"]
    rows = [
        [
            str(number),
            f"{group['rows']:,}",
            f"{group['score']:.4f}",
            f"{group['rate']:.4f}",
            f"{group['low']:.4f} to {group['high']:.4f}",
            f"{group['score'] / group['rate']:.3f}" if group["rate"] else "",
        ]
        for number, group in enumerate(groups, 1)
    ]
    return _html.table(titles, rows)


def _tables(tables):
    rows = [
        [
            table["name"],
            f"{table['rows']:,}",
            f"{table['dim']:,}" if "dim" in table else "",
            _megabytes(table["bytes"]) if "bytes" in table else "",
            ", ".join(table["features"]),
        ]
        for table in tables
    ]
    sizes = [table["bytes"] for table in tables if "bytes" in table]
    total = _megabytes(sum(sizes)) if sizes else ""
    rows.append(["all", f"{sum(table['rows'] for table in tables):,}", "", total, ""])
    return _html.table(["table", "rows", "dim", "MB", "features"], rows)


def _ids(features):
    titles = ["feature", "table rows", "ids", "distinct", "top id", "unknown", "empty", "length"]
    rows = [
        [
            feature["name"],
            f"{feature['table_rows']:,}",
            f"{feature['ids']:,}",
            f"{feature['distinct']:,}",
            f"{feature['tops'][0]:.1%}",
            "" if feature["unknown"] is None else f"{feature['unknown']:.1%}",
            f"{feature['empty']:.1%}",
            f"{feature['mean_length']:.2f}",
        ]
        for feature in features
    ]
    return _html.table(titles, rows)


def _drops(drops):
    rows = [
        [drop["name"], drop["kind"], f"{drop['drop']:.5f}", f"{drop['error']:.5f}"]
        for drop in sorted(drops, key=lambda drop: -drop["drop"])
    ]
    return _html.table(["feature", "", "drop of AUC", "standard error"], rows)


def _of(number, name):
    """The name of a figure of one of the runs."""
    return name if number == 0 else f"{name}_{number + 1}"


def _slug(title):
    return re.sub(r"\W+", "_", title).lower()


def _megabytes(size):
    return f"{size / 1e6:,.3f}" if size < 1e6 else f"{size / 1e6:,.1f}"


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_numbers(value):
    return isinstance(value, dict) and all(map(_is_number, value.values()))


def _number(value):
    return "" if value is None else f"{value:.5g}"


def _duration(metrics):
    """What is told of a run beside its metrics."""
    told = []
    if _is_number(metrics.get("epochs")):
        told.append(f"{metrics['epochs']:,} epochs")
    if _is_number(metrics.get("seconds")):
        minutes, seconds = divmod(round(metrics["seconds"]), 60)
        told.append(f"{minutes} min {seconds} s" if minutes else f"{seconds} s")
    return " in ".join(told) or "not known how long it trained"
