"""The private parts of Keras's `Optimizer` that the optimizers here build on, all in one place.

Tested on Keras 3.12.4 and 3.15.1.
"""

import keras

from tfrec_models.sparse.merged_rows import MergedRows


def native(variable):
    """The `tf.Variable` of a `keras.Variable`."""
    return variable.value if isinstance(variable, keras.Variable) else variable


class OptimizerHooks:
    """Mixed in before a Keras optimizer; gives its private parts names of our own."""

    def index_variables(self, variables):
        """Keras's own build alone: no slots of the parent rule, and no averages.

        Both would have the table's type, and Keras's averages are read by callbacks that take them
        to be up to date in every row.
        """
        use_ema, self.use_ema = self.use_ema, False
        try:
            keras.optimizers.Optimizer.build(self, variables)
        finally:
            self.use_ema = use_ema

    def create_slot(self, variable, name, shape, initializer, dtype):
        """Creates an optimizer variable on the devices of the model variable it belongs to."""
        stem = getattr(variable, "path", variable.name).replace("/", "_").replace(":", "_")
        with self._distribution_strategy.extended.colocate_vars_with(native(variable)):
            return self.add_variable(
                shape=shape, initializer=initializer, dtype=dtype, name=f"{stem}_{name}"
            )

    def variable_index(self, variable):
        return self._get_variable_index(variable)

    def is_known(self, variable):
        return self._var_key(variable) in self._trainable_variables_indices

    def has_weight_decay(self, variable):
        return self.weight_decay is not None and self._use_weight_decay(variable)

    def on_each_replica(self, function, variable, *arguments):
        """Calls `function(variable, *arguments)` with the copies that live on each device."""
        self._distribution_strategy.extended.update(
            native(variable), function, args=arguments, group=False
        )

    def _clip_gradients(self, grads):
        # A table's rows without a gradient add nothing to a norm, so clipping the values of
        # distinct rows is clipping the whole gradient. (Keras would make it dense for
        # `global_clipnorm`, and clip repeated rows one by one.)
        if not (self.clipnorm or self.clipvalue or self.global_clipnorm):
            return grads
        clipped = super()._clip_gradients([getattr(g, "values", g) for g in grads])
        return [
            MergedRows(values, g.indices, g.dense_shape) if isinstance(g, MergedRows) else values
            for g, values in zip(grads, clipped, strict=True)
        ]

    def _apply_weight_decay(self, variables):
        """Left to `update_step`, which knows the rows."""

    def _update_model_variables_moving_average(self, trainable_variables):
        """Left to `update_step`, which knows the rows and their weights before the step."""
