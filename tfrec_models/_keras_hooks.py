"""The few private parts of Keras this package relies on, all in one place.

Tested on Keras 3.12.4, 3.13.2, 3.14.1 and 3.15.1; importing it under a version outside that range
warns.
"""

import contextlib
import sys
import warnings

import keras
import tensorflow as tf
from keras.src import backend, tree
from keras.src.trainers.data_adapters.data_adapter import DataAdapter

from tfrec_models.sharding import created_beside, is_sharded, on_servers

_EXPORTERS = ("keras.src.export.", "tensorflow.python.saved_model.save")
OLDEST, NEWEST = (3, 12), (3, 15)


def check_keras_version(version=keras.__version__):
    """Warns where Keras is none of the versions these hooks were tested on."""
    if not OLDEST <= tuple(int(part) for part in version.split(".")[:2]) <= NEWEST:
        warnings.warn(
            f"tfrec_models was tested on Keras {'.'.join(map(str, OLDEST))} to "
            f"{'.'.join(map(str, NEWEST))}, this is {version}. Training under a tf.distribute "
            "strategy relies on private parts of Keras that may have changed.",
            stacklevel=2,
        )


def register_tree_node(cls):
    """Lets Keras flatten instances of `cls` (which has tree_flatten and tree_unflatten)."""
    tree.register_tree_node_class(cls)
    return cls


def all_layers(model):
    """Returns the model and all layers below it."""
    return list(model._flatten_layers())


def is_made_in(model, strategy):
    """Whether a model was made in the scope of `strategy`; Keras's own property assumes it."""
    return model._distribute_strategy is strategy


def optimizer_parts(optimizer):
    """Returns an optimizer and all those inside it."""
    inside = [*getattr(optimizer, "optimizers", []), getattr(optimizer, "inner_optimizer", None)]
    found = [optimizer]
    for part in inside:
        if part is not None:
            found += optimizer_parts(part)
    return found


def strategy_of_optimizer(optimizer):
    """The strategy in whose scope an optimizer was made; TensorFlow's default one outside."""
    return optimizer._distribution_strategy


def forget_validation_data(model):
    """Lets go of the iterator that Keras keeps from one validation to the next."""
    model._eval_epoch_iterator = None


def made_once():
    """Within it, variables come into being at once, also where a function is being traced.

    Keras builds what was not built yet while it traces the first step. TensorFlow then makes a
    variable as part of that function, and keeps its initial value twice more for good: three times
    the memory of a table. Strategies make variables in their own way, which must see the trace.
    """
    return contextlib.nullcontext() if tf.distribute.has_strategy() else tf.init_scope()


