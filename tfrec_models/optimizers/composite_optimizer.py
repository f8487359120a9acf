"""One optimizer for the embedding tables, another for the rest."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from tfrec_models._compat.keras import built_variables, count_step, own_variables
from tfrec_models._compat.tensorflow import reductions_without_gradient
from tfrec_models.optimizers._checks import (
    check_count,
    check_gradients,
    check_state,
    check_variables,
    finite_checks,
)
from tfrec_models.optimizers._state import load_state, save_state


@keras.saving.register_keras_serializable("tfrec_models")
class CompositeOptimizer(keras.optimizers.Optimizer):
    """Sends embedding tables to one optimizer and every other variable to another.

    Tables and dense layers need different rules and learning rates: row-wise Adagrad for the
    tables, say, and Adam with weight decay or gradient accumulation for the rest. To `compile`, to
    `.keras` files and to callbacks it is one object. A variable is a table when its name starts
    with one of `embedding_names`.

    Both learning rates are open to callbacks and may be schedules. `optimizers` lists the two
    parts, which is where Keras's `LearningRateScheduler` and `ReduceLROnPlateau` look: they treat
    each by itself and log `learning_rate_<name of the part>`. `learning_rate` reads the dense rate;
    setting it sets the dense rate and scales the embedding rate in proportion. Norms for
    `global_clipnorm` are taken over each part by itself. With `check_finite` in either part, the
    gradients of both are looked at before anything is updated.

    Either part may be without variables: where the tables are frozen, or all but the tables is.

    Args:
        embedding_optimizer: A Keras optimizer or its name; one of `tfrec_models.optimizers` for
            exact updates that do not walk the tables.
        dense_optimizer: A Keras optimizer or its name.
        embedding_names: str or list of str, how the names of the table variables begin.
            Those of `EmbeddingBagCollection` begin with `"embedding_table"`; those of
            `keras.layers.Embedding` with `"embeddings"`.
        loss_scale_factor: float, a constant to scale the loss by, or None. Set it here, not on the
            parts. (`LossScaleOptimizer` goes around a `CompositeOptimizer`, as Keras does under
            `mixed_float16`.)
        name: str.

    Raises:
        TypeError: If a part is not an optimizer; if `learning_rate` is set and one of the parts
            has a schedule.
        ValueError: If a part has a `loss_scale_factor` of its own; at a step, if no variable has a
            name that begins so and yet one has a sparse gradient, as tables have.

    Example:

    >>> import keras
    >>> from tfrec_models.optimizers import CompositeOptimizer, RowWiseAdagrad
    >>> optimizer = CompositeOptimizer(
    ...     RowWiseAdagrad(learning_rate=0.05), keras.optimizers.Adam(learning_rate=0.001)
    ... )
    >>> optimizer.learning_rate = 0.0005
    >>> round(float(optimizer.embedding_optimizer.learning_rate.numpy()), 4)
    0.025
    """

    def __init__(
        self,
        embedding_optimizer: keras.optimizers.Optimizer,
        dense_optimizer: keras.optimizers.Optimizer,
        embedding_names: str | Sequence[str] = "embedding_table",
        loss_scale_factor: float | None = None,
        name: str | None = None,
    ) -> None:
        parts = {
            "embedding_optimizer": keras.optimizers.get(embedding_optimizer),
            "dense_optimizer": keras.optimizers.get(dense_optimizer),
        }
        for role, part in parts.items():
            if part is None or isinstance(part, keras.optimizers.LossScaleOptimizer):
                raise TypeError(
                    f"{role} must be a Keras optimizer other than a LossScaleOptimizer, received "
                    f"{part!r}; put the LossScaleOptimizer around the CompositeOptimizer."
                )
            if part.loss_scale_factor is not None:
                raise ValueError(
                    f"{role} has loss_scale_factor={part.loss_scale_factor}. Both parts must "
                    "share one: pass loss_scale_factor to CompositeOptimizer instead."
                )
        if parts["embedding_optimizer"] is parts["dense_optimizer"]:
            raise ValueError(
                "embedding_optimizer and dense_optimizer are the same object. Pass two, or compile "
                "with that optimizer alone."
            )
        # A callable keeps Keras from making a learning-rate variable that nothing would read.
        super().__init__(learning_rate=lambda: self.learning_rate, name=name)
        self.embedding_optimizer = parts["embedding_optimizer"]
        self.dense_optimizer = parts["dense_optimizer"]
        self.embedding_names = (
            [embedding_names] if isinstance(embedding_names, str) else list(embedding_names)
        )
        self.loss_scale_factor = loss_scale_factor
        # The embedding rate as a multiple of the dense one, kept for when the latter is 0.
        self._rate_ratio: float | None = None

    @property
    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        """The embedding optimizer and the dense optimizer."""
        return [self.embedding_optimizer, self.dense_optimizer]

    @property
    def check_finite(self) -> bool:
        """Whether one of the parts asks that gradients be finite."""
        return any(getattr(part, "check_finite", False) is True for part in self.optimizers)

    @property
    def variables(self):
        return [v for owner in (super(), *self.optimizers) for v in owner.variables]

    @property
    def learning_rate(self):
        return self.dense_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(
        self, learning_rate: float | keras.optimizers.schedules.LearningRateSchedule
    ) -> None:
        for part in self.optimizers:
            if isinstance(part.get_config().get("learning_rate"), dict):
                raise TypeError(
                    f"{self.name}: the learning rate of {part.name} is a schedule, so the two "
                    "rates cannot be set in proportion. Set `dense_optimizer.learning_rate` or "
                    "`embedding_optimizer.learning_rate` by itself."
                )
        dense_rate = float(self.dense_optimizer.learning_rate)
        if dense_rate:
            self._rate_ratio = float(self.embedding_optimizer.learning_rate) / dense_rate
        if self._rate_ratio is None:
            raise ValueError(
                f"{self.name}: the dense learning rate is 0, so the embedding rate cannot be "
                "scaled in proportion. Set `dense_optimizer.learning_rate` and "
                "`embedding_optimizer.learning_rate` by themselves."
            )
        self.dense_optimizer.learning_rate = learning_rate
        self.embedding_optimizer.learning_rate = learning_rate * self._rate_ratio

    @property
    def loss_scale_factor(self):
        return self._loss_scale_factor

    @loss_scale_factor.setter
    def loss_scale_factor(self, factor: float | None) -> None:
        self._loss_scale_factor = factor
        # Keras's constructor sets it once before the parts are there.
        for role in ("embedding_optimizer", "dense_optimizer"):
            if hasattr(self, role):
                getattr(self, role).loss_scale_factor = factor

    def is_embedding(self, variable: keras.Variable) -> bool:
        """Whether a variable goes to the embedding optimizer."""
        return variable.name.startswith(tuple(self.embedding_names))

    def _split(self, items, variables):
        """The items whose variables are tables, and the others."""
        parts = [], []
        for item, variable in zip(items, variables, strict=True):
            parts[0 if self.is_embedding(variable) else 1].append(item)
        return parts

    def build(self, variables):
        if self.built:
            return
        variables = list(variables)
        check_variables(self, variables)
        tables, others = self._split(variables, variables)
        self.embedding_optimizer.build(tables)
        self.dense_optimizer.build(others)
        super().build(variables)

    def apply(self, grads, trainable_variables=None):
        grads = list(grads)
        if not grads:
            return
        if trainable_variables is None:
            trainable_variables = built_variables(self)
        variables = list(trainable_variables)
        check_count(self, grads, variables)
        self.build(variables)
        if all(g is None for g in grads):
            raise ValueError(f"{self.name}: no variable has a gradient.")
        # What either part would refuse is refused before the other has updated its variables.
        check_gradients(self, grads, variables)
        self._check_names(grads, variables)
        split_grads = self._split(grads, variables)
        split_variables = self._split(variables, variables)
        checks = finite_checks(self, grads, variables) if self.check_finite else []
        with tf.control_dependencies(checks), reductions_without_gradient():
            for part, part_grads, part_variables in zip(
                self.optimizers, split_grads, split_variables, strict=True
            ):
                if any(g is not None for g in part_grads):
                    part.apply(part_grads, part_variables)
            count_step(self)

    def _check_names(self, grads, variables):
        """Refuses tables, found by their sparse gradients, that none of `embedding_names` fits."""
        if any(self.is_embedding(variable) for variable in variables):
            return
        sparse = [
            v.name for g, v in zip(grads, variables, strict=True) if isinstance(g, tf.IndexedSlices)
        ]
        if sparse:
            raise ValueError(
                f"{self.name}: no variable has a name that begins with {self.embedding_names}, but "
                f"there are sparse gradients, as tables have, for {sparse}. Pass embedding_names "
                "with the beginning of the names of the embedding tables."
            )

    def finalize_variable_values(self, var_list):
        var_list = list(var_list)
        for part, variables in zip(self.optimizers, self._split(var_list, var_list), strict=True):
            part.finalize_variable_values(variables)

    def set_weights(self, weights):
        check_state(self, self.variables, weights)
        for variable, weight in zip(self.variables, weights, strict=True):
            variable.assign(weight)

    def save_own_variables(self, store):
        # Keras saves the parts by itself, as attributes.
        save_state(own_variables(self), {}, store)

    def load_own_variables(self, store):
        load_state(self, own_variables(self), {}, store)

    def get_config(self):
        return {
            "embedding_optimizer": keras.saving.serialize_keras_object(self.embedding_optimizer),
            "dense_optimizer": keras.saving.serialize_keras_object(self.dense_optimizer),
            "embedding_names": list(self.embedding_names),
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        for role in ("embedding_optimizer", "dense_optimizer"):
            # The scale is the composite's, which hands it to its parts.
            part = keras.saving.deserialize_keras_object(config[role], custom_objects)
            part.loss_scale_factor = None
            config[role] = part
        return cls(**config)
