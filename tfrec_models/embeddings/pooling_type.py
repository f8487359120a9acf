"""How the rows of a bag are pooled."""

import enum


class PoolingType(enum.Enum):
    """How the rows of one bag become one vector.

    SUM adds them, MEAN divides the sum by the number of ids in the bag. An empty bag gives zeros
    in both.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig, PoolingType
    >>> table = EmbeddingBagConfig(10, 2, "item", init_fn="ones", pooling=PoolingType.MEAN)
    >>> EmbeddingBagCollection([table])({"item": tf.ragged.constant([[3, 4], []])})["item"]
    <tf.Tensor: shape=(2, 2), dtype=float32, numpy=
    array([[1., 1.],
           [0., 0.]], dtype=float32)>
    """

    SUM = "SUM"
    MEAN = "MEAN"
