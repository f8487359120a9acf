"""Configs with layers, tables and other objects inside."""

import keras


class DeserializesChildren:
    """Mixin of layers and models whose constructor takes objects that Keras serializes.

    `get_config` holds what `keras.saving.serialize_keras_object` gives for each, by itself or in a
    list; `from_config` makes them again.
    """

    @classmethod
    def from_config(cls, config):
        return cls(**{name: _deserialized(value) for name, value in config.items()})


def _deserialized(value):
    if isinstance(value, list) and value and all(_is_object(item) for item in value):
        return [keras.saving.deserialize_keras_object(item) for item in value]
    return keras.saving.deserialize_keras_object(value) if _is_object(value) else value


def _is_object(value):
    return isinstance(value, dict) and "class_name" in value
