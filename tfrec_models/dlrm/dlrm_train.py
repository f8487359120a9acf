"""DLRM together with its loss."""

from collections.abc import Mapping
from typing import Any

import keras

from tfrec_models._export_guard import OwnExport
from tfrec_models._loss_checks import warn_if_taken_for_other
from tfrec_models._serialization import DeserializesChildren
from tfrec_models.multi_task_ranker import MultiTaskRanker
from tfrec_models.ranking_model import RankingModel


@keras.saving.register_keras_serializable("tfrec_models")
class DLRMTrain(OwnExport, DeserializesChildren, keras.Model):
    """A DLRM that takes labels and returns its loss, as TorchRec's does.

    For loops that want the loss from the model itself, and for `fit` without a compiled loss:
    each call adds the loss to the model's. Elsewhere compile the model with
    `keras.losses.BinaryCrossentropy(from_logits=True)`, which is the same number.

        loss = mean over the batch of log(1 + exp(z)) - y z,  with logits z and labels y

    Args:
        dlrm_module: a ranking model that returns logits, such as `DLRM`.
        **kwargs: those of `keras.Model`.

    Input shape:
        `{"dense_features": ..., "sparse_features": ..., "labels": (batch,)}`; labels are
        `(batch, n)` for a model with n > 1 logits.

    Output shape:
        `(loss, (loss, logits, labels))`: the loss a scalar; logits `(batch,)`; the inner three
        carry no gradient.

    Raises:
        TypeError: if `dlrm_module` is no ranking model, or one that returns probabilities.
        ValueError: at a call on a missing input, or labels of another shape than the logits.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models import DLRM, DLRMTrain, EmbeddingBagCollection, EmbeddingBagConfig
    >>> ebc = EmbeddingBagCollection(
    ...     tables=[
    ...         EmbeddingBagConfig(
    ...             name="t1", embedding_dim=8, num_embeddings=100, feature_names=["f1"]
    ...         )
    ...     ]
    ... )
    >>> train = DLRMTrain(
    ...     DLRM(
    ...         embedding_bag_collection=ebc, dense_in_features=3,
    ...         dense_arch_layer_sizes=[8], over_arch_layer_sizes=[5, 1],
    ...     )
    ... )
    >>> loss, (_, logits, labels) = train(
    ...     {
    ...         "dense_features": tf.ones((2, 3)),
    ...         "sparse_features": {"f1": tf.constant([1, 2])},
    ...         "labels": tf.constant([0, 1]),
    ...     }
    ... )
    >>> loss.shape, logits.shape
    (TensorShape([]), TensorShape([2]))
    """

    def __init__(self, dlrm_module: keras.Model, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(dlrm_module, RankingModel) or isinstance(dlrm_module, MultiTaskRanker):
            raise TypeError(
                f"dlrm_module must be a ranking model such as DLRM, received "
                f"{type(dlrm_module).__name__}."
            )
        if not dlrm_module.gives_logits:
            raise TypeError(
                "DLRMTrain takes a model that returns logits; "
                f"{type(dlrm_module).__name__} returns probabilities. Compile it with "
                "keras.losses.BinaryCrossentropy() instead."
            )
        self.supports_jit = False
        self.model = dlrm_module

    # What a compiled loss or metric receives.
    gives_logits = True

    def compile(self, optimizer: Any = "rmsprop", *args: Any, **kwargs: Any) -> None:
        warn_if_taken_for_other(self, args, kwargs)
        super().compile(optimizer, *args, **kwargs)

    def compile_from_config(self, config):
        # Keras restores a model whose compile() is overridden only if told how.
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def build(self, input_shape=None):
        if self.built:
            return
        if not self.model.built:
            self.model.build()
        self.built = True

    def call(self, batch, training=True):
        wanted = ("dense_features", "sparse_features", "labels")
        if not isinstance(batch, Mapping) or set(batch) != set(wanted):
            received = sorted(batch) if isinstance(batch, Mapping) else type(batch).__name__
            raise ValueError(f"DLRMTrain takes a dict with {list(wanted)}, received {received}.")
        logits = self.model(batch["dense_features"], batch["sparse_features"], training=training)
        if self.model.num_outputs == 1:
            logits = keras.ops.squeeze(logits, -1)
        labels = batch["labels"]
        if len(labels.shape) != len(logits.shape):
            raise ValueError(
                f"labels must have the shape of the logits {tuple(logits.shape)}, received "
                f"{tuple(labels.shape)}."
            )
        losses = keras.losses.binary_crossentropy(
            keras.ops.cast(labels, logits.dtype)[..., None], logits[..., None], from_logits=True
        )
        loss = keras.ops.mean(losses)
        self.add_loss(loss)
        stopped = keras.ops.stop_gradient
        return loss, (stopped(loss), stopped(logits), labels)

    def get_config(self):
        return {
            **super().get_config(),
            "dlrm_module": keras.saving.serialize_keras_object(self.model),
        }
