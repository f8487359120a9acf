"""Configuration of a table whose rows are pooled."""

import dataclasses

import keras

from tfrec_models.embeddings.base_embedding_config import BaseEmbeddingConfig
from tfrec_models.embeddings.pooling_type import PoolingType


@keras.saving.register_keras_serializable("tfrec_models")
@dataclasses.dataclass(frozen=True)
class EmbeddingBagConfig(BaseEmbeddingConfig):
    """One embedding table of an `EmbeddingBagCollection`.

    Rows start uniform in ±sqrt(1 / num_embeddings), as TorchRec's do, unless set otherwise.

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
            graph and in an export. A `ManagedIds`, or "managed" for one with its defaults, takes
            any int64 as an id and gives it a row in training.

    Raises:
        ValueError: if an argument is not as described above.

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


def _pooling(pooling, table):
    if isinstance(pooling, PoolingType):
        return pooling
    try:
        # TorchRec's enum has the same names.
        return PoolingType[str(getattr(pooling, "name", pooling)).upper()]
    except KeyError:
        raise ValueError(
            f"pooling of table {table!r} must be PoolingType.SUM or PoolingType.MEAN, received "
            f"{pooling!r}."
        ) from None
