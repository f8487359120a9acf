"""What the sections of a recipe share: typed fields, checked by name, type and range."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, ClassVar

from tfrec_models._checks.names import nearest

_TYPE_NAMES = {
    bool: "True or False",
    int: "an integer",
    float: "a number",
    str: "a text",
    dict: "a mapping",
    type(None): "null",
}


def setting(
    default: Any,
    *,
    help: str = "",
    least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    most: float | None = None,
    choices: tuple = (),
) -> Any:
    """A field of a section.

    Args:
        default: its value where a recipe does not say; a function for a new list or dict.
        help: str, what it is, for the documentation.
        least, above, below, most: float, what a number, or each of a list, must be at least,
            above, below and at most.
        choices: tuple of str, the texts allowed; empty for any.
    """
    limits = {"least": least, "above": above, "below": below, "most": most, "choices": choices}
    metadata = {"help": help, **limits}
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Section:
    """Base of the sections: plain data, checked when made.

    A subclass gives `key`, which begins the names of its fields in messages, such as "tables.".
    """

    key: ClassVar[str] = ""

    def __post_init__(self):
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = _converted(hints[field.name], getattr(self, field.name), self.key + field.name)
            _check_range(field.metadata, value, self.key + field.name)
            object.__setattr__(self, field.name, value)


def from_config(default: Section, config: Any, key: str = "", known: Any = ()) -> Any:
    """Returns a section of plain data.

    Args:
        default: section with the values of what is not given.
        config: mapping.
        key: str, where in the recipe it stands, such as "optimizer.tables.".
        known: list of str, the full names of all fields of a recipe.

    Raises:
        ValueError: on an unknown name, a wrong type or a value out of range; names the nearest.
    """
    if not isinstance(config, Mapping):
        place = f"{key.rstrip('.')} of a recipe" if key else "A recipe"
        raise ValueError(f"{place} must be a mapping of names to values, received {config!r}.")
    hints = typing.get_type_hints(type(default))
    fields = {field.name: field for field in dataclasses.fields(default)}
    values: dict[str, Any] = {}
    for name, value in config.items():
        if name not in fields:
            names = [other for other in known if other.startswith(key)] or known or fields
            raise ValueError(f"A recipe has no key {key}{name}{nearest(f'{key}{name}', names)}")
        hint = hints[name]
        if dataclasses.is_dataclass(hint):
            if value is not None:
                values[name] = from_config(getattr(default, name), value, f"{key}{name}.", known)
            continue
        values[name] = _converted(hint, value, key + name)
        _check_range(fields[name].metadata, values[name], key + name)
    return dataclasses.replace(default, **values)


def full_names(kind: Any, key: str = "") -> list[str]:
    """The full names of all fields, such as "tables.dim"."""
    hints = typing.get_type_hints(kind)
    names = []
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            names += full_names(hint, f"{key}{field.name}.")
        else:
            names.append(key + field.name)
    return names


def flat(section: Section, key: str = "") -> dict[str, Any]:
    """Returns the values of all fields by their full names, such as "tables.dim"."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if isinstance(value, Section):
            values |= flat(value, f"{key}{field.name}.")
        else:
            values[key + field.name] = value
    return values


def _converted(hint, value, key):
    """A value in the type that a field declares."""
    if hint is Any or dataclasses.is_dataclass(hint):
        return value
    kinds = typing.get_args(hint) if _is_union(hint) else (hint,)
    for kind in kinds:
        outer = typing.get_origin(kind) or kind
        if outer is float and (number := _number(value)) is not None:
            return number
        if outer is int and isinstance(value, int) and not isinstance(value, bool):
            return value
        if outer is list and isinstance(value, list | tuple):
            (item,) = typing.get_args(kind)
            return [_converted(item, part, key) for part in value]
        if outer is dict and isinstance(value, Mapping):
            return dict(value)
        if outer in (bool, str, type(None)) and isinstance(value, outer):
            return value
    expected = " or ".join(map(_described, kinds))
    raise ValueError(f"{key} must be {expected}, received {value!r}.")


def _number(value):
    """A number as a float, or None. YAML takes 1e-3, which has no point, for a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _is_union(hint):
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _described(kind):
    if typing.get_origin(kind) is list:
        (item,) = typing.get_args(kind)
        return f"a list, each {_described(item)}"
    return _TYPE_NAMES[typing.get_origin(kind) or kind]


def _check_range(limits, value, key):
    """Raises ValueError on a number, or one of a list, out of range, or no choice."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str) and limits["choices"] and item not in limits["choices"]:
            raise ValueError(
                f"{key} must be one of {list(limits['choices'])}, received {item!r}"
                f"{nearest(item, limits['choices'])}"
            )
        if isinstance(item, bool) or not isinstance(item, int | float):
            continue
        tests = (
            ("least", "at least", lambda number, limit: number >= limit),
            ("above", "above", lambda number, limit: number > limit),
            ("most", "at most", lambda number, limit: number <= limit),
            ("below", "below", lambda number, limit: number < limit),
        )
        wanted = [(words, limits[name]) for name, words, _ in tests if limits[name] is not None]
        holds = all(test(item, limits[name]) for name, _, test in tests if limits[name] is not None)
        if not holds or not math.isfinite(item):
            described = " and ".join(f"{words} {limit}" for words, limit in wanted) or "finite"
            raise ValueError(f"{key} must be {described}, received {item!r}.")
