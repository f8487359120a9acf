"""Checks of constructor and call arguments: each returns the value in its plain form."""

import numbers
from collections.abc import Iterable
from typing import Any


def check_integer(argument: str, value: Any, least: int, expected: str = "") -> int:
    """Returns an integer of Python or NumPy as an int.

    Args:
        argument: str, its name.
        value: what was received.
        least: int, the smallest value allowed.
        expected: str, what it must be, for the message.

    Raises:
        ValueError: if it is no integer or too small.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        expected = expected or f"an integer, {least} or above"
        raise ValueError(f"{argument} must be {expected}, received {value!r}.")
    return int(value)


def check_positive(argument: str, value: Any) -> int:
    """Returns an integer above 0 as an int; raises ValueError on anything else."""
    return check_integer(argument, value, 1, "a positive integer")


def check_not_negative(argument: str, value: Any) -> int:
    """Returns an integer, 0 or above, as an int; raises ValueError on anything else."""
    return check_integer(argument, value, 0)


def check_sizes(argument: str, values: Any) -> list[int]:
    """Returns integers above 0 as a list of int; raises ValueError on anything else."""
    try:
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise ValueError
        return [check_positive(argument, value) for value in values]
    except ValueError:
        raise ValueError(
            f"{argument} must be a list of positive integers, received {values!r}."
        ) from None


def check_bool(argument: str, value: Any) -> bool:
    """Returns True or False; raises ValueError on anything else."""
    if not isinstance(value, bool):
        raise ValueError(f"{argument} must be True or False, received {value!r}.")
    return value


def check_share(argument: str, value: Any) -> float:
    """Returns a number, 0 or above and below 1, as a float; raises ValueError on anything else."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not 0 <= value < 1:
        raise ValueError(f"{argument} must be 0 or above and below 1, received {value!r}.")
    return float(value)


def check_width(layer: Any, inputs: Any, width: int) -> None:
    """Raises ValueError where the last axis of `inputs` is known not to be `width`."""
    columns = inputs.shape[-1] if len(inputs.shape) else None
    if not len(inputs.shape) or (columns is not None and columns != width):
        raise ValueError(
            f"{type(layer).__name__} {layer.name!r} was made for {width} input columns, received "
            f"shape {tuple(inputs.shape)}."
        )
