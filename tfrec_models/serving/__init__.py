"""Exports rankers for TensorFlow Serving, and writes the requests to them."""

from tfrec_models.serving import keras_export  # noqa: F401, models call it by the package
from tfrec_models.serving.apply_delta import apply_delta
from tfrec_models.serving.export import export
from tfrec_models.serving.export_delta import export_delta
from tfrec_models.serving.metadata import Metadata
from tfrec_models.serving.requests import RequestWriter

__all__ = ["Metadata", "RequestWriter", "apply_delta", "export", "export_delta"]