class StrategyTraining:
    """Mixin of models that `fit`, `evaluate` and `predict` ragged batches under a strategy.

    Keras builds metrics and optimizer, before the first step, from a batch it reduces over the
    replicas: that fails for ragged tensors. Here the batch of the first replica serves instead, and
    the model says by itself what its output will be.

    Under MultiWorkerMirroredStrategy Keras also averages the logs over axis 0, which a scalar does
    not have (keras#20585).
    """

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        strategy = self._distribute_strategy
        if strategy is None:
            return
        if isinstance(strategy, tf.distribute.experimental.CentralStorageStrategy):
            warnings.warn(
                "Under CentralStorageStrategy weights and predictions are right, but the loss and "
                "metrics that Keras shows are not: each replica adds to what the others have "
                "added. Take metrics from predict().",
                stacklevel=4,
            )
        if iterator is not None:
            for _, _, batches in iterator:
                data_batch = next(batches)
                break
        batch = tf.nest.map_structure(
            lambda value: strategy.experimental_local_results(value)[0], data_batch
        )
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        with strategy.scope():
            if not self.built:
                self.build()
            self._build_compiled(x, y, sample_weight)
            if self.optimizer is not None and not self.optimizer.built:
                self.optimizer.build(self.trainable_variables)
            self._post_build()

    def _build_compiled(self, x, y, sample_weight):
        """Creates the variables of compiled metrics and losses."""
        y, sample_weight = (
            tree.map_structure(_as_keras_tensor, part) for part in (y, sample_weight)
        )
        y_pred = self.compute_output_spec(x)
        metrics, loss = self._compile_metrics, self._compile_loss
        if metrics is not None and not metrics.built:
            backend.compute_output_spec(
                self.compute_metrics, None, y, y_pred, sample_weight=sample_weight
            )
        if loss is not None and not loss.built:
            backend.compute_output_spec(
                self._compute_loss, None, y, y_pred, sample_weight=sample_weight, training=False
            )

    def _make_function(self, step_function):
        if not isinstance(self.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return super()._make_function(step_function)

        def step_with_an_axis(data):
            return tree.map_structure(
                lambda log: tf.reshape(log, [1]) if log.shape.rank == 0 else log,
                step_function(data),
            )

        return super()._make_function(step_with_an_axis)


class OwnExport:
    """Mixin of models that have an export of their own, which Keras's and TensorFlow's point to."""

    def export(self, *args, **kwargs):
        """Refuses: Keras's export takes no ragged inputs.

        Raises:
            NotImplementedError: always, with what to call instead.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has ragged inputs, which Keras's export and ExportArchive have "
            "no form for, and parts compiled with XLA, which servers may not run. Use "
            "tfrec_models.serving.export(model, directory), whose signatures TensorFlow Serving "
            "takes. Of a model that contains a ranking model, export the one inside."
        )

    def _trackable_children(self, save_type="checkpoint", **keywords):
        # `tf.saved_model.save` asks, on its own behalf or on ExportArchive's.
        if save_type == "savedmodel":
            self.export()
        return super()._trackable_children(save_type, **keywords)


def is_traced_for_a_save():
    """Whether Keras's export, or TensorFlow's SavedModel, is what traces the caller."""
    frame = None if tf.executing_eagerly() else sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(_EXPORTERS):
            return True
        frame = frame.f_back
    return False


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
        value = native(variable)
        if is_sharded(value):
            place = created_beside(value, keras.initializers.get(initializer), shape, dtype)
        else:
            place = self._distribution_strategy.extended.colocate_vars_with(value)
        with made_once(), place:
            return self.add_variable(
                shape=shape, initializer=initializer, dtype=dtype, name=f"{stem}_{name}"
            )

    @property
    def updates_on_servers(self):
        """Whether the variables live on parameter servers, where several workers update them."""
        return on_servers(self._distribution_strategy)

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        if not self.updates_on_servers:
            super()._backend_update_step(grads, trainable_variables, learning_rate)
            return
        # Each worker applies its own gradients; TensorFlow's `update` knows no variable in pieces.
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            self.update_step(gradient, native(variable), learning_rate)

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
            type(g)(values, g.indices, g.dense_shape) if isinstance(g, tf.IndexedSlices) else values
            for g, values in zip(grads, clipped, strict=True)
        ]

    def _apply_weight_decay(self, variables):
        """Left to `update_step`, which knows the rows."""

    def _update_model_variables_moving_average(self, trainable_variables):
        """Left to `update_step`, which knows the rows and their weights before the step."""


def track_loss(model, loss, num_examples):
    """Adds the loss of one batch to the mean that a model logs."""
    model._loss_tracker.update_state(loss, sample_weight=num_examples)


def build_for_training(model, batch):
    """Makes all variables of a compiled model, of its metrics and of its optimizer."""
    model._maybe_symbolic_build(data_batch=batch)


def count_atomically(optimizer):
    """Lets workers count steps at the same moment; Keras reads, adds and writes."""
    for each in optimizer_parts(optimizer):
        each._iterations.assign_add = each._iterations.value.assign_add


class IterableAdapter(DataAdapter, tf.distribute.DistributedDataset):
    """Lets `fit` ask a Python object for the iterator of each epoch.

    Keras takes a data adapter as it is, and does not distribute again what says it is distributed.
    A subclass gives `__iter__`, which returns an iterator of a `tf.data.Dataset` or of a dataset
    that a strategy distributed, and `num_batches`, None if not known.
    """

    def get_tf_dataset(self):
        return self

    @property
    def batch_size(self):
        return None

    @property
    def has_partial_batch(self):
        return None

    @property
    def partial_batch_size(self):
        return None

    @property
    def element_spec(self):
        raise NotImplementedError("Only its iterators have a spec.")

    def reduce(self, initial_state, reduce_func):
        raise NotImplementedError("Only for `fit`.")


def _as_keras_tensor(value):
    if value is None:
        return None
    return keras.KerasTensor(value.shape, backend.standardize_dtype(value.dtype))


check_keras_version()
