"""Refuses another Keras backend than TensorFlow, before anything of Keras is used."""

import os


def check_backend():
    """Imports Keras on TensorFlow.

    Raises:
        ImportError: if Keras is set to another backend.
    """
    try:
        import keras

        backend = keras.backend.backend()
    except ImportError as error:
        # Keras fails in the middle of its import where the backend it is set to is not installed.
        backend = os.environ.get("KERAS_BACKEND", "tensorflow")
        if backend == "tensorflow":
            raise
        raise ImportError(_message(backend)) from error
    if backend != "tensorflow":
        raise ImportError(_message(backend))


def _message(backend):
    return (
        f"tfrec_models runs on Keras's TensorFlow backend, received the backend {backend!r}; set "
        "KERAS_BACKEND=tensorflow before Keras is imported."
    )
