"""A dense column of a log: what fills its gaps and what is done to its numbers."""

import dataclasses
import math
import numbers

TRANSFORMS = (None, "log1p", "log", "standardize", "clip", "quantile")


@dataclasses.dataclass(frozen=True)
class Dense:
    """A column of numbers, and how it becomes one of the dense features.

    A missing number (null or NaN) becomes `fill` first; then each number `x` becomes

        None:          x
        "log1p":       log(max(x, 0) + 1)
        "log":         log(x + offset), an error where that is not defined
        "standardize": (x - mean) / standard deviation, 0 where all numbers are the same
        "clip":        min(max(x, low), high)
        "quantile":    k / num_buckets, with k the number of inner quantiles at or below x

    "standardize" and "quantile" are learned by `Schema.fit`, from all numbers after filling.

    Args:
        name: str, the column.
        fill: float or None, takes the place of a missing number; None makes one an error.
        transform: str or None, as above.
        offset: float, for "log".
        low: float or None, for "clip".
        high: float or None, for "clip".
        num_buckets: int, for "quantile".

    Raises:
        ValueError: if an argument is out of range, missing for the transform or not used by it.

    Example:

    >>> from tfrec_models.datasets import Dense
    >>> Dense("age", fill=0.0, transform="log", offset=4).transform
    'log'
    """

    name: str
    fill: float | None = None
    transform: str | None = None
    offset: float | None = None
    low: float | None = None
    high: float | None = None
    num_buckets: int | None = None

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"Dense: name must be a non-empty str, received {self.name!r}.")
        if self.transform not in TRANSFORMS:
            raise ValueError(
                f"Dense {self.name!r}: transform must be one of {list(TRANSFORMS)}, received "
                f"{self.transform!r}."
            )
        for argument in ("fill", "offset", "low", "high"):
            self._check_number(argument)
        self._check_goes_with("offset", "log", needed=True)
        self._check_goes_with("num_buckets", "quantile", needed=True)
        self._check_goes_with("low", "clip")
        self._check_goes_with("high", "clip")
        if self.transform == "clip" and self.low is None and self.high is None:
            raise ValueError(f"Dense {self.name!r}: transform 'clip' needs low, high or both.")
        if None not in (self.low, self.high) and self.low > self.high:
            raise ValueError(
                f"Dense {self.name!r}: low must not exceed high, received {self.low} and "
                f"{self.high}."
            )
        buckets = self.num_buckets
        if buckets is not None and (
            isinstance(buckets, bool) or not isinstance(buckets, numbers.Integral) or buckets < 2
        ):
            raise ValueError(
                f"Dense {self.name!r}: num_buckets must be an integer of at least 2, received "
                f"{buckets!r}."
            )

    @property
    def is_learned(self) -> bool:
        """Whether the transform needs `Schema.fit`."""
        return self.transform in ("standardize", "quantile")

    def _check_number(self, argument):
        value = getattr(self, argument)
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise ValueError(
                f"Dense {self.name!r}: {argument} must be a number, received {value!r}."
            )
        if not math.isfinite(value):
            raise ValueError(f"Dense {self.name!r}: {argument} must be finite, received {value}.")
        # Numbers often come out of NumPy, whose types JSON and YAML do not take.
        object.__setattr__(self, argument, float(value))

    def _check_goes_with(self, argument, transform, needed=False):
        given = getattr(self, argument) is not None
        if given and self.transform != transform:
            raise ValueError(
                f"Dense {self.name!r}: {argument} goes with transform {transform!r}, received "
                f"transform {self.transform!r}."
            )
        if needed and not given and self.transform == transform:
            raise ValueError(f"Dense {self.name!r}: transform {transform!r} needs {argument}.")
