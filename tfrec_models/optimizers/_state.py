"""Saving and loading the state of an optimizer."""

import warnings

from tfrec_models._compat.keras import stored_dataset
from tfrec_models._rows.saved_tables import fits, load_table, save_places, saved_places


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
    misfits = [
        (key, variable, stacks.get(id(variable)))
        for key, variable in zip(keys, variables, strict=True)
        if not _fits(variable, stacks.get(id(variable)), store, key)
    ]
    by_table = [
        (variable, stack, _common_tables(variable, stack, store, key))
        for key, variable, stack in misfits
    ]
    if not all(tables for *_, tables in by_table):
        key, variable, _ = misfits[[bool(tables) for *_, tables in by_table].index(False)]
        shapes = tuple(variable.shape), tuple(stored_dataset(store, key).shape)
        _warn(optimizer, "{!r} has shape {}, in the file {}".format(variable.name, *shapes))
        return
    apart = {key for key, _, _ in misfits}
    for key, variable in zip(keys, variables, strict=True):
        if key not in apart:
            variable.assign(store[key])
    left = [
        f"{name!r} of {variable.name!r}"
        for (key, *_), (variable, stack, tables) in zip(misfits, by_table, strict=True)
        for name in _load_tables(variable, stack, tables, store[key])
    ]
    if left:
        _warn(optimizer, "the state of these tables has another size in the file", ", ".join(left))


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
        f"Skipping the saved state of optimizer {optimizer.name!r} ({what}): {reason}. The weights "
        "of the model are not concerned. To continue a training exactly, load the state into an "
        "optimizer of the same class and settings, built on the same variables.",
        stacklevel=2,
    )
