"""`fit`, `evaluate` and `predict` of KeyedJaggedTensors that are in no tf.data.Dataset."""

import functools
import inspect
import types
from collections.abc import Mapping

import keras

from tfrec_models._schema_check import check_schema
from tfrec_models.sparse import KeyedJaggedTensor
from tfrec_models.sparse.check_form import check_form


class KeyedJaggedData:
    """Mixin of models that take a KeyedJaggedTensor wherever Keras takes arrays.

    Keras would take one for a dense tensor. It slices, shuffles and batches RaggedTensors, so it
    is given the same input as a packed one, `(B, F, None)`.

    A subclass has `sparse_feature_names`.
    """

    @functools.wraps(keras.Model.fit)
    def fit(self, *args, **kwargs):
        return self._with_packed_data(keras.Model.fit, args, kwargs)

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, *args, **kwargs):
        return self._with_packed_data(keras.Model.evaluate, args, kwargs)

    @functools.wraps(keras.Model.predict)
    def predict(self, *args, **kwargs):
        return self._with_packed_data(keras.Model.predict, args, kwargs)

    def _with_packed_data(self, method, args, kwargs):
        call = inspect.signature(method).bind(self, *args, **kwargs)
        for argument in ("x", "validation_data"):
            if argument in call.arguments:
                check_schema(self, call.arguments[argument])
                call.arguments[argument] = packed_data(
                    call.arguments[argument], self.sparse_feature_names
                )
        return getattr(super(), method.__name__)(*call.args[1:], **call.kwargs)


def packed_data(data, names):
    """Returns what `fit` takes with each KeyedJaggedTensor packed in the order of `names`."""
    if isinstance(data, types.GeneratorType):
        return (packed_batch(batch, names) for batch in data)
    if isinstance(data, keras.utils.PyDataset):
        return PackedDataset(data, names)
    return packed_batch(data, names)


def packed_batch(batch, names):
    """Returns a batch, or `x` alone, with each KeyedJaggedTensor packed in the order of `names`."""
    if isinstance(batch, KeyedJaggedTensor):
        raise ValueError(
            "A ranking model takes a dict with 'dense_features' and 'sparse_features', received a "
            "KeyedJaggedTensor outside of one; give it as 'sparse_features' of such a dict."
        )
    if isinstance(batch, (tuple, list)):
        parts = [packed_batch(part, names) for part in batch]
        return parts if isinstance(batch, list) else tuple(parts)
    if isinstance(batch, Mapping):
        return {key: _taken_by_keras(key, value, names) for key, value in batch.items()}
    return batch


def _taken_by_keras(key, value, names):
    if isinstance(value, KeyedJaggedTensor):
        return _packed(value, names)
    if key == "sparse_features":
        check_form(value)
    return value


class PackedDataset(keras.utils.PyDataset):
    """The batches of another PyDataset, each KeyedJaggedTensor packed.

    Args:
        dataset: `keras.utils.PyDataset`.
        names: list of str, the order of the features.
    """

    def __init__(self, dataset, names):
        super().__init__(dataset.workers, dataset.use_multiprocessing, dataset.max_queue_size)
        self._dataset, self._names = dataset, names

    def __getitem__(self, index):
        return packed_batch(self._dataset[index], self._names)

    @property
    def num_batches(self):
        return self._dataset.num_batches

    def on_epoch_begin(self):
        self._dataset.on_epoch_begin()

    def on_epoch_end(self):
        self._dataset.on_epoch_end()


def _packed(kjt, names):
    missing = [name for name in names if name not in kjt.feature_names]
    if missing:
        raise ValueError(
            f"sparse_features must have {missing}, received a KeyedJaggedTensor with keys "
            f"{kjt.keys()}. Add them to it, or take them out of the feature_names of their tables."
        )
    if names != kjt.keys():
        kjt = kjt.permute([kjt.feature_names.index(name) for name in names])
    ids, weights = kjt.to_packed(), kjt.to_packed_weights()
    return ids if weights is None else (ids, weights)
