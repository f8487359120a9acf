"""Refuses Keras's and TensorFlow's exports of models that have one of their own."""


class OwnExport:
    """Mixin of models that have an export of their own, which Keras's and TensorFlow's point to."""

    def export(self, *args, **kwargs):
        """Refuses: Keras's export takes no ragged inputs.

        Raises:
            NotImplementedError: always, with what to call instead.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has ragged inputs, which Keras's export and ExportArchive have "
            "no form for. Use tfrec_models.serving.export(model, directory), whose signatures "
            "TensorFlow Serving takes. Of a model that contains a ranking model, export the one "
            "inside."
        )

    def _trackable_children(self, save_type="checkpoint", **keywords):
        # `tf.saved_model.save` asks, on its own behalf or on ExportArchive's.
        if save_type == "savedmodel":
            self.export()
        return super()._trackable_children(save_type, **keywords)
