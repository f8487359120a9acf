"""Saving and loading of tables, each by itself though many share a variable."""

import warnings
import weakref

from tfrec_models._compat.keras import stored_dataset
from tfrec_models._rows.saved_tables import (
    REGULARIZED,
    fits,
    load_table,
    policies_differ,
    save_places,
    saved_places,
)


class TableStore:
    """Mixin of layers that own tables: loads each table that fits and names those that do not.

    Tables are found by name, wherever in a file they lie. What does not fit is named in a
    ValueError with both shapes; `load_weights(skip_mismatch=True)` makes it a warning. Files of
    older versions do not name their tables: they load variable by variable.

    A layer that has it gives `table_stacks` and `table_variables`.
    """

    # The file that did not fit and what was said of it, see `load_own_variables`.
    _misfit = (None, None)

    def save_own_variables(self, store):
        super().save_own_variables(store)
        for key, variable, stack in self._stored():
            save_places(store, key, stack)
            if variable.regularizer is not None:
                warnings.warn(REGULARIZED.format(variable.name), stacklevel=2)

    def load_own_variables(self, store):
        keys = list(store.keys())
        # Keras tries a layer that did not load again under each path that leads to it, where the
        # file has nothing, and shows the last error: it must be the first one.
        file, error = self._misfit
        if not keys and file is not None and file() is store:
            raise ValueError(error)
        if not keys or not self.built:
            super().load_own_variables(store)
            return
        misfits = [
            (key, variable, stack)
            for key, variable, stack in self._stored()
            if key not in keys or not fits(variable, stack, store, key)
        ]
        if not misfits and len(keys) == len(self.table_variables):
            super().load_own_variables(store)
            return
        problems = self._load_by_name(store, keys, misfits)
        if problems:
            error = (
                f"{self.name}: a file must have the tables of the model, received "
                f"{'; '.join(problems)}. Tables that fit were loaded, the others are as they were. "
                "Make the tables as they were saved, or pass skip_mismatch=True to load_weights()."
            )
            self._misfit = (None if isinstance(store, dict) else weakref.ref(store), error)
            raise ValueError(error)

    def _own_weights(self):
        """The layer's weights in the order of a file, without those of layers within it."""
        own = {id(variable) for variable in self.table_variables}
        return [variable for variable in self.weights if id(variable) in own]

    def _stored(self):
        """The key in a file, the variable and the `TableStack` of each variable of tables."""
        if not self.built:
            return []
        order = [id(variable) for variable in self._own_weights()]
        pairs = zip(self.table_variables, self.table_stacks, strict=True)
        return [(str(order.index(id(v))), v, stack) for v, stack in pairs]

    def _load_by_name(self, store, keys, misfits):
        """Loads what fits of a file with other tables, and returns what is said of the rest."""
        own = self._own_weights()
        whole = {str(i) for i in range(len(own))} - {key for key, _, _ in misfits}
        for key in sorted(whole & set(keys)):
            own[int(key)].assign(store[key])
        places = {key: saved_places(store, key) for key in keys}
        if not any(places.values()):
            return [_unnamed(store, keys, *misfit) for misfit in misfits] or [
                f"{len(keys)} variables where the model has {len(own)}"
            ]
        wanted = {name: (v, stack) for _, v, stack in misfits for name in stack.first_rows}
        known = {name for stack in self.table_stacks for name in stack.first_rows}
        problems = []
        for key, noted in places.items():
            values = store[key] if wanted.keys() & noted.keys() else None
            for name, (first, count) in noted.items():
                if name in wanted and policies_differ(wanted[name][1], name, store, key):
                    table = wanted.pop(name)[1].table(name)
                    theirs = "numbered" if table.is_managed else "managed"
                    problems.append(
                        f"table {name!r} with {theirs} ids where the model has id_policy="
                        f"{table.id_policy!r}"
                    )
                elif name in wanted:
                    rows = values[first : first + count]
                    problems.append(load_table(*wanted.pop(name), name, rows))
                elif name not in known and key not in whole:
                    problems.append(f"table {name!r} of {count} rows, unknown to the model")
        problems += [f"no table {name!r}" for name in wanted]
        return [problem for problem in problems if problem]


def _unnamed(store, keys, key, variable, stack):
    """What is said of a variable of another shape, in a file that does not name its tables."""
    shapes = ", ".join(
        f"{name!r} {(stack.rows_of(name)[1], *variable.shape[1:])}" for name in stack.first_rows
    )
    found = f"shape {tuple(stored_dataset(store, key).shape)}" if key in keys else "nothing"
    return (
        f"{found} for the tables {shapes}, which the model has together in {tuple(variable.shape)} "
        "(the file is of an older version and does not say where its tables lie)"
    )
