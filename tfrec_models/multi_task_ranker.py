"""A ranker with a loss and metrics for each task."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrec_models.ranking_model import RankingModel


@keras.saving.register_keras_serializable("tfrec_models")
class MultiTaskRanker(RankingModel):
    """A ranker that gives one named output for each task, such as click and purchase.

    All tasks share the ranker up to its last layer, whose output columns are the tasks. `compile`
    takes losses, loss weights and metrics by task, as of any Keras model with several outputs, and
    `fit` labels and sample weights by task. A sample weight of 0 leaves an example out of a task.

    `predict` and a call give a dict; `logits` and an export give the columns, in the order of
    `task_names`.

    Paper: R. Caruana, "Multitask Learning", Machine Learning 28, 1997.

    Args:
        ranker: `RankingModel` with one output column for each task, such as a `DLRM` whose
            `over_arch_layer_sizes` end in the number of tasks.
        task_names: list of str, the name of each output column, in the order of the columns.
        **kwargs: those of `keras.Model`; the dtype is the ranker's where none is given.

    Input shape:
        That of the ranker.

    Output shape:
        A dict of `(batch, 1)` for each task.

    Raises:
        TypeError: where ranker is no `RankingModel`.
        ValueError: on names that are not as many as the ranker's output columns, repeated or empty.

    Example:

    >>> import keras
    >>> import tensorflow as tf
    >>> from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig, MultiTaskRanker
    >>> tables = EmbeddingBagCollection([EmbeddingBagConfig(100, 8, "item")])
    >>> model = MultiTaskRanker(DLRM(tables, 3, [8], [16, 2]), task_names=["click", "buy"])
    >>> loss = keras.losses.BinaryCrossentropy(from_logits=True)
    >>> model.compile(
    ...     "sgd", loss={"click": loss, "buy": loss}, loss_weights={"click": 1.0, "buy": 0.2}
    ... )
    >>> batch = {"dense_features": tf.ones((4, 3)), "sparse_features": {"item": tf.range(4)}}
    >>> labels = {"click": tf.constant([1, 1, 0, 1]), "buy": tf.constant([0, 1, 0, 0])}
    >>> history = model.fit(batch, labels, verbose=0)
    >>> model(batch)["buy"].shape
    TensorShape([4, 1])
    """

    def __init__(self, ranker: RankingModel, task_names: Sequence[str], **kwargs: Any) -> None:
        if not isinstance(ranker, RankingModel) or isinstance(ranker, MultiTaskRanker):
            raise TypeError(
                f"ranker must be a ranking model such as DLRM, received {type(ranker).__name__}."
            )
        if isinstance(task_names, str) or not all(
            isinstance(name, str) and name for name in task_names
        ):
            raise TypeError(
                f"task_names must be a list of names, received {task_names!r}; "
                'pass one such as ["click", "buy"].'
            )
        task_names = list(task_names)
        if len(set(task_names)) != ranker.num_outputs or len(task_names) != ranker.num_outputs:
            raise ValueError(
                f"task_names must be {ranker.num_outputs} different names, one for each output "
                f"column of {type(ranker).__name__}, received {task_names}; change the names or "
                "the size of the ranker's last layer."
            )
        kwargs.setdefault("dtype", ranker.dtype_policy)
        super().__init__(ranker.dense_in_features, **kwargs)
        self.ranker = ranker
        self.task_names = task_names
        self.gives_logits = ranker.gives_logits

    @property
    def embedding_bag_collection(self):
        return self.ranker.embedding_bag_collection

    @property
    def num_outputs(self) -> int:
        return self.ranker.num_outputs

    def build(self, input_shape=None):
        if self.built:
            return
        if not self.ranker.built:
            self.ranker.build()
        self.built = True

    def rank(self, dense_features, sparse_features):
        outputs = self.ranker(dense_features, sparse_features)
        columns = tf.split(outputs, len(self.task_names), axis=1)
        return dict(zip(self.task_names, columns, strict=True))

    def logits(
        self, dense_features: Any, sparse_features: Any = None, training: bool | None = None
    ) -> tf.Tensor:
        """Returns the ranker's logits, `(batch, num_outputs)`, a column for each task.

        Args:
            dense_features, sparse_features, training: as in a call of the model.
        """
        return self.ranker.logits(dense_features, sparse_features, training=training)

    def compute_output_spec(self, dense_features, sparse_features=None, training=None):
        spec = super().compute_output_spec(dense_features, sparse_features, training)
        return {name: keras.KerasTensor((spec.shape[0], 1), spec.dtype) for name in self.task_names}

    def get_config(self):
        return {
            **super().get_config(),
            "ranker": keras.saving.serialize_keras_object(self.ranker),
            "task_names": self.task_names,
        }
