"""The sections about tables and features."""

from tfrec_models import _html
from tfrec_models.report import _plots
from tfrec_models.report._drawing import RUN_COLORS
from tfrec_models.report._features import tables_of
from tfrec_models.report._numbers import drop_table, id_table, table_of_tables
from tfrec_models.report._paper import nothing


def tables(paper):
    """The embedding tables and their memory."""
    series = paper.series([tables_of(run) or None for run in paper.runs])
    if not series:
        return nothing("Neither a model nor a schema names the tables.")

    def content(number, tables):
        pieces = [table_of_tables(tables)]
        if "bytes" in tables[0]:
            figure = _plots.table_sizes(tables, RUN_COLORS[number])
            pieces.append(paper.figure(_of(number, "tables"), figure, "Memory of tables"))
        return pieces

    return [paper.each(series, content)]


def ids(paper):
    """How often ids of each feature occur, and empty bags."""
    series = paper.series([found if found.ids else None for found in paper.found])
    if not series:
        return nothing("No ids of the test rows were read.")

    def content(number, found):
        figure = _plots.id_frequencies(found.ids, RUN_COLORS[number])
        caption = (
            f"Of {found.rows:,} test rows, the share that the most frequent ids have among the "
            "ids of each feature."
        )
        pieces = [
            paper.figure(_of(number, "ids"), figure, "Frequency of ids", caption),
            id_table(found.ids),
        ]
        if any(feature["empty"] for feature in found.ids):
            figure = _plots.empty_bags(found.ids, RUN_COLORS[number])
            pieces.append(paper.figure(_of(number, "empty_bags"), figure, "Empty bags"))
        return pieces

    words = (
        "Rows are those of the feature's table, unknown the share of ids that are not in the "
        "vocabulary, empty the share of bags without an id, and length the mean of a bag."
    )
    return [_html.paragraph(words, "muted"), paper.each(series, content)]


def importance(paper):
    """What the model loses without each feature."""
    measured = paper.series([found if found.drops else None for found in paper.found])
    if not measured:
        return nothing("The importance of features was not measured.")
    drops = [(number, name, found.drops) for number, name, found in measured]
    told = "; ".join(
        f"{found.sampled:,} test rows of {name}, on which its AUC is {found.area.value:.4f}"
        for _, name, found in measured
    )
    words = (
        "How much the AUC drops when the values of one feature are shuffled between rows, measured "
        f"on {told}. Lines are 95% intervals. Features that tell the same share "
        "their importance, or have none."
    )
    figure = paper.figure("importance", _plots.importance(drops), "Importance of features")
    return [
        _html.paragraph(words, "muted"),
        _html.group("side", [figure, drop_table(drops)]),
    ]


def _of(number, name):
    """The name of a figure of one of the runs."""
    return name if number == 0 else f"{name}_{number + 1}"
