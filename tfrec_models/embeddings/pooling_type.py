"""How the rows of a bag are pooled."""

import enum


class PoolingType(enum.Enum):
    """How the rows of one bag become one vector.

    SUM adds them, MEAN divides the sum by the number of ids in the bag. An empty bag gives zeros
    in both.
    """

    SUM = "SUM"
    MEAN = "MEAN"
