"""Private parts of Keras, each behind an accessor with a name of our own.

Nothing else in the package reads a private attribute of Keras or overrides a private method.
Tested on Keras 3.12 to 3.15; importing the package under another version warns.
"""

import warnings

import keras
import tensorflow as tf
from keras.src import backend, tree
from keras.src.trainers.data_adapters.data_adapter import DataAdapter

OLDEST, NEWEST = (3, 12), (3, 15)


def check_version(version=keras.__version__):
    """Warns where Keras is none of the versions these accessors were tested on."""
    if not OLDEST <= tuple(int(part) for part in version.split(".")[:2]) <= NEWEST:
        warnings.warn(
            f"tfrec_models was tested on Keras {'.'.join(map(str, OLDEST))} to "
            f"{'.'.join(map(str, NEWEST))}, received {version}. Training under a tf.distribute "
            "strategy relies on private parts of Keras that may have changed.",
            stacklevel=2,
        )


def register_tree_node(cls):
    """Lets Keras flatten instances of `cls` (which has tree_flatten and tree_unflatten)."""
    tree.register_tree_node_class(cls)
    return cls


def map_structure(function, structure):
    """`keras.tree.map_structure`, which passes None on."""
    return tree.map_structure(function, structure)


def all_layers(model):
    """Returns the model and all layers below it; Keras's public `layers` has one level."""
    return list(model._flatten_layers())


def is_made_in(model, strategy):
    """Whether a model was made in the scope of `strategy`; Keras's own property assumes it."""
    return model._distribute_strategy is strategy


def strategy_of_optimizer(optimizer):
    """The strategy in whose scope an optimizer was made; TensorFlow's default one outside."""
    return optimizer._distribution_strategy


def forget_validation_data(model):
    """Drops the iterator that Keras keeps from one validation to the next."""
    model._eval_epoch_iterator = None


def track_loss(model, loss, num_examples):
    """Adds the loss of one batch to the mean that a model logs."""
    model._loss_tracker.update_state(loss, sample_weight=num_examples)


def build_for_training(model, batch):
    """Makes all variables of a compiled model, of its metrics and of its optimizer."""
    model._maybe_symbolic_build(data_batch=batch)


def count_atomically(optimizers):
    """Lets workers count steps at the same moment; Keras reads, adds and writes."""
    for optimizer in optimizers:
        optimizer._iterations.assign_add = optimizer._iterations.value.assign_add


def count_step(optimizer):
    """Adds one to an optimizer's number of steps, which Keras gives no public way to write."""
    optimizer._iterations.assign_add(1)


def own_variables(optimizer):
    """The variables of an optimizer without those of optimizers inside it."""
    return optimizer._variables


def built_variables(optimizer):
    """The model variables an optimizer was built with."""
    return optimizer._trainable_variables


def knows_variable(optimizer, variable):
    """Whether a model variable is one of those an optimizer was built with."""
    return optimizer._var_key(variable) in optimizer._trainable_variables_indices


def stored_dataset(store, key):
    """What a weights file has under `key`, not read yet: an `h5py.Dataset`.

    Keras gives no public way to its shape and its attributes, and reads it whole.

    Args:
        store: what Keras hands to `save_own_variables` and `load_own_variables`.
        key: str, one that is in the store.

    Returns:
        The dataset; where the store is no HDF5 file, or has the key in another one, the array.
    """
    group = getattr(store, "_h5_entry_group", {})
    return group[key] if key in group else store[key]


def _spec_of_batches(dataset):
    """The spec of a dataset's batches; None where it is not known before they are read."""
    try:
        return getattr(dataset, "element_spec", None)
    except NotImplementedError:
        # Of data that is made for each epoch, such as that of `distribute.fit`.
        return None


def _for_any_batch_size(predict_function):
    """A predict function whose first trace is of every batch size.

    Keras hands batches to it, where it hands `fit` an iterator that says which sizes are open, so
    that a smaller last batch would have it traced a second time.
    """

    def predict(data):
        if not predict_function.experimental_get_tracing_count():
            predict_function.get_concrete_function(tf.nest.map_structure(_of_any_size, data))
        return predict_function(data)

    return predict


def _of_any_size(value):
    """The spec of a batch of any size like this one; what has no batch axis as it is."""
    if isinstance(value, tf.Tensor) and value.shape.rank:
        return tf.TensorSpec([None, *value.shape[1:]], value.dtype)
    if isinstance(value, tf.RaggedTensor):
        shape = [None, *value.shape[1:]]
        ragged_rank, splits = value.ragged_rank, value.row_splits.dtype
        return tf.RaggedTensorSpec(shape, value.dtype, ragged_rank, splits)
    return value


class TrainerHooks:
    """Mixed in before `keras.Model`; gives two steps of Keras's trainer names of our own.

    A subclass gives `build_before_trace(specs)`, `build_under_strategy(strategy, batch)` and
    `wrap_step(step_function)`.
    """

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        strategy = self._distribute_strategy
        if strategy is None:
            # Keras makes the variables in the first trace of a step, and TensorFlow has to trace a
            # step that made variables a second time.
            if iterator is not None:
                data_batch = _spec_of_batches(iterator._distributed_dataset)
            self.build_before_trace(data_batch)
            return
        if iterator is not None:
            for _, _, batches in iterator:
                data_batch = next(batches)
                break
        self.build_under_strategy(strategy, data_batch)
        self._post_build()

    def _make_function(self, step_function):
        return super()._make_function(self.wrap_step(step_function))

    def make_predict_function(self, force=False):
        is_new = force or self.predict_function is None
        # Keras builds nothing before it.
        if self._distribute_strategy is None and not self.built:
            self.build()
        super().make_predict_function(force)
        if is_new and self._distribute_strategy is None and not self.run_eagerly:
            self.predict_function = _for_any_batch_size(self.predict_function)
        return self.predict_function

    def build_metrics(self, x, y):
        """Makes the compiled metrics for specs or arrays of inputs and labels."""
        metrics = self._compile_metrics
        if metrics is not None and not metrics.built:
            metrics.build(tree.map_structure(_as_keras_tensor, y), self.compute_output_spec(x))

    def build_compiled(self, x, y, sample_weight):
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


class OptimizerHooks:
    """Mixed in before a Keras optimizer; gives its private parts names of our own.

    A subclass may override `apply_one_by_one` and `clip_gradients`.
    """

    @property
    def distribution_strategy(self):
        """The strategy in whose scope the optimizer was made."""
        return self._distribution_strategy

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

    def apply_one_by_one(self, grads, variables, learning_rate):
        """Whether this optimizer applies gradients itself; if so, it has done so."""
        return False

    def clip_gradients(self, grads):
        """Clips as Keras does."""
        return super()._clip_gradients(grads)

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        if not self.apply_one_by_one(grads, trainable_variables, learning_rate):
            super()._backend_update_step(grads, trainable_variables, learning_rate)

    def _clip_gradients(self, grads):
        return self.clip_gradients(grads)

    def variable_index(self, variable):
        return self._get_variable_index(variable)

    def has_weight_decay(self, variable):
        return self.weight_decay is not None and self._use_weight_decay(variable)

    def _apply_weight_decay(self, variables):
        """Left to `update_step`, which knows the rows."""

    def _update_model_variables_moving_average(self, trainable_variables):
        """Left to `update_step`, which knows the rows and their weights before the step."""


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


check_version()
