"""Exports a ranking model as a SavedModel that TensorFlow Serving takes as it is."""

import os
import pathlib

from tfrec_models.datasets.schema import Schema
from tfrec_models.ranking_model import RankingModel
from tfrec_models.serving.artifact import Artifact
from tfrec_models.serving.version_directory import new_version


def export(
    model: RankingModel,
    directory: str | os.PathLike,
    *,
    version: int | None = None,
    table_dtype: str | None = None,
    compute_dtype: str | None = None,
    padding_value: int = -1,
    sample: dict | None = None,
    request_features: list[str] | None = None,
    request_dense: list[int] | None = None,
    schema: Schema | None = None,
) -> pathlib.Path:
    """Writes `directory/<version>`, a SavedModel with named, flat inputs.

    All signatures share one computation and one copy of the tables:

    - `serving_default`: `dense_features` `(B, n)` and for each feature `<name>_values` `(N,)`, all
      ids of the batch, and `<name>_lengths` `(B,)`, how many of them each example has; for weighted
      bags also `<name>_weights` `(N,)`.
    - `serving_packed`: the same in three inputs, which is the fastest from any client:
      `dense_features`, `values` `(N,)`, the ids of all features, and `lengths` `(F B,)`, both
      feature by feature in the order of `Metadata.names`; for weighted bags also `weights` `(N,)`.
    - `serving_examples`: `examples` `(B,)`, serialized `tf.Example`s with `dense_features`,
      `<name>` and, for weighted bags, `<name>_weights`. Every feature must be there; an empty bag
      is a feature without values.
    - `serving_rows`: `dense_features` and for each feature `<name>` `(B, L)`, ids padded with
      `padding_value`; for weighted bags also `<name>_weights` `(B, L)`. REST clients write it one
      row an instance.
    - `serving_candidates`, where `request_features` or `request_dense` say what R requests share
      among their C candidates: `num_candidates` `(R,)`, how many of the candidates are each
      request's, one request after the other; `request_dense_features` `(R, n)`, `request_values`,
      `request_lengths` and `request_weights`, packed as in `serving_packed`, once a request; and
      `candidate_dense_features` and so on, once a candidate. An input without columns or features
      is not there. What depends on the request alone is computed once; outputs are those of C
      examples. In its messages an example is a request or a candidate.
    - `serving_raw`, where there is a `schema`: the log's own columns, which the graph fills,
      transforms and hashes as `datasets.read` does. Dense columns are float64 `(B,)`, NaN where
      missing; sparse ones strings `(B,)`, or int64 with `ids="integer"`; a list, or a value that
      may be missing, is `<name>_values` `(N,)` with `<name>_lengths` `(B,)`; a cross is no input.
      `serving_raw_examples` takes them as serialized `tf.Example`s, where a feature that is not
      there is missing.

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
        table_dtype: "int8" or "int4" for codes of 8 or 4 bits with a scale and a bias for each row,
            "float16" or "bfloat16"; None for the tables as they are. Tables that would not shrink
            stay as they are. `Metadata` says what it costs in accuracy.
        compute_dtype: "bfloat16" for dense layers that compute in it, with weights and logits in
            float32; None for what the model computes in. `Metadata` says what it costs in accuracy.
        padding_value: int, the id that pads the bags of `serving_rows`. It is left out before
            id policies apply.
        sample: a batch as the model takes it, `{"dense_features": ..., "sparse_features": ...}`,
            for the warm-up requests and to measure what `table_dtype` and `compute_dtype` cost;
            some hundred real examples are best. None draws one at random.
        request_features: list of str, the sparse features that belong to the request, such as
            those of the user, in `serving_candidates`; with a `schema` dense columns too, by name.
        request_dense: list of int, the columns of the dense features that do.
        schema: `tfrec_models.datasets.Schema` that the log was read with, for the raw signatures.

    Returns:
        `pathlib.Path` of the version.

    Raises:
        TypeError: if `model` is no `RankingModel`, `directory` no path or `schema` no `Schema`.
        ValueError: if the directory is not local or is a file, if the export refuses `sample`, if
            the schema is of another model or not fitted, if the model reads ids otherwise than by
            its collections where there are `request_features`, if "int4" tables have an odd
            embedding_dim, or an argument is out of range.
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
    artifact = Artifact(
        model,
        table_dtype=table_dtype,
        compute_dtype=compute_dtype,
        padding_value=padding_value,
        sample=sample,
        request_features=request_features,
        request_dense=request_dense,
        schema=schema,
    )
    with new_version(directory, version) as pending:
        artifact.write(pending.path)
    return pending.final_path
