"""Keras's `export`, and the refusal of ways to save that have no form for ragged inputs."""

import os
from typing import Any


class OwnExport:
    """Mixin of models that have an export of their own, which TensorFlow's and Keras's point to."""

    def export(
        self,
        filepath: str | os.PathLike,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: None = None,
        **kwargs: Any,
    ) -> None:
        """Writes a SavedModel for servers at `filepath`.

        It has the signatures of `tfrec_models.serving.export`, which writes numbered versions for
        a server that watches a directory.

        Args:
            filepath: str or `pathlib.Path`, the directory; a SavedModel that is there is replaced.
            format: "tf_saved_model".
            verbose: bool, whether to print the path and the signatures; None prints, as in Keras.
            input_signature: None; the signatures are fixed.
            **kwargs: those of `tfrec_models.serving.export` but `version`, such as `table_dtype`.

        Raises:
            NotImplementedError: of a `DLRMTrain`, which takes labels: export its `model`.
            TypeError: on other arguments, such as `is_static`, which Keras has for JAX.
            ValueError: on another format, an input signature, a directory with other files, or as
                `tfrec_models.serving.export`.
        """
        # Exports know the models; a model knows them here alone.
        from tfrec_models import serving

        serving.keras_export.export_at(self, filepath, format, verbose, input_signature, kwargs)

    def _trackable_children(self, save_type="checkpoint", **keywords):
        # `tf.saved_model.save` asks, on its own behalf or on ExportArchive's.
        if save_type == "savedmodel":
            raise NotImplementedError(refusal(self))
        return super()._trackable_children(save_type, **keywords)


def refusal(model):
    """What to call in place of a way to save that cannot write a model."""
    return (
        f"{type(model).__name__} has ragged inputs, which ExportArchive and tf.saved_model.save "
        "have no form for. Use tfrec_models.serving.export(model, directory), whose signatures "
        "TensorFlow Serving takes, or model.export(filepath). Of a model that contains a ranking "
        "model, such as DLRMTrain, export the one inside."
    )
