"""Base class of rankers over dense and sparse features."""

import abc
import contextlib
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfrec_models import execution
from tfrec_models._checks.arguments import check_not_negative
from tfrec_models._checks.assertions import checked
from tfrec_models._export_guard import OwnExport
from tfrec_models._keyed_jagged_data import KeyedJaggedData
from tfrec_models._loss_checks import warn_if_taken_for_other
from tfrec_models._managed_ids_checks import check_managed_ids
from tfrec_models._serialization import DeserializesChildren
from tfrec_models._strategy_training import StrategyTraining
from tfrec_models.optimizers import LossScaleOptimizer, warn_if_inexact

INPUTS = ("dense_features", "sparse_features")


class RankingModel(
    KeyedJaggedData, StrategyTraining, OwnExport, DeserializesChildren, keras.Model, abc.ABC
):
    """Base class of models that rank examples by dense and sparse features.

    Subclass it for a model whose parts are not those of a DLRM. It checks inputs, takes every form
    of sparse features, trains under strategies, and can be saved, loaded and exported. A subclass
    sets `embedding_bag_collection` and defines `rank`, `num_outputs` and `build`; to be saved it
    also needs `get_config`.

    Args:
        dense_in_features: int, the number of dense features, 0 or more.
        **kwargs: those of `keras.Model`.

    Input shape:
        A dict of "dense_features", floats `(batch, dense_in_features)`, and "sparse_features", bags
        of ids for each of `sparse_feature_names`, in any form that `EmbeddingBagCollection` takes.

    Output shape:
        `(batch, num_outputs)`, what `rank` returns.

    Raises:
        ValueError: if `dense_in_features` is negative, on inputs of other features or shapes, and
            on `compile(jit_compile=True)`.

    Example:

    >>> import keras
    >>> import tensorflow as tf
    >>> from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig, RankingModel
    >>> class Linear(RankingModel):
    ...     num_outputs = 1
    ...
    ...     def __init__(self, embedding_bag_collection, dense_in_features):
    ...         super().__init__(dense_in_features)
    ...         self.embedding_bag_collection = embedding_bag_collection
    ...         self.head = keras.layers.Dense(1)
    ...
    ...     def build(self, input_shape=None):
    ...         if self.built:
    ...             return
    ...         self.embedding_bag_collection.build()
    ...         width = sum(self.embedding_bag_collection.embedding_dims)
    ...         self.head.build((None, width + self.dense_in_features))
    ...         self.built = True
    ...
    ...     def rank(self, dense_features, sparse_features):
    ...         pooled = self.embedding_bag_collection(sparse_features).values()
    ...         return self.head(tf.concat([dense_features, pooled], axis=1))
    >>> tables = EmbeddingBagCollection([EmbeddingBagConfig(100, 8, "item")])
    >>> model = Linear(tables, dense_in_features=3)
    >>> model(tf.ones((2, 3)), {"item": tf.constant([4, 7])}).shape
    TensorShape([2, 1])
    """

    # Whether the output is logits, for losses with from_logits=True, or probabilities.
    gives_logits = True

    def __init__(self, dense_in_features: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        dense_in_features = check_not_negative("dense_in_features", dense_in_features)
        self.dense_in_features = dense_in_features
        # Lookups of ragged ids do not compile; jit_compile="auto" would try to on a GPU.
        self.supports_jit = False

    @abc.abstractmethod
    def rank(self, dense_features, sparse_features):
        """Returns the model's output for one batch."""

    @property
    @abc.abstractmethod
    def num_outputs(self) -> int:
        """The number of output columns."""

    @property
    def sparse_feature_names(self) -> list[str]:
        """The sparse features in table order: the order of packed input."""
        return self.embedding_bag_collection.sparse_feature_names

    def compile(
        self,
        optimizer: Any = "rmsprop",
        *args: Any,
        jit_compile: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        if jit_compile is True:
            raise ValueError(
                f"{type(self).__name__} cannot be compiled with jit_compile=True: XLA has no "
                "kernel for lookups of ragged ids. Leave jit_compile at 'auto'; the interaction "
                "is compiled with XLA anyway."
            )
        optimizer = keras.optimizers.get(optimizer)
        check_managed_ids(self, optimizer)
        warn_if_inexact(optimizer)
        warn_if_taken_for_other(self, args, kwargs)
        scales_loss = kwargs.get("auto_scale_loss", True)
        is_scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        if scales_loss and not is_scaled and self.dtype_policy.name == "mixed_float16":
            # Keras would wrap it in its own, which makes table gradients dense.
            optimizer = LossScaleOptimizer(optimizer)
        super().compile(optimizer, *args, jit_compile=jit_compile, **kwargs)

    def compile_from_config(self, config):
        # Keras restores a model whose compile() is overridden only if told how.
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    # `training` is not passed on by hand: Keras hands it to every layer below that asks for it,
    # but in fit only if the model's call names it.
    def call(self, dense_features, sparse_features=None, training=None):
        dense_features, sparse_features = split_inputs(dense_features, sparse_features)
        dense_features = checked_dense(dense_features, self.dense_in_features)
        with running(training):
            return self.rank(dense_features, sparse_features)

    def logits(
        self, dense_features: Any, sparse_features: Any = None, training: bool | None = None
    ) -> tf.Tensor:
        """Returns what the sigmoid of is the probability, `(batch, num_outputs)`.

        Args:
            dense_features, sparse_features, training: as in a call of the model.
        """
        return self(dense_features, sparse_features, training=training)

    def compute_output_spec(self, dense_features, sparse_features=None, training=None):
        dense_features, _ = split_inputs(dense_features, sparse_features)
        return keras.KerasTensor((dense_features.shape[0], self.num_outputs), self.compute_dtype)


def running(training):
    """The execution of a call: XLA and native kernels are for training and `evaluate`.

    Both sum in another order, and a server may have neither. Without them, direct calls, `predict`
    and every export, Keras's of a model around this one included, agree to the last bit. As in
    every Keras model, a call that does not say `training=True` does not train; but where it does
    not say so, a gradient may still be wanted, which portable lookups make slow.
    """
    if training or execution.current().infers_as_it_trains:
        return contextlib.nullcontext()
    if training is None:
        return execution.changed(xla=False, kernels=False)
    return execution.portable()


def checked_dense(dense_features, dense_in_features):
    """Returns dense features as a tensor, refused unless they are floats of the right shape."""
    dense_features = tf.convert_to_tensor(dense_features)
    if not dense_features.dtype.is_floating:
        raise TypeError(
            "dense_features must be floats, received "
            f"{dense_features.dtype.name}. Cast them with tf.cast(dense_features, tf.float32)."
        )
    shape = dense_features.shape
    if shape.rank != 2 or shape[1] not in (None, dense_in_features):
        raise ValueError(
            f"dense_features must have shape (batch, {dense_in_features}), "
            f"dense_in_features of them, received {shape}."
        )
    return dense_features


def with_equal_batch_sizes(sparse, dense):
    """Returns `sparse` once both are known to have the same number of examples."""
    rows = tf.shape(dense)[0], tf.shape(sparse)[0]
    return checked(
        sparse,
        tf.equal(*rows),
        "dense_features and sparse_features must have the same number of examples, received:",
        *rows,
    )


def split_inputs(dense_features, sparse_features):
    """Returns dense and sparse features, given as two arguments or as one dict."""
    if sparse_features is not None:
        return dense_features, sparse_features
    if not isinstance(dense_features, Mapping) or set(dense_features) != set(INPUTS):
        received = (
            f"a dict with {sorted(dense_features)}"
            if isinstance(dense_features, Mapping)
            else type(dense_features).__name__
        )
        raise ValueError(
            "A ranking model takes a dict with 'dense_features' and 'sparse_features', or the two "
            f"as arguments of these names, received {received}."
        )
    return dense_features["dense_features"], dense_features["sparse_features"]
