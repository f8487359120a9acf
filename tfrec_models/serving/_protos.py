"""TensorFlow Serving's own messages, from the package that carries them."""

try:
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "tfrec_models.serving writes TensorFlow Serving's own messages and needs the package "
        "tensorflow-serving-api: pip install 'tfrec_models[serving]'."
    ) from error

__all__ = ["predict_pb2", "prediction_log_pb2"]
