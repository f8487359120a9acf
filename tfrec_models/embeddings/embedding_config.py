"""Configuration of a table whose rows are not pooled."""

import dataclasses

import keras

from tfrec_models.embeddings.base_embedding_config import BaseEmbeddingConfig


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
