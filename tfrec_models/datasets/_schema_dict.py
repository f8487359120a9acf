"""Plain dicts of a schema, as files have them, checked and made into its columns."""

import collections
import dataclasses
import numbers

from tfrec_models._checks.names import nearest
from tfrec_models.datasets.dense import Dense
from tfrec_models.datasets.sparse import Sparse

_STATISTICS = {
    "standardize": ("count", "mean", "sum_of_squares"),
    "quantile": ("quantiles",),
}


def check_fields(kind, config):
    """Raises ValueError on a name that is no field of a dataclass; names the nearest one."""
    if not isinstance(config, dict):
        raise ValueError(
            f"{kind.__name__} must be given as a dict of its fields, received {config!r}."
        )
    names = [field.name for field in dataclasses.fields(kind)]
    for name in config:
        if name not in names:
            raise ValueError(f"{kind.__name__} has no field {name!r}{nearest(name, names)}")


def columns_of(what, kind, configs):
    """A list of `Dense` or `Sparse` of a list of dicts."""
    if not isinstance(configs or [], list):
        raise ValueError(f"{what} must be a list of dicts, received {configs!r}.")
    for config in configs or []:
        check_fields(kind, config)
        if "name" not in config:
            raise ValueError(f"{kind.__name__} must have a name, received {config!r}.")
    return [kind(**config) for config in configs or []]


def check_column_names(names):
    """Raises ValueError unless they are None or a list of str."""
    if names is not None and not (
        isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    ):
        raise ValueError(f"column_names must be None or a list of str, received {names!r}.")


def check_learned(learned, dense: list[Dense], sparse: list[Sparse]):
    """Raises ValueError where what was learned is not what `Schema.fit` writes."""
    parts = {"vocabularies": _check_vocabulary, "num_ids": _check_num_ids, "statistics": None}
    _check_dict("learned", learned)
    for what, of_name in learned.items():
        if what not in parts:
            raise ValueError(f"learned has no part {what!r}{nearest(what, parts)}")
        _check_dict(f"learned {what}", of_name)
        for name, value in of_name.items():
            if check := parts[what]:
                check(f"learned {what} of {name!r}", value)
    for column in dense:
        found = learned.get("statistics", {}).get(column.name)
        if found is not None and column.is_learned:
            _check_statistics(column, found)


def _check_dict(what, value):
    if not isinstance(value, dict):
        raise ValueError(f"{what} must be a dict, received {value!r}.")


def _check_vocabulary(what, values):
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        shown = values[:3] if isinstance(values, list) else values
        raise ValueError(
            f"{what} must be a list of str, received {shown!r}; in YAML, put numbers in quotes."
        )
    if len(set(values)) < len(values):
        twice = next(value for value, count in collections.Counter(values).items() if count > 1)
        raise ValueError(f"{what} must have distinct values, received {twice!r} twice.")


def _check_num_ids(what, value):
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"{what} must be an integer of at least 1, received {value!r}.")


def _check_statistics(column, found):
    what = f"learned statistics of {column.name!r}"
    _check_dict(what, found)
    for name in _STATISTICS[column.transform]:
        value = found.get(name)
        values = value if isinstance(value, list) and name == "quantiles" else [value]
        if not all(
            isinstance(number, numbers.Real) and abs(number) < float("inf") for number in values
        ):
            raise ValueError(f"{what}: {name} must be finite numbers, received {value!r}.")
        if name == "quantiles" and (
            len(values) != column.num_buckets - 1 or values != sorted(values)
        ):
            raise ValueError(
                f"{what}: quantiles must be {column.num_buckets - 1} increasing numbers, one "
                f"less than num_buckets, received {value!r}."
            )
