"""Exports a ranking model as a SavedModel that TensorFlow Serving takes as it is."""

import dataclasses

import keras
import tensorflow as tf

from tfrec_models import execution
from tfrec_models._checks.arguments import check_integer
from tfrec_models.ranking_model import RankingModel
from tfrec_models.serving.accuracy_cost import accuracy_cost
from tfrec_models.serving.metadata import Metadata
from tfrec_models.serving.quantization import TABLE_DTYPES, compact_rows, fill_rows
from tfrec_models.serving.requests import RequestWriter
from tfrec_models.serving.sample import random_sample
from tfrec_models.serving.signatures import Signatures
from tfrec_models.serving.version_directory import new_version
from tfrec_models.serving.warmup import write_warmup_requests


def export(model, directory, *, version=None, table_dtype=None, padding_value=-1, sample=None):
    """Writes `directory/<version>`, a SavedModel with named, flat inputs.

    Three signatures share one computation and one copy of the tables:

    - `serving_default`: `dense_features` `(B, n)` and for each feature `<name>_values` `(N,)`, all
      ids of the batch, and `<name>_lengths` `(B,)`, how many of them each example has; for weighted
      bags also `<name>_weights` `(N,)`.
    - `serving_examples`: `examples` `(B,)`, serialized `tf.Example`s with `dense_features`,
      `<name>` and, for weighted bags, `<name>_weights`. Every feature must be there; an empty bag
      is a feature without values.
    - `serving_rows`: `dense_features` and for each feature `<name>` `(B, L)`, ids padded with
      `padding_value`; for weighted bags also `<name>_weights` `(B, L)`. REST clients write it one
      row an instance.

    All give `logits` and `probabilities`, `(B, num_outputs)` float32, whatever the model returns.
    A feature whose name has other characters than ASCII letters, digits and underscores gets a
    safe one: see `Metadata.names`. `RequestWriter` turns a batch into the request of each.

    The graph has stock ops and no XLA. It refuses, with a message that names the feature, lengths
    that do not fit their values, ids outside a table with the "error" policy, features missing in
    a `tf.Example`, and NaN. The version appears in `directory` whole, by a rename, so a server may
    watch the directory. With it come requests to warm the server up, in
    `assets.extra/tf_serving_warmup_requests`.

    Args:
        model: `RankingModel`, such as a `DLRM`.
        directory: path of the directory of all versions, made if it is not there.
        version: int, or None for the next free number.
        table_dtype: "int8" for 8-bit codes with a scale and a bias for each row, "float16" or
            "bfloat16"; None for the tables as they are. Tables that would not shrink stay as they
            are. `Metadata` says what it costs in accuracy.
        padding_value: int, the id that pads the bags of `serving_rows`. It is left out before
            id policies apply.
        sample: a batch as the model takes it, `{"dense_features": ..., "sparse_features": ...}`,
            for the warm-up requests and to measure what `table_dtype` costs; some hundred real
            examples are best. None draws one at random.

    Returns:
        `pathlib.Path` of the version.

    Raises:
        TypeError: if `model` is no `RankingModel`, or `directory` no path.
        ValueError: if the directory is not local or is a file, if the export refuses `sample`, or
            an argument is not as said above.
        FileExistsError: if the version is there already.

    Example:

    >>> import tempfile
    >>> import tensorflow as tf
    >>> from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig
    >>> from tfrec_models.serving import export
    >>> table = EmbeddingBagConfig(100, 8, "t1", feature_names=["f1"])
    >>> model = DLRM(EmbeddingBagCollection([table]), 2, [8], [4, 1])
    >>> path = export(model, tempfile.mkdtemp())
    >>> path.name
    '1'
    >>> rank = tf.saved_model.load(path).signatures["serving_default"]
    >>> outputs = rank(
    ...     dense_features=tf.constant([[0.5, 1.0], [2.0, 3.0]]),
    ...     f1_values=tf.constant([7, 9], tf.int64),
    ...     f1_lengths=tf.constant([2, 0], tf.int64),
    ... )
    >>> outputs["probabilities"].shape
    TensorShape([2, 1])
    """
    padding_value = _check_arguments(model, table_dtype, padding_value)
    if not model.built:
        model.build()
    is_given = sample is not None
    sample = sample if is_given else random_sample(model, padding_value)
    rows = compact_rows(model, table_dtype)
    with execution.using(execution.Execution(portable=True, rows=rows)):
        signatures = Signatures(model, padding_value)
        functions = signatures.trace()
    # Last, so that tables and dense weights are of the same moment where another thread trains.
    tables = fill_rows(model, rows)
    metadata = Metadata(
        model=type(model).__name__,
        versions={"tensorflow": tf.__version__, "keras": keras.__version__},
        dense_in_features=model.dense_in_features,
        num_outputs=model.num_outputs,
        names=signatures.names,
        is_weighted=signatures.is_weighted,
        padding_value=padding_value,
        tables=tables,
    )
    writer = RequestWriter(metadata)
    if is_given:
        _check_sample(functions["serving_default"], writer.inputs(sample))
    if table_dtype is not None:
        inputs = writer.inputs(sample)
        cost = accuracy_cost(model, functions["serving_default"], sample, inputs)
        metadata = dataclasses.replace(metadata, accuracy_cost=cost)
    requests = [writer.predict_request(sample, signature) for signature in functions]
    with new_version(directory, version) as pending:
        _save(pending.path, functions, signatures.variables)
        metadata.write(pending.path)
        write_warmup_requests(pending.path, requests)
    return pending.version_path


def _check_sample(function, inputs):
    """Asks the export once: a server that cannot answer a warm-up request does not load it."""
    try:
        function(**{name: tf.constant(array) for name, array in inputs.items()})
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(
            "sample has what the export refuses, and as a warm-up request it would keep servers "
            f"from loading the version. Correct it, or leave sample out. {error.message}"
        ) from None


def _save(path, functions, variables):
    """Saves the functions and what they read: no model, no optimizer."""
    module = tf.Module()
    module.variables_read = variables
    tf.saved_model.save(module, str(path), signatures=functions)


def _check_arguments(model, table_dtype, padding_value):
    if not isinstance(model, RankingModel):
        raise TypeError(
            f"model must be a ranking model such as DLRM, received {type(model).__name__}. Of a "
            "model that contains a ranking model, export the one inside."
        )
    # A DType equals its name, but is not what the metadata can hold.
    if table_dtype is not None and (
        not isinstance(table_dtype, str) or table_dtype not in TABLE_DTYPES
    ):
        raise ValueError(
            f"table_dtype must be None or one of {list(TABLE_DTYPES)}, received {table_dtype!r}."
        )
    padding_value = check_integer(
        "padding_value",
        padding_value,
        tf.int64.min,
        "an int64, as ids are, such as -1 or another number that is no id",
    )
    if padding_value > tf.int64.max:
        raise ValueError(
            f"padding_value must be an int64, as ids are, received {padding_value}. Use -1, or "
            "another number that is no id."
        )
    return padding_value
