"""How many random examples each property is tried on."""

import hypothesis

FEW_EXAMPLES = 25


def asked():
    """The examples that `--examples` asks for, the few without it."""
    return hypothesis.settings.default.max_examples


def share(part):
    """Decorates a property that is tried on a part of the examples, or on the few if they are more.

    Args:
        part: float, of what `--examples` asks for in all.
    """
    few = min(FEW_EXAMPLES, asked())
    return hypothesis.settings(max_examples=max(few, round(part * asked())))
