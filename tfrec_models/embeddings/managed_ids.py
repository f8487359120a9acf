"""Id policy of a table whose ids change in training."""

import dataclasses
from typing import Any

import keras

from tfrec_models._checks.arguments import check_positive

EVICTIONS = ("lru", "lfu", "ttl", "never")
UNKNOWN = ("oov", "drop")


@keras.saving.register_keras_serializable("tfrec_models")
@dataclasses.dataclass(frozen=True)
class ManagedIds:
    """Id policy of a table of fixed size that takes any int64 as an id.

    For logs in which new users and items appear every day. Each row belongs to at most one id, so
    no two ids share an embedding. In training, an id without a row is given one the `admit_after`th
    time it is seen; where there is no free row, that of another id is taken, whose embedding and
    optimizer state start afresh. In prediction, and while the layer is frozen (`trainable=False`),
    nothing changes.

    A row is looked for among the rows that the id's 64-bit hash names: groups of 16, up to 64 of
    them. A table of 1,024 rows or fewer assigns every row before it evicts; a larger one about
    999 of 1,000. The row to evict is chosen in the id's first group of 16, among the rows that the
    batch does not use:

    - "lru": the one used least recently.
    - "lfu": the one used least often. The new id inherits its count, so that ids that were frequent
      once do not stay without end (Space-Saving).
    - "ttl": one that was not used for more than `ttl` steps, the longest unused first.
    - "never": none.

    If there is no such row, the id stays unknown. Times seen are counted in a count-min sketch of
    four bytes a row, whose counts are halved from time to time; it may admit an id early, by counts
    of other ids, but never late unless the id is rare.

    The rows that ids are given depend on the batches alone, not on threads, devices or the order
    of ids within a batch. Integers are ids as they are; turn strings into 64-bit hashes before
    (`datasets.Sparse` with ids="hash" and `num_ids=2**63`).

    Paper: Metwally et al., Efficient Computation of Frequent and Top-k Elements in Data Streams
    (ICDT 2005); Cormode and Muthukrishnan, An Improved Data Stream Summary: the Count-Min Sketch
    (2005).

    Args:
        admit_after: int, how many times an id is seen in training before it is given a row.
        evict: "lru", "lfu", "ttl" or "never", which row is taken from its id.
        unknown: what an id without a row means, "oov" for one more row that all of them share, or
            "drop" to leave it out of its bag.
        ttl: int, the number of steps after which an unused row may be evicted, with evict="ttl".

    Raises:
        ValueError: if an argument is not as described above.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models.layers import EmbeddingBagCollection, EmbeddingBagConfig, ManagedIds
    >>> collection = EmbeddingBagCollection([
    ...     EmbeddingBagConfig(
    ...         name="t_user", num_embeddings=1000, embedding_dim=4, feature_names=["user"],
    ...         id_policy=ManagedIds(admit_after=2),
    ...     )
    ... ])
    >>> for _ in range(2):
    ...     pooled = collection({"user": tf.constant([2**40, -7])}, training=True)
    >>> ids, rows = collection.ids_of("t_user")
    >>> sorted(ids.tolist())
    [-7, 1099511627776]
    >>> collection.read_rows("t_user", [2**40]).shape
    TensorShape([1, 4])
    """

    admit_after: int = 1
    evict: str = "lru"
    unknown: str = "oov"
    ttl: int | None = None

    def __post_init__(self):
        set_field = object.__setattr__
        set_field(self, "admit_after", check_positive("admit_after", self.admit_after))
        for argument, known in (("evict", EVICTIONS), ("unknown", UNKNOWN)):
            if getattr(self, argument) not in known:
                raise ValueError(
                    f"{argument} of ManagedIds must be one of {list(known)}, received "
                    f"{getattr(self, argument)!r}."
                )
        if (self.evict == "ttl") != (self.ttl is not None):
            raise ValueError(
                "ManagedIds takes ttl with evict='ttl', and only there; received "
                f"evict={self.evict!r} and ttl={self.ttl!r}."
            )
        if self.ttl is not None:
            set_field(self, "ttl", check_positive("ttl", self.ttl))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments, for `from_config`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ManagedIds":
        """Returns the policy that `get_config` was called on."""
        return cls(**config)
