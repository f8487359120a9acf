"""Names that are not there, with the nearest one that is."""

import difflib


def nearest(name, names):
    """The end of a sentence about a name that is not there: the nearest one, or all."""
    names = [str(other) for other in names]
    found = difflib.get_close_matches(str(name), names, 1)
    if found:
        return f"; did you mean {found[0]!r}?"
    shown = ", ".join(map(repr, names[:20])) + (", .." if len(names) > 20 else "")
    return f"; there are {shown}." if names else "; there are none."
