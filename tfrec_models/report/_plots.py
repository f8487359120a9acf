"""The plots of a report.

Those of several runs take a list of one or two (number, name, values); a run's color is that of
its number.
"""

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from tfrec_models.report._curves import thinned
from tfrec_models.report._drawing import INK, MUTED, RUN_COLORS, new_figure
from tfrec_models.report._features import TOPS

# Bars of features or tables that fit into a plot.
MOST_BARS = 40
_LONGEST_NAME = 26
_HEIGHT = 2.9


def learning(metric, runs):
    """A metric over the epochs, of (number, name, (training, validation, best epoch or None)).

    Training or validation may be None.
    """
    figure, (axes,) = new_figure(_HEIGHT)
    for number, name, (*curves, best) in runs:
        color = RUN_COLORS[number]
        if best is not None:
            axes.axvline(best, color=color, ls=":", lw=1)
        for numbers, kind, style in zip(
            curves, ("training", "validation"), ({"ls": "--"}, {"lw": 2}), strict=True
        ):
            if numbers is None:
                continue
            label = kind if len(runs) == 1 else f"{_short(name)}, {kind}"
            marker = "o" if len(numbers) <= 30 else ""
            epochs = np.arange(1, len(numbers) + 1)
            axes.plot(epochs, numbers, marker=marker, ms=3, color=color, label=label, **style)
    axes.set(title=metric, xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    drawn = axes.get_legend_handles_labels()[1]
    _legend(axes, len(drawn) > 1)
    return figure


def roc(runs):
    """ROC curves, of (number, name, (false positive rate, true positive rate))."""
    figure, (axes,) = new_figure(_HEIGHT)
    axes.plot([0, 1], [0, 1], color=MUTED, ls=":", lw=1)
    for number, name, curve in runs:
        axes.plot(*thinned(*curve), color=RUN_COLORS[number], lw=1.8, label=_short(name))
    axes.set(title="ROC", xlabel="false positive rate", ylabel="true positive rate")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    _legend(axes, len(runs) > 1)
    return figure


def precision_recall(runs, rate):
    """Precision over recall, of (number, name, (precision, recall)); rate is that of label 1."""
    figure, (axes,) = new_figure(_HEIGHT)
    axes.axhline(rate, color=MUTED, ls=":", lw=1)
    for number, name, (precision, recall) in runs:
        recall, precision = thinned(recall, precision)
        axes.plot(recall, precision, color=RUN_COLORS[number], lw=1.8, label=_short(name))
    axes.set(title="Precision and recall", xlabel="recall", ylabel="precision")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    _legend(axes, len(runs) > 1)
    return figure


def reliability(runs):
    """Label rate over mean score, of (number, name, groups as `_curves.reliability` gives)."""
    figure, (axes,) = new_figure(_HEIGHT)
    most = max(max(group["score"], group["high"]) for _, _, groups in runs for group in groups)
    axes.plot([0, most], [0, most], color=MUTED, ls=":", lw=1)
    for number, name, groups in runs:
        color = RUN_COLORS[number]
        score, rate, low, high = (
            np.array([group[field] for group in groups])
            for field in ("score", "rate", "low", "high")
        )
        axes.plot(score, rate, "o-", color=color, ms=4, lw=1, label=_short(name))
        axes.vlines(score, low, high, color=color, lw=1.2)
    axes.set(title="Calibration by decile", xlabel="mean score", ylabel="share of label 1")
    _legend(axes, len(runs) > 1)
    return figure


def scores(runs):
    """Histograms of the scores of each label, of (number, name, (edges, shares))."""
    figure, rows = new_figure(_HEIGHT if len(runs) == 1 else 4.2, len(runs))
    for axes, (number, name, (edges, (negative, positive))) in zip(rows, runs, strict=True):
        axes.stairs(negative, edges, fill=True, color=MUTED, alpha=0.45, label="label 0")
        axes.stairs(positive, edges, color=RUN_COLORS[number], lw=1.8, label="label 1")
        axes.set(ylabel="share of rows", title="Scores by label" if len(runs) == 1 else name)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
        axes.legend(loc="upper center", ncols=2)
        axes.margins(y=0.25)
        axes.set_ylim(bottom=0)
    rows[-1].set_xlabel("score")
    return figure


def table_sizes(tables, color):
    """Bars of bytes, the largest table first."""
    largest = sorted(tables, key=lambda table: -table["bytes"])[:MOST_BARS]
    figure, axes = _bars([table["name"] for table in largest])
    axes.barh(range(len(largest)), [table["bytes"] / 1e6 for table in largest], color=color)
    axes.set(title="Memory of tables", xlabel="MB")
    return figure


def id_frequencies(features, color):
    """Stacked bars: the shares of all ids that the most frequent ones have."""
    drawn = features[:MOST_BARS]
    figure, axes = _bars([feature["name"] for feature in drawn], extra=0.25)
    before = np.zeros(len(drawn))
    labels = ["top id", *(f"to {top:,}" for top in TOPS[1:]), "others"]
    shares = np.array([[*feature["tops"], float(feature["ids"] > 0)] for feature in drawn])
    for number, (label, alpha) in enumerate(zip(labels, (1, 0.7, 0.45, 0.25, 0.15), strict=True)):
        width = shares[:, number] - before
        axes.barh(
            range(len(drawn)), width, left=before, color=color, alpha=alpha, label=label, lw=0
        )
        before = shares[:, number]
    axes.set(title="Frequency of ids", xlim=(0, 1))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    _legend(axes, columns=5)
    return figure


def empty_bags(features, color):
    """Bars of the share of empty bags, of the features that have any."""
    drawn = sorted((f for f in features if f["empty"]), key=lambda f: -f["empty"])[:MOST_BARS]
    figure, axes = _bars([feature["name"] for feature in drawn])
    axes.barh(range(len(drawn)), [feature["empty"] for feature in drawn], color=color)
    axes.set(title="Empty bags", xlim=(0, 1))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    return figure


def importance(runs):
    """Bars of the drop of AUC, of (number, name, drops as `_features.importance` gives).

    Features are in the order of the first run, the most important first.
    """
    by_key = [{(drop["kind"], drop["name"]): drop for drop in drops} for _, _, drops in runs]
    keys = sorted(dict.fromkeys(key for found in by_key for key in found), key=_drop_in(by_key[0]))
    keys = keys[:MOST_BARS]
    figure, axes = _bars([name for _, name in keys], height=0.24 if len(runs) == 1 else 0.3)
    thick = 0.8 / len(runs)
    for place, ((number, name, _), found) in enumerate(zip(runs, by_key, strict=True)):
        places = [i for i, key in enumerate(keys) if key in found]
        drops = [found[keys[i]] for i in places]
        axes.barh(
            [i + thick * (place - (len(runs) - 1) / 2) for i in places],
            [drop["drop"] for drop in drops],
            thick,
            xerr=[1.96 * drop["error"] for drop in drops],
            color=RUN_COLORS[number],
            ecolor=INK,
            error_kw={"lw": 0.8},
            label=_short(name),
        )
    axes.axvline(0, color=MUTED, lw=0.8)
    axes.set(title="Importance of features", xlabel="drop of AUC when shuffled")
    _legend(axes, len(runs) > 1)
    return figure


def _drop_in(found):
    return lambda key: -found[key]["drop"] if key in found else np.inf


def _bars(names, height=0.24, extra=0.0):
    """A figure with a line for each name, the first on top."""
    figure, (axes,) = new_figure(0.9 + extra + height * len(names))
    axes.set_yticks(range(len(names)), [_short(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    return figure, axes


def _legend(axes, wanted=True, columns=2):
    """A legend between the title and the axes."""
    if wanted:
        lines = -(-len(axes.get_legend_handles_labels()[1]) // columns)
        title = axes.get_title("left")
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            borderaxespad=0.2,
            ncols=columns,
            fontsize=8.5,
            handlelength=1.2,
            columnspacing=0.9,
            handletextpad=0.4,
        )
        axes.set_title(title, pad=7 + 13 * lines)


def _short(name):
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
