"""`model.export`: Keras's call, our signatures."""

import inspect

from tfrec_models._export_guard import refusal
from tfrec_models.ranking_model import RankingModel
from tfrec_models.serving.artifact import Artifact
from tfrec_models.serving.version_directory import whole_directory

FORMAT = "tf_saved_model"
_OPTIONS = [
    name
    for name, parameter in inspect.signature(Artifact).parameters.items()
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY
]


def export_at(model, filepath, format, verbose, input_signature, options):
    """Writes a SavedModel at `filepath`, with the signatures of `serving.export`.

    Args:
        model, filepath, format, verbose, input_signature: as `keras.Model.export` takes them.
        options: dict, further arguments, of `serving.export`.

    Raises:
        NotImplementedError: if the model is none that `serving.export` takes.
        TypeError: on options that it does not take.
        ValueError: on another format or an input signature.
    """
    if not isinstance(model, RankingModel):
        raise NotImplementedError(refusal(model))
    if format != FORMAT:
        raise ValueError(
            f"format must be {FORMAT!r}, received {format!r}: ragged ids have no form in others. "
            "Leave it out."
        )
    if input_signature is not None:
        raise ValueError(
            f"input_signature must be None, received {input_signature!r}: the signatures of an "
            "export are those that tfrec_models.serving.export lists. Leave it out."
        )
    unknown = [name for name in options if name not in _OPTIONS]
    if unknown:
        raise TypeError(
            f"export takes Keras's arguments and {_OPTIONS}, as tfrec_models.serving.export does, "
            f"received {unknown}. Leave them out; for a numbered version call "
            "tfrec_models.serving.export."
        )
    artifact = Artifact(model, **options)
    with whole_directory(filepath) as pending:
        artifact.write(pending.path)
    # As Keras, which takes None for True.
    if verbose is None or verbose:
        print(f"Saved artifact at {str(filepath)!r}. Its signatures are:")
        for signature in artifact.functions:
            print(f"* {signature}")
