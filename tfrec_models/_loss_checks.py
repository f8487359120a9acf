"""Whether losses and metrics take what a model gives: logits, or probabilities."""

import warnings
from collections.abc import Mapping

import keras

# What Keras makes of these names and classes reads probabilities unless set otherwise. "accuracy"
# becomes `BinaryAccuracy` or `BinaryCrossentropy`, "crossentropy" likewise.
_LOSSES = {
    "binary_crossentropy": "BinaryCrossentropy",
    "bce": "BinaryCrossentropy",
    "BinaryCrossentropy": "BinaryCrossentropy",
    "binary_focal_crossentropy": "BinaryFocalCrossentropy",
    "BinaryFocalCrossentropy": "BinaryFocalCrossentropy",
}
_LOGIT_METRICS = {
    "auc": "keras.metrics.AUC(from_logits=True)",
    "binary_crossentropy": "keras.metrics.BinaryCrossentropy(from_logits=True)",
    "bce": "keras.metrics.BinaryCrossentropy(from_logits=True)",
    "crossentropy": "keras.metrics.BinaryCrossentropy(from_logits=True)",
    "accuracy": "keras.metrics.BinaryAccuracy(threshold=0.0)",
    "acc": "keras.metrics.BinaryAccuracy(threshold=0.0)",
    "binary_accuracy": "keras.metrics.BinaryAccuracy(threshold=0.0)",
    "precision": "keras.metrics.Precision(thresholds=0.0)",
    "recall": "keras.metrics.Recall(thresholds=0.0)",
}
# The argument of a class whose default is a probability of one half.
_THRESHOLDED = {
    keras.metrics.BinaryAccuracy: "threshold",
    keras.metrics.BinaryIoU: "threshold",
    keras.metrics.Precision: "thresholds",
    keras.metrics.Recall: "thresholds",
    keras.metrics.TruePositives: "thresholds",
    keras.metrics.TrueNegatives: "thresholds",
    keras.metrics.FalsePositives: "thresholds",
    keras.metrics.FalseNegatives: "thresholds",
}
# Their thresholds lie between 0 and 1, whatever they are given.
_PROBABILITIES_ALONE = (
    keras.metrics.FBetaScore,
    keras.metrics.PrecisionAtRecall,
    keras.metrics.RecallAtPrecision,
    keras.metrics.SensitivityAtSpecificity,
    keras.metrics.SpecificityAtSensitivity,
)


def warn_if_taken_for_other(model, args, kwargs):
    """Warns once, of all losses and metrics that read the model's output as what it is not.

    Args:
        model: model with `gives_logits`.
        args, kwargs: those of `compile` after the optimizer.
    """
    names = ("loss", "loss_weights", "metrics", "weighted_metrics")
    told = {**dict(zip(names, args, strict=False)), **kwargs}
    loss, metrics = told.get("loss"), [told.get("metrics"), told.get("weighted_metrics")]
    advice = [_loss_advice(part, model.gives_logits) for part in _parts(loss)]
    advice += [_metric_advice(part, model.gives_logits) for part in _parts(metrics)]
    advice = [line for line in dict.fromkeys(advice) if line]
    if not advice:
        return
    gives, takes = ("logits", "probabilities")[:: 1 if model.gives_logits else -1]
    warnings.warn(
        f"{type(model).__name__} gives {gives}, received losses or metrics that take {takes}: "
        f"{'; '.join(advice)}.",
        stacklevel=4,
    )


def _parts(structure):
    if isinstance(structure, Mapping):
        structure = list(structure.values())
    if isinstance(structure, (list, tuple)):
        return [part for item in structure for part in _parts(item)]
    return [] if structure is None else [structure]


def _name(part):
    """The name of a string, or of one of Keras's functions; None of others."""
    if isinstance(part, str):
        return part
    known = (keras.losses.binary_crossentropy, keras.losses.binary_focal_crossentropy)
    return part.__name__ if part in known else None


def _loss_advice(loss, gives_logits):
    kind = type(loss)
    if isinstance(takes_logits := getattr(loss, "from_logits", None), bool):
        name = kind.__name__
    else:
        name, takes_logits = _LOSSES.get(_name(loss)), False
    if name is None or takes_logits == gives_logits:
        return None
    told = "from_logits=True" if gives_logits else ""
    known = getattr(keras.losses, name, None) is not None
    return f"for loss {_shown(loss)} write {'keras.losses.' if known else ''}{name}({told})"


def _metric_advice(metric, gives_logits):
    name = _name(metric)
    if name is not None:
        wanted = _LOGIT_METRICS.get(_snake(name)) if gives_logits else None
        return wanted and f"for metric {_shown(metric)} write {wanted}"
    kind, metrics = type(metric), keras.metrics
    if isinstance(metric, _PROBABILITIES_ALONE) and gives_logits:
        return f"leave out metric {_shown(metric)}, which has no form for logits"
    if isinstance(metric, metrics.AUC) or kind is metrics.BinaryCrossentropy:
        if bool(metric.get_config().get("from_logits")) == gives_logits:
            return None
        told = "from_logits=True" if gives_logits else ""
        place = "keras.metrics." if getattr(metrics, kind.__name__, None) is kind else ""
        return f"for metric {_shown(metric)} write {place}{kind.__name__}({told})"
    if isinstance(takes_logits := getattr(metric, "from_logits", None), bool):
        # Those of this package, and those of users that say so.
        if takes_logits == gives_logits:
            return None
        told = "from_logits=True" if gives_logits else ""
        return f"for metric {_shown(metric)} write {kind.__name__}({told})"
    if kind in _THRESHOLDED and not gives_logits:
        config = metric.get_config()
        # Half of the logits, but all probabilities, are above it.
        if config.get("threshold", config.get("thresholds")) in (0.0, [0.0]):
            return f"for metric {_shown(metric)} write keras.metrics.{kind.__name__}()"
    if kind in _THRESHOLDED and gives_logits:
        config, argument = metric.get_config(), _THRESHOLDED[kind]
        untouched = (None, 0.5, [0.5])
        if config.get(argument) in untouched and config.get("top_k") is None:
            wanted = f"keras.metrics.{kind.__name__}({argument}=0.0)"
            return f"for metric {_shown(metric)} write {wanted}"
    return None


def _snake(name):
    return {"BinaryAccuracy": "binary_accuracy", "BinaryCrossentropy": "binary_crossentropy"}.get(
        name, name.lower()
    )


def _shown(part):
    if isinstance(part, str):
        return repr(part)
    return part.__name__ if callable(part) and hasattr(part, "__name__") else type(part).__name__
