"""Requests that a server replays when it loads a model, so that the first user need not wait."""

import pathlib

import tensorflow as tf

from tfrec_models.serving._protos import prediction_log_pb2

PATH = pathlib.Path("assets.extra", "tf_serving_warmup_requests")


def write_warmup_requests(version_path, requests):
    """Writes `PredictRequest`s where TensorFlow Serving looks for them.

    Args:
        version_path: path of one version of a model.
        requests: list of `PredictRequest`, at most 1,000.
    """
    path = pathlib.Path(version_path, PATH)
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in requests:
            log = prediction_log_pb2.PredictionLog()
            log.predict_log.request.CopyFrom(request)
            writer.write(log.SerializeToString())
