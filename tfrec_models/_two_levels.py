"""Columns of candidates of which some are those of their requests."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class TwoLevels:
    """Columns of C candidates of R requests, each held once a request or once a candidate.

    A layer with a method `call_levels` takes one and computes what depends on the request alone R
    times in place of C. Columns are numbers or vectors.

    Args:
        request: tensor `(R, m, ...)`, the columns that all candidates of a request share.
        candidate: tensor `(C, n, ...)`, the others.
        request_columns, candidate_columns: lists of m and n int, where each is among all m + n.
        request_of: int tensor `(C,)`, the request of each candidate.
    """

    request: tf.Tensor
    candidate: tf.Tensor
    request_columns: Sequence[int]
    candidate_columns: Sequence[int]
    request_of: tf.Tensor

    def of_candidates(self, request: tf.Tensor) -> tf.Tensor:
        """Returns the row of its request for each candidate."""
        return tf.gather(request, self.request_of)

    def for_one_request(
        self, one: Callable[[], tf.Tensor], several: Callable[[], tf.Tensor]
    ) -> tf.Tensor:
        """Returns `one()` where there is one request, not to be repeated, else `several()`."""
        return tf.cond(tf.equal(tf.shape(self.request)[0], 1), one, several)

    def repeated(self) -> tf.Tensor:
        """Returns all columns in order for each candidate, `(C, m + n, ...)`."""
        columns = [*self.request_columns, *self.candidate_columns]
        parts = [self.candidate] if self.candidate_columns else []
        if self.request_columns:
            parts.insert(0, self.of_candidates(self.request))
        rows = parts[0] if len(parts) == 1 else tf.concat(parts, 1)
        if columns == sorted(columns):
            return rows
        return tf.gather(rows, [columns.index(n) for n in range(len(columns))], axis=1)

    def map(self, function: Callable[[tf.Tensor], tf.Tensor]) -> "TwoLevels":
        """Returns the same with a function of each tensor that keeps its rows and columns."""
        return dataclasses.replace(
            self, request=function(self.request), candidate=function(self.candidate)
        )


def call_on_levels(layer: Any, inputs: TwoLevels) -> tf.Tensor:
    """Returns what a layer gives for the candidates, by its `call_levels` where it has one."""
    if takes_levels(layer):
        return layer.call_levels(inputs)
    return layer(inputs.repeated())


def takes_levels(
    layer: Any, method: str = "call_levels", beside: Sequence[str] = ("call",)
) -> bool:
    """Whether a layer has a method for two levels that does what it does otherwise.

    A subclass that has a `call` of its own, and the `call_levels` of its base, has none.

    Args:
        layer: a layer or model.
        method: str, the method for two levels.
        beside: list of str, the methods that do the same for examples.
    """
    for cls in type(layer).__mro__:
        if method in vars(cls):
            return True
        if any(name in vars(cls) for name in beside):
            return False
    return False
