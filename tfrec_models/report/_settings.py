"""Nested settings as lines, of one run or of two beside each other."""

import json

from tfrec_models import _html


def settings_table(titles, of_runs):
    """A table of the settings of runs; those that differ stand out.

    Args:
        titles: list of str, one a run.
        of_runs: list of nested dicts, one a run.
    """
    flat = [dict(_lines(settings)) for settings in of_runs]
    names = _merged([list(settings) for settings in flat])
    rows = [[name, *(settings.get(name, "") for settings in flat)] for name in names]
    marked = {number for number, row in enumerate(rows) if len(set(row[1:])) > 1}
    return _html.table(["", *titles], rows, "words", marked)


def _lines(value, name=""):
    """Yields (dotted name, text) of what is nested in dicts and in lists of dicts."""
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        value = {str(number): item for number, item in enumerate(value)}
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _lines(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, str):
        yield name, value
    elif value != {} or name:
        yield name, json.dumps(value, default=str)


def _merged(lists):
    """The names of all lists, each once; new ones follow the name they follow in their list."""
    merged: list[str] = []
    for names in lists:
        place = 0
        for name in names:
            if name in merged:
                place = merged.index(name) + 1
            else:
                merged.insert(place, name)
                place += 1
    return merged
