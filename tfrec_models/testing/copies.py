"""Copies of a layer by its config, and by a file."""

import os
import pathlib

import keras


def copy_of(layer: keras.Layer) -> keras.Layer:
    """Returns a new layer from the config of `layer`, with its weights.

    Args:
        layer: a built Keras layer whose class is registered.

    Raises:
        ValueError: if the copy has other weights than `layer`.

    Example:

    >>> from tfrec_models.layers import Perceptron
    >>> from tfrec_models.testing import copy_of
    >>> layer = Perceptron(3, 2)
    >>> layer.build()
    >>> copy_of(layer).out_size
    2
    """
    config = keras.saving.serialize_keras_object(layer)
    copy = keras.saving.deserialize_keras_object(config)
    if not copy.built:
        # Keras did so already where `layer` was built for the shapes of its inputs.
        copy.build()
    copy.set_weights(layer.get_weights())
    return copy


def saved_and_loaded(layer: keras.Layer, path: str | os.PathLike) -> keras.Layer:
    """Saves a layer in a `.keras` file, within a model that has nothing else, and loads it.

    Args:
        layer: a built Keras layer whose class is registered.
        path: str or path, the file, which must end in `.keras`.

    Example:

    >>> import tempfile
    >>> from tfrec_models.layers import Perceptron
    >>> from tfrec_models.testing import saved_and_loaded
    >>> layer = Perceptron(3, 2)
    >>> layer.build()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     saved_and_loaded(layer, f"{folder}/layer.keras").out_size
    2
    """
    holder = _Holder(layer)
    holder.build()
    holder.save(pathlib.Path(path))
    return keras.saving.load_model(path, custom_objects={"_Holder": _Holder}).layer


class _Holder(keras.Model):
    """A model around one layer, to save it with."""

    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape=None):
        if not self.layer.built:
            self.layer.build()
        self.built = True

    def call(self, inputs):
        return self.layer(*inputs)

    def get_config(self):
        return {"layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["layer"]))
