"""How the layers of one trace run, as one value."""

import contextlib
import contextvars
import dataclasses
import os
import threading
import types
from collections.abc import Iterator, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Execution:
    """How the layers of one function run.

    Layers read `current()` where they are called: once for a function that is traced, at each call
    eagerly. A function keeps what it was traced with. No attribute of a layer or model, and no
    other thread, changes it.

    Args:
        xla: bool, whether interaction, cross and FM layers are compiled with XLA, but for those in
            bfloat16 where all devices are processors that multiply it.
        kernels: bool, whether training on CPUs may use the native kernels.
        portable: bool, whether TensorFlow's stock operations alone are used, whatever the other
            two say: in inference, so that `predict` and every export give the same numbers to the
            last bit.
        in_process: bool, whether a function is run here and not saved, as steps of `evaluate` and
            `predict` are. Kernels that give the bits of the stock operations then stand for them
            in a portable execution too.
        same_bits: bool, whether inference in this process must give the bits of an export. Steps of
            `evaluate`, whose outputs go into a loss and metrics alone, set it to False, so that
            sums may have the order of training. What is saved never follows it.
        rows: dict from a `TableStack` to the store of rows that its lookups read in place of its
            variable, as exports with smaller tables do.
        id_maps: dict from the id map of a stack to the `StaticIdMap` that finds rows in its place.

    Example:

    >>> from tfrec_models import execution
    >>> with execution.using(execution.Execution(xla=False)):
    ...     execution.current().uses_xla
    False
    """

    xla: bool = True
    kernels: bool = True
    portable: bool = False
    in_process: bool = False
    same_bits: bool = True
    rows: Mapping[Any, Any] = dataclasses.field(default_factory=lambda: types.MappingProxyType({}))
    id_maps: Mapping[Any, Any] = dataclasses.field(
        default_factory=lambda: types.MappingProxyType({})
    )

    @property
    def infers_as_it_trains(self) -> bool:
        """Whether inference may use what training does, XLA and kernels of other bits."""
        return self.in_process and not self.same_bits

    @property
    def uses_xla(self) -> bool:
        """Whether layers compile their computation with XLA."""
        return self.xla and not self.portable

    @property
    def uses_kernels(self) -> bool:
        """Whether the native kernels may be used; of a portable execution those of equal bits."""
        return self.kernels and (self.in_process or not self.portable)

    def __str__(self) -> str:
        if self.portable:
            return "stock operations"
        states = {True: "on", False: "off"}
        return f"XLA {states[self.xla]}, native kernels {states[self.kernels]}"


class _Default:
    """What functions run with where nothing else was chosen; the public switches change it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.value = Execution(kernels=os.environ.get("TFREC_MODELS_NATIVE", "1") != "0")

    def change(self, changes: dict[str, Any]) -> None:
        with self._lock:
            self.value = dataclasses.replace(self.value, **changes)


@dataclasses.dataclass(frozen=True, eq=False)
class _Use:
    """One `using` that has begun and not ended."""

    execution: Execution


_default = _Default()
_uses: contextvars.ContextVar[tuple[_Use, ...]] = contextvars.ContextVar(
    "tfrec_models_execution", default=()
)


def current() -> Execution:
    """Returns the `Execution` of the caller: the innermost `using`, else the default.

    Example:

    >>> from tfrec_models import execution
    >>> execution.current().portable
    False
    """
    uses = _uses.get()
    return uses[-1].execution if uses else _default.value


@contextlib.contextmanager
def using(execution: Execution) -> Iterator[Execution]:
    """Within it, functions traced or called by this thread run as `execution` says.

    `fit`, `evaluate` and `predict` pass it to the threads of replicas; a step of your own that
    `strategy.run` calls enters it itself.

    Args:
        execution: `Execution`.

    Raises:
        TypeError: if it is none.

    Example:

    >>> from tfrec_models import execution
    >>> with execution.using(execution.Execution(kernels=False)) as chosen:
    ...     chosen is execution.current()
    True
    """
    if not isinstance(execution, Execution):
        raise TypeError(
            f"execution must be an Execution, received {type(execution).__name__}; make one with "
            "tfrec_models.execution.Execution(...)."
        )
    use = _Use(execution)
    _uses.set((*_uses.get(), use))
    try:
        yield execution
    finally:
        # They may end in another order than they began, as those of generators do: what was
        # before this one would bring one back that has ended.
        _uses.set(tuple(other for other in _uses.get() if other is not use))


@contextlib.contextmanager
def changed(**changes: Any) -> Iterator[Execution]:
    """Within it, functions run as before but for some fields of `Execution`.

    Args:
        **changes: the fields and their values.

    Example:

    >>> from tfrec_models import execution
    >>> with execution.changed(xla=False):
    ...     execution.current().xla
    False
    """
    with using(dataclasses.replace(current(), **changes)) as execution:
        yield execution


def portable() -> contextlib.AbstractContextManager[Execution]:
    """Within it, layers use TensorFlow's stock operations alone, as in inference and exports.

    Enter it where you trace a function of your own to save it.

    Example:

    >>> from tfrec_models import execution
    >>> with execution.portable():
    ...     execution.current().uses_kernels
    False
    """
    return changed(portable=True)


def set_default(*, xla: bool | None = None, kernels: bool | None = None) -> None:
    """Changes what functions traced from now on run with, unless `using` says otherwise.

    Functions that were traced before, such as the train function of a model, keep what they have.

    Args:
        xla: bool, whether layers are compiled with XLA; None leaves it.
        kernels: bool, whether training may use the native kernels; None leaves it.

    Example:

    >>> from tfrec_models import execution
    >>> execution.set_default(xla=True)
    """
    changes = {"xla": xla, "kernels": kernels}
    _default.change({name: bool(value) for name, value in changes.items() if value is not None})
