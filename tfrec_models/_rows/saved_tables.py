"""Where the tables lie in variables that are saved: a note in the file beside the numbers.

One variable holds many tables, so from its shape alone a loader cannot tell which of them has
another size. The note is an attribute of the variable's dataset for each table: readers that do not
know of it pass it by, and files without it load as long as the shapes are equal.
"""

import json

from tfrec_models._compat.keras import stored_dataset

REGULARIZED = (
    "{!r} has a regularizer, which walks every table in it at each step and is not saved with the "
    "model. Remove it and pass l2=... to the optimizer, which adds l2 times its weights to the "
    "gradient of each row that was looked up; for keras.regularizers.L2(1e-5) that is l2=2e-5."
)
_PREFIX = "table:"
_MANAGED = "managed_ids:"


def save_places(store, key, stack):
    """Notes in a weights file where each table of a variable lies.

    Args:
        store: what Keras hands to `save_own_variables`.
        key: str, that of the variable, which has been written.
        stack: `TableStack` of the variable.
    """
    attributes = getattr(stored_dataset(store, key), "attrs", {})
    for name in stack.first_rows:
        attributes[_PREFIX + json.dumps(name)] = stack.rows_of(name)
        if stack.table(name).is_managed:
            attributes[_MANAGED + json.dumps(name)] = True


def saved_places(store, key):
    """Returns a dict from table to (first row, rows) in the file; empty if there is no note."""
    attributes = getattr(stored_dataset(store, key), "attrs", {})
    places = {
        json.loads(name.removeprefix(_PREFIX)): (int(place[0]), int(place[1]))
        for name, place in attributes.items()
        if name.startswith(_PREFIX)
    }
    return dict(sorted(places.items(), key=lambda item: item[1]))


def policies_differ(stack, name, store, key):
    """Whether a table has managed ids here and not in a file, or the other way round."""
    attributes = getattr(stored_dataset(store, key), "attrs", {})
    return stack.table(name).is_managed != (_MANAGED + json.dumps(name) in attributes)


def fits(variable, stack, store, key):
    """Whether a variable can be loaded whole: its tables lie as in the file.

    Tables may have been renamed since, not moved.

    Args:
        variable: `keras.Variable`, that of the stack or an optimizer's slot of it.
        stack: `TableStack`.
        store: what Keras hands to `load_own_variables`.
        key: str, one that is in the store.
    """
    if tuple(stored_dataset(store, key).shape) != tuple(variable.shape):
        return False
    saved = saved_places(store, key)
    ours = {name: stack.rows_of(name) for name in stack.first_rows}
    return not saved or (
        list(ours.values()) == list(saved.values())
        and all(
            ours[name] == place and not policies_differ(stack, name, store, key)
            for name, place in saved.items()
            if name in ours
        )
    )


def load_table(variable, stack, name, rows):
    """Writes the rows of one table if they fit.

    Args:
        variable: `keras.Variable`, that of the stack or an optimizer's slot of it.
        stack: `TableStack`.
        name: str, the table's name.
        rows: array.

    Returns:
        None, or a str that says why they do not fit.
    """
    shape = (stack.rows_of(name)[1], *variable.shape[1:])
    if rows.shape != shape:
        return f"table {name!r} of shape {rows.shape} where the model has {shape}"
    stack.write(variable, name, rows)
    return None
