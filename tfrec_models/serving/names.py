"""Names that a server, a client and a graph can all write."""

import collections
import keyword
import re

DENSE = "dense_features"
EXAMPLES = "examples"
NUM_CANDIDATES = "num_candidates"
PACKED = {"values": "values", "lengths": "lengths", "weights": "weights"}


def safe_names(features):
    """Returns a dict from feature to a name of ASCII letters, digits and underscores.

    A name that is safe already stays as it is; a keyword of Python, whose functions take the inputs
    by name, is not, nor is "self", which their methods have. Others have their other characters
    replaced by underscores, and a number appended where the result is taken.

    Args:
        features: list of str, distinct feature names.
    """
    names, taken = {}, {DENSE}
    numbers = collections.defaultdict(lambda: 1)
    for feature in sorted(features, key=lambda feature: not _is_safe(feature)):
        stem = re.sub(r"[^A-Za-z0-9_]", "_", feature)
        if not stem[:1].isalpha() or _is_taken_by_python(stem):
            stem = f"f_{stem}"
        name = stem
        # Graph names are compared without regard to case, and `serving_rows` has weights beside
        # the ids of a feature.
        while taken & {name.lower(), weights_name(name).lower()}:
            numbers[stem] += 1
            name = f"{stem}_{numbers[stem]}"
        taken |= {name.lower(), weights_name(name).lower()}
        names[feature] = name
    return {feature: names[feature] for feature in features}


def values_name(name):
    """The input with all ids of a feature."""
    return f"{name}_values"


def lengths_name(name):
    """The input with the number of ids in each bag of a feature."""
    return f"{name}_lengths"


def weights_name(name):
    """The input with the weights of a feature's ids."""
    return f"{name}_weights"


def _is_safe(feature):
    is_word = re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", feature) is not None
    return is_word and not _is_taken_by_python(feature)


def _is_taken_by_python(name):
    return keyword.iskeyword(name) or name == "self"
