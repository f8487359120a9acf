"""What an embedding table is: its rows, columns, features, pooling and id policy."""

import dataclasses
import enum
import numbers
from collections.abc import Callable

import keras

from tfrec_models.layers.id_policy import ID_POLICIES


class PoolingType(enum.Enum):
    """How the rows of one bag become one vector.

    SUM adds them, MEAN divides the sum by the number of ids in the bag. An empty bag gives zeros
    in both.
    """

    SUM = "SUM"
    MEAN = "MEAN"


@dataclasses.dataclass(frozen=True)
class BaseEmbeddingConfig:
    """What every embedding table has: see `EmbeddingBagConfig` for the fields."""

    num_embeddings: int
    embedding_dim: int
    name: str = ""
    data_type: str | None = None
    feature_names: tuple[str, ...] = ()
    weight_init_max: float | None = None
    weight_init_min: float | None = None
    init_fn: str | Callable | None = None
    id_policy: str = "error"

    def __post_init__(self):
        set_field = object.__setattr__
        for argument in ("num_embeddings", "embedding_dim"):
            value = getattr(self, argument)
            if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
                raise ValueError(
                    f"{argument} of table {self.name!r} must be a positive integer, received "
                    f"{value!r}."
                )
            # Sizes often come out of NumPy, whose integers JSON does not take.
            set_field(self, argument, int(value))
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(
                f"An embedding table needs a name (a non-empty str), received {self.name!r}."
            )
        if isinstance(self.feature_names, str) or not all(
            isinstance(feature, str) for feature in self.feature_names
        ):
            raise ValueError(
                f"feature_names of table {self.name!r} must be a list of str, received "
                f"{self.feature_names!r}."
            )
        features = tuple(self.feature_names) or (self.name,)
        if len(set(features)) < len(features):
            raise ValueError(
                f"feature_names of table {self.name!r} must be distinct, received "
                f"{list(features)}. A feature is looked up in a table once."
            )
        set_field(self, "feature_names", features)
        if self.data_type not in (None, "float32", "float16", "bfloat16", "float64"):
            raise ValueError(
                f"data_type of table {self.name!r} must be None, 'float32', 'float16', 'bfloat16' "
                f"or 'float64', received {self.data_type!r}."
            )
        if self.id_policy not in ID_POLICIES:
            raise ValueError(
                f"id_policy of table {self.name!r} must be one of {list(ID_POLICIES)}, received "
                f"{self.id_policy!r}."
            )
        if self.init_fn is not None:
            set_field(self, "init_fn", keras.initializers.get(self.init_fn))
        low, high = self.init_range()
        if low > high:
            raise ValueError(
                f"weight_init_min of table {self.name!r} must not exceed weight_init_max, "
                f"received {low} and {high}."
            )

    @property
    def num_rows(self):
        """Rows the table takes up: `num_embeddings`, and one more under the "oov" policy."""
        return self.num_embeddings + (self.id_policy == "oov")

    def init_range(self):
        """Returns the smallest and the largest initial value."""
        bound = self.num_embeddings**-0.5
        low = -bound if self.weight_init_min is None else self.weight_init_min
        high = bound if self.weight_init_max is None else self.weight_init_max
        return float(low), float(high)

    def get_config(self):
        config = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        config["feature_names"] = list(self.feature_names)
        if self.init_fn is not None:
            config["init_fn"] = keras.initializers.serialize(self.init_fn)
        return config

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable("tfrec_models")
@dataclasses.dataclass(frozen=True)
class EmbeddingBagConfig(BaseEmbeddingConfig):
    """One embedding table of an `EmbeddingBagCollection`.

    Rows start uniform in ±sqrt(1 / num_embeddings), as TorchRec's do, unless told otherwise.

    Args:
        num_embeddings: int, the number of rows.
        embedding_dim: int, the number of columns.
        name: str, the table's name, distinct within its collection.
        data_type: str, the dtype of the table ("float32", "float16", "bfloat16" or "float64"),
            or None for the variable dtype of the collection's dtype policy.
        feature_names: list of str, the features looked up here. Defaults to `[name]`.
        weight_init_max: float, the largest initial value.
        weight_init_min: float, the smallest initial value.
        init_fn: a Keras initializer or its name, in place of the uniform one. It makes the whole
            table beside the variable, on parameter servers on each that keeps a piece of it.
        pooling: `PoolingType` or its name.
        id_policy: what an id outside `[0, num_embeddings)` means. "error" refuses the batch and
            names feature, id, table size and example; "clip" takes the nearest row; "hash" takes
            row `id mod num_embeddings`; "oov" takes one more row, kept after the others for this;
            "drop" acts as if the id were not in its bag. The same everywhere: eagerly, in a
            graph and in an export.

    Raises:
        ValueError: if an argument is not as said above.

    Example:

    >>> from tfrec_models import EmbeddingBagConfig, PoolingType
    >>> config = EmbeddingBagConfig(
    ...     num_embeddings=1000, embedding_dim=16, name="t1", feature_names=["f1"],
    ...     pooling=PoolingType.MEAN, id_policy="oov",
    ... )
    >>> config.num_rows
    1001
    """

    pooling: PoolingType = PoolingType.SUM

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "pooling", _pooling(self.pooling, self.name))

    def get_config(self):
        return {**super().get_config(), "pooling": self.pooling.value}


@keras.saving.register_keras_serializable("tfrec_models")
@dataclasses.dataclass(frozen=True)
class EmbeddingConfig(BaseEmbeddingConfig):
    """One embedding table of an `EmbeddingCollection`: one row for each id, no pooling.

    Args:
        num_embeddings: int, the number of rows.
        embedding_dim: int, the number of columns.
        name: str, the table's name, distinct within its collection.
        data_type, feature_names, weight_init_max, weight_init_min, init_fn, id_policy: as in
            `EmbeddingBagConfig`. The "drop" policy takes an id out of its bag.

    Raises:
        ValueError: if an argument is not as said there.

    Example:

    >>> from tfrec_models.layers import EmbeddingConfig
    >>> EmbeddingConfig(num_embeddings=1000, embedding_dim=16, name="t1").feature_names
    ('t1',)
    """

    # Tables are stacked with those of equal pooling: here, none.
    pooling = None


def _pooling(pooling, table):
    if isinstance(pooling, PoolingType):
        return pooling
    try:
        return PoolingType[str(pooling).upper()]
    except KeyError:
        raise ValueError(
            f"pooling of table {table!r} must be PoolingType.SUM or PoolingType.MEAN, received "
            f"{pooling!r}."
        ) from None
