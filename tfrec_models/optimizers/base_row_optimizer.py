"""What the optimizers here share: one exact update for the rows a step touches."""

import functools

import keras
import tensorflow as tf

from tfrec_models._compat.keras import OptimizerHooks, built_variables
from tfrec_models._compat.tensorflow import reductions_without_gradient
from tfrec_models._rows.row_access import read_rows, write_rows
from tfrec_models._rows.sharding import (
    created_beside,
    is_sharded,
    new_locks,
    on_servers,
    shards,
    split_rows,
    update_locked,
)
from tfrec_models._rows.sum_repeated_rows import sum_repeated_rows
from tfrec_models._rows.variables import made_once, tf_variable
from tfrec_models.optimizers import _checks
from tfrec_models.optimizers._moving_average import replace_by_average, update_average
from tfrec_models.optimizers._native_update import update_natively
from tfrec_models.optimizers._reused_rows import ReusedRows
from tfrec_models.optimizers._state import load_state, save_state, slot_stacks


def working_dtype(variable):
    """The type of a variable's slots and arithmetic: at least float32."""
    dtype = keras.backend.standardize_dtype(variable.dtype)
    return "float32" if dtype in ("bfloat16", "float16") else dtype


class RowOptimizer(OptimizerHooks):
    """Mixed in before a Keras optimizer: the same rule for whole variables and for rows.

    A dense gradient updates every element of its variable. A sparse one (`tf.IndexedSlices`)
    updates the rows it names, each once, with the sum of all its occurrences; nothing the size of
    the table is read, made or written. Subclasses say which slots they keep (`slot_initializers`,
    and `slot_shape` if it is not the variable's) and give the formula (`rule`).

    Slots, and all arithmetic, are float32 for bfloat16 and float16 variables.
    """

    # The `rule` that `native_rule` was written for.
    native_formula = None

    def __init_subclass__(cls, **keywords):
        super().__init_subclass__(**keywords)
        if "native_rule" in vars(cls):
            cls.native_formula = cls.rule

    def __init__(self, *, check_finite, l2=0.0, **keywords):
        _checks.check_keywords(type(self), keywords)
        _checks.check_not_negative("l2", l2)
        super().__init__(**keywords)
        self.check_finite = check_finite
        self.l2 = l2
        self.slot_stacks = {}

    def slot_initializers(self):
        """Name to initializer of each slot, in the order `rule` receives them."""
        raise NotImplementedError

    def slot_shape(self, variable):
        return variable.shape

    def rule(self, weights, gradient, slots, learning_rate):
        """The formula, for some rows of a variable or for the whole of it.

        Args:
            weights: Tensor (n, ...).
            gradient: Tensor of the same shape and type.
            slots: List of tensors, the same rows of each slot.
            learning_rate: Scalar tensor of the same type.

        Returns:
            The new weights and the list of new slots.
        """
        raise NotImplementedError

    def native_rule(self, learning_rate):
        """What the native kernel for `rule` takes, or None where there is none.

        Returns:
            The kernel's name of the rule, its constants and the learning rate it is given.
        """
        return None

    def build(self, variables):
        if self.built:
            return
        variables = list(variables)
        _checks.check_variables(self, variables)
        _checks.warn_of_regularizers(variables)
        self.index_variables(variables)
        initializers = self.slot_initializers()
        self._slots = [
            [
                self.create_slot(v, name, self.slot_shape(v), initializer, working_dtype(v))
                for name, initializer in initializers.items()
            ]
            for v in variables
        ]
        self._averages = self.create_averages(variables) if self.use_ema else None
        self.slot_stacks = slot_stacks(variables, self._slots, self._averages)
        self._reused_rows = ReusedRows(variables)
        self._locks = (
            [new_locks(tf_variable(v)) for v in variables] if self.updates_on_servers else None
        )

    def create_slot(self, variable, name, shape, initializer, dtype):
        """Creates an optimizer variable on the devices of the model variable it belongs to."""
        stem = getattr(variable, "path", variable.name).replace("/", "_").replace(":", "_")
        value = tf_variable(variable)
        if is_sharded(value):
            place = created_beside(value, keras.initializers.get(initializer), shape, dtype)
        else:
            place = self.distribution_strategy.extended.colocate_vars_with(value)
        with made_once(), place:
            return self.add_variable(
                shape=shape, initializer=initializer, dtype=dtype, name=f"{stem}_{name}"
            )

    @property
    def updates_on_servers(self):
        """Whether the variables live on parameter servers, where several workers update them."""
        return on_servers(self.distribution_strategy)

    def slots_of(self, variable):
        """Returns a dict from name to the slot of a variable the optimizer was built with."""
        slots = self._slots[self.variable_index(variable)]
        return dict(zip(self.slot_initializers(), slots, strict=True))

    def state_of(self, variable):
        """The `tf.Variable`s of a variable's slots, and those of `create_averages`, if any."""
        index = self.variable_index(variable)
        averages = self._averages[index] if self.use_ema else []
        return [slot.value for slot in self._slots[index]], [part.value for part in averages]

    def create_averages(self, variables):
        """For each variable the average of its weights, and the step each row of it stands at."""
        return [
            (
                self.create_slot(v, "average", v.shape, "zeros", working_dtype(v)),
                self.create_slot(v, "average_step", v.shape[:1], "zeros", "int64"),
            )
            for v in variables
        ]

    def apply(self, grads, trainable_variables=None):
        grads = list(grads)
        if not grads:
            return
        if trainable_variables is None:
            trainable_variables = built_variables(self)
        variables = list(trainable_variables)
        _checks.check_count(self, grads, variables)
        self.build(variables)
        _checks.check_gradients(self, grads, variables)
        _checks.check_constraints(self, grads, variables)
        if self.clipnorm or self.clipvalue or self.global_clipnorm or self.loss_scale_factor:
            # Clipping needs the sums over repeated rows; unscaling needs UniqueRows's division.
            grads = [
                sum_repeated_rows(g, v.shape[0], working_dtype(v))
                if isinstance(g, tf.IndexedSlices)
                else g
                for g, v in zip(grads, variables, strict=True)
            ]
        checks = _checks.finite_checks(self, grads, variables) if self.check_finite else []
        with tf.control_dependencies(checks), reductions_without_gradient():
            super().apply(grads, variables)

    def apply_one_by_one(self, grads, variables, learning_rate):
        if not self.updates_on_servers:
            return False
        # Each worker applies its own gradients; TensorFlow's `update` knows no variable in pieces.
        for gradient, variable in zip(grads, variables, strict=True):
            self.update_step(gradient, tf_variable(variable), learning_rate)
        return True

    def clip_gradients(self, grads):
        # A table's rows without a gradient add nothing to a norm, so clipping the values of
        # distinct rows is clipping the whole gradient. (Keras would make it dense for
        # `global_clipnorm`, and clip repeated rows one by one.)
        if not (self.clipnorm or self.clipvalue or self.global_clipnorm):
            return grads
        clipped = super().clip_gradients([getattr(g, "values", g) for g in grads])
        return [
            type(g)(values, g.indices, g.dense_shape) if isinstance(g, tf.IndexedSlices) else values
            for g, values in zip(grads, clipped, strict=True)
        ]

    def update_step(self, gradient, variable, learning_rate):
        if isinstance(gradient, tf.IndexedSlices):
            self.update_sparse(gradient, variable, learning_rate)
        else:
            gradient = tf.cast(gradient, working_dtype(variable))
            self.update_rows(None, gradient, variable, learning_rate)

    def update_sparse(self, gradient, variable, learning_rate):
        """Applies a sparse gradient with repeats: the one place that sums them, then updates."""
        if update_natively(self, gradient, variable, learning_rate):
            return
        summed = sum_repeated_rows(gradient, variable.shape[0], working_dtype(variable))
        self.reset_reused(variable, summed.indices)
        self.update_rows(summed.indices, summed.values, variable, learning_rate)

    def reset_reused(self, variable, rows):
        """Lets rows of managed ids that belong to a new id start without the state of the old."""
        index = self.variable_index(variable)
        if not self._reused_rows.are_in(index):
            return
        slots = [
            (slot.value, keras.initializers.get(initializer)((), slot.dtype))
            for slot, initializer in zip(
                self._slots[index], self.slot_initializers().values(), strict=True
            )
        ]
        if self.use_ema:
            slots += [(slot.value, tf.zeros((), slot.dtype)) for slot in self._averages[index]]
        self._reused_rows.reset(index, slots, rows)

    def update_rows(self, rows, gradient, variable, learning_rate):
        """Updates distinct rows of a variable.

        Args:
            rows: Integer tensor (n,) of distinct rows, or None for the whole variable.
            gradient: Tensor (n, ...) in the working type, the summed gradient of each row.
            variable: `tf.Variable`.
            learning_rate: Scalar.
        """
        index = self.variable_index(variable)
        slots, averages = self.state_of(variable)
        weight_decay = self.weight_decay if self.has_weight_decay(variable) else None
        if not self.updates_on_servers:
            self._update_piece(
                [variable, *slots], averages, weight_decay, rows, gradient, learning_rate
            )
            return
        parts = split_rows(variable, rows, gradient)
        pieces = zip(*(shards(v) for v in [variable, *slots]), strict=True)
        for piece, lock, part in zip(pieces, self._locks[index], parts, strict=True):
            update = functools.partial(self._update_piece, piece, averages, weight_decay)
            update_locked(piece[0], lock, update, *part, learning_rate)

    def _update_piece(self, piece, averages, weight_decay, rows, gradient, learning_rate):
        """Updates rows of a variable that is whole, or of one of its pieces.

        Args:
            piece: list of `tf.Variable`, the variable and its slots.
            averages: list of the two `tf.Variable` of `create_averages`, empty without averages.
            weight_decay: float, or None.
            rows, gradient, learning_rate: as for `update_rows`.

        Returns:
            The operations that write.
        """
        variable, *slots = piece
        dtype = gradient.dtype
        learning_rate = tf.cast(learning_rate, dtype)
        weights = old = read_rows(variable, rows, dtype)
        if weight_decay is not None:
            weights -= weights * tf.cast(weight_decay, dtype) * learning_rate
        if self.l2:
            gradient += old * tf.cast(self.l2, dtype)
        new, new_slots = self.rule(
            weights, gradient, [read_rows(s, rows, dtype) for s in slots], learning_rate
        )
        written = [
            write_rows(target, rows, value)
            for target, value in zip(piece, [new, *new_slots], strict=True)
        ]
        if averages:
            average, stamp = averages
            update_average(average, stamp, rows, old, new, self.iterations + 1, self.ema_momentum)
        return written

    def finalize_variable_values(self, var_list):
        if not self.use_ema:
            return
        for variable in var_list:
            average, stamp = (s.value for s in self._averages[self.variable_index(variable)])
            self.distribution_strategy.extended.update(
                tf_variable(variable),
                replace_by_average,
                args=(average, stamp, self.iterations.value, self.ema_momentum),
                group=False,
            )

    def set_weights(self, weights):
        _checks.check_state(self, self.variables, weights)
        super().set_weights(weights)

    def save_own_variables(self, store):
        save_state(self.variables, self.slot_stacks, store)

    def load_own_variables(self, store):
        load_state(self, self.variables, self.slot_stacks, store)

    def get_config(self):
        config = {**super().get_config(), "check_finite": self.check_finite}
        # Without it, versions that do not know of `l2` read the file.
        return {**config, "l2": self.l2} if self.l2 else config
