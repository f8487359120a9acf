"""Saving and loading the state of an optimizer."""

import warnings

from tfrec_models._compat.keras import stored_dataset
from tfrec_models._rows.saved_tables import fits, load_table, save_places, saved_places


def slot_stacks(variables, slots, averages):
    """Returns a dict from the id of each slot of a table to the `TableStack` whose rows it has.

    Args:
        variables: list of the model's variables.
        slots: list of list of `keras.Variable`, the slots of each.
        averages: another such list, or None.
    """
    owned = zip(variables, slots, averages or [()] * len(slots), strict=True)
    return {
        id(slot): variable.table_stack
        for variable, *lists in owned
        for slot in (slot for slots in lists for slot in slots)
        if hasattr(variable, "table_stack")
    }


def save_state(variables, stacks, store):
    """Writes variables as Keras does, and notes where the tables lie in those that have some.

    Args:
        variables: list of `keras.Variable`, the optimizer's.
        stacks: dict from the id of a variable to the `TableStack` whose rows it has.
        store: what Keras hands to `save_own_variables`.
    """
    for i, variable in enumerate(variables):
        store[str(i)] = variable.numpy()
        if id(variable) in stacks:
            save_places(store, str(i), stacks[id(variable)])


def load_state(optimizer, variables, stacks, store):
    """Sets variables to a saved state, or warns and leaves all of them as they are.

    Keras loads the weights of a model whatever optimizer it has, and warns of a state that is
    another optimizer's. Of tables that have another size since, the rows keep their values while
    the state of the other tables is loaded.

    Args:
        optimizer: `keras.optimizers.Optimizer`.
        variables, stacks, store: as for `save_state`.
    """
    keys = [str(i) for i in range(len(variables))]
    if not optimizer.built or len(store.keys()) != len(keys):
        _warn(
            optimizer,
            f"it has {len(keys)} variables{'' if optimizer.built else ' and is not built yet'}, "
            f"the file has {len(store.keys())}",
        )
        return
    by_table = {}
    for key, variable in zip(keys, variables, strict=True):
        stack = stacks.get(id(variable))
        if not _fits(variable, stack, store, key):
            by_table[key] = _common_tables(variable, stack, store, key)
            if not by_table[key]:
                here, there = tuple(variable.shape), tuple(stored_dataset(store, key).shape)
                _warn(optimizer, f"{variable.name!r} has shape {here}, in the file {there}")
                return
    left = []
    for key, variable in zip(keys, variables, strict=True):
        if key in by_table:
            left += _load_tables(variable, stacks[id(variable)], by_table[key], store[key])
        else:
            variable.assign(store[key])
    if left:
        _warn(
            optimizer,
            "these tables have another size in the file",
            f"that of tables {sorted(set(left))}",
        )


def _fits(variable, stack, store, key):
    if stack is not None:
        return fits(variable, stack, store, key)
    return tuple(stored_dataset(store, key).shape) == tuple(variable.shape)


def _common_tables(variable, stack, store, key):
    """Where the tables lie in the file that a slot has too; empty for the slot of another rule."""
    columns = tuple(stored_dataset(store, key).shape[1:])
    if stack is None or columns != tuple(variable.shape[1:]):
        return {}
    saved = saved_places(store, key)
    return {name: place for name, place in saved.items() if name in stack.first_rows}


def _load_tables(variable, stack, tables, values):
    """Loads the tables that fit and returns the names of the others."""
    return [
        name
        for name in stack.first_rows
        if name not in tables
        or load_table(variable, stack, name, values[tables[name][0] : sum(tables[name])])
    ]


def _warn(optimizer, reason, what="all of it"):
    warnings.warn(
        f"Skipping the saved state of optimizer {optimizer.name!r}, {what}: {reason}. The weights "
        "of the model are not affected. To continue a training exactly, load the state into an "
        "optimizer of the same class and settings, built on the same variables.",
        stacklevel=2,
    )
