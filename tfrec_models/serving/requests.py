"""Turns batches into the requests of an export's signatures."""

import base64
import json
import os

import numpy as np
import tensorflow as tf

from tfrec_models.ranking_model import checked_dense, split_inputs
from tfrec_models.serving._protos import predict_pb2
from tfrec_models.serving.candidate_requests import candidate_inputs
from tfrec_models.serving.metadata import Metadata
from tfrec_models.serving.names import (
    DENSE,
    EXAMPLES,
    lengths_name,
    values_name,
    weights_name,
)
from tfrec_models.serving.packed_bags import PackedBags
from tfrec_models.serving.raw_requests import raw_input_arrays, raw_inputs


class RequestWriter:
    """Writes requests to an exported model: REST bodies, `PredictRequest`s, `tf.Example`s.

    Args:
        version_path: path of one version of the model, such as `models/ranker/1`, or its
            `Metadata`.
        model_name: str, what the server calls the model; in `PredictRequest`s alone.

    Raises:
        FileNotFoundError: if there is no export.
        ValueError: if it is one of another version of this package.

    Example:

    >>> import tempfile
    >>> import tensorflow as tf
    >>> from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig
    >>> from tfrec_models.serving import RequestWriter, export
    >>> table = EmbeddingBagConfig(100, 8, "t1", feature_names=["f1"])
    >>> model = DLRM(EmbeddingBagCollection([table]), 2, [8], [4, 1])
    >>> writer = RequestWriter(export(model, tempfile.mkdtemp()))
    >>> batch = {
    ...     "dense_features": tf.constant([[0.5, 1.0], [2.0, 3.0]]),
    ...     "sparse_features": {"f1": tf.ragged.constant([[7, 9], []])},
    ... }
    >>> print(writer.rest(batch))
    {"signature_name": "serving_default", "inputs": {"dense_features": [[0.5, 1.0], [2.0, 3.0]],
    "f1_values": [7, 9], "f1_lengths": [2, 0]}}
    >>> print(writer.rest(batch, "serving_rows"))
    {"signature_name": "serving_rows", "instances": [{"dense_features": [0.5, 1.0], "f1": [7, 9]},
    {"dense_features": [2.0, 3.0], "f1": [-1, -1]}]}
    """

    def __init__(
        self, version_path: str | os.PathLike[str] | Metadata, model_name: str = "model"
    ) -> None:
        is_metadata = isinstance(version_path, Metadata)
        self.metadata = version_path if is_metadata else Metadata.read(version_path)
        self.model_name = model_name

    def inputs(self, batch, signature="serving_default"):
        """Returns the inputs of a signature, a dict from name to NumPy array.

        Args:
            batch: what the model takes, `{"dense_features": ..., "sparse_features": ...}` in any
                of its forms.
            signature: str, one of `Metadata.signatures`. For "serving_candidates" the batch is
                `{"request": ..., "candidates": ..., "num_candidates": (R,)}`: in "request" and
                "candidates" the "dense_features" and "sparse_features" of each, R and C rows. For
                the raw ones it is a dict from column to the list of its rows, None where a value
                is missing, or a table such as a `pyarrow.Table`.

        Raises:
            TypeError: on dense features that are no floats, or ids that are no integers.
            ValueError: on another signature; on a batch that is not what the model takes; in
                "serving_rows" on an id that is the padding value.
        """
        signatures = self.metadata.signatures
        if signature not in signatures:
            raise ValueError(
                f"signature must be one of {list(signatures)}, received {signature!r}."
            )
        others = {
            "serving_candidates": candidate_inputs,
            "serving_raw": raw_inputs,
            "serving_raw_examples": raw_input_arrays,
        }
        if signature in others:
            return others[signature](batch, self.metadata)
        if signature == "serving_examples":
            serialized = [example.SerializeToString() for example in self.examples(batch)]
            return {EXAMPLES: np.array(serialized, object)}
        dense, bags = self._split(batch)
        fills = {"serving_packed": PackedBags.inputs, "serving_rows": self._rows}
        return {DENSE: dense, **fills.get(signature, self._values)(bags)}

    def rest(self, batch, signature="serving_default"):
        """Returns the body of a REST request, to be sent to `/v1/models/<name>:predict`.

        Args:
            batch, signature: as in `inputs`.

        Raises:
            ValueError: as `inputs`; and on NaN or infinity, which JSON cannot represent.
        """
        inputs = self.inputs(batch, signature)
        if signature in ("serving_default", "serving_packed", "serving_candidates", "serving_raw"):
            body = {"inputs": {name: _json(array) for name, array in inputs.items()}}
        elif signature == "serving_rows":
            columns = [array.tolist() for array in inputs.values()]
            rows = zip(*columns, strict=True)
            body = {"instances": [dict(zip(inputs, row, strict=True)) for row in rows]}
        else:
            texts = [base64.b64encode(example).decode() for example in inputs[EXAMPLES]]
            body = {"instances": [{EXAMPLES: {"b64": text}} for text in texts]}
        try:
            return json.dumps({"signature_name": signature, **body}, allow_nan=False)
        except ValueError:
            raise ValueError(
                "JSON has no NaN and no infinity, and the server refuses them: replace missing "
                "values in dense_features and weights before the request."
            ) from None

    def predict_request(self, batch, signature="serving_default"):
        """Returns the `PredictRequest` of a gRPC call.

        Args:
            batch, signature: as in `inputs`.
        """
        request = predict_pb2.PredictRequest()
        request.model_spec.name = self.model_name
        request.model_spec.signature_name = signature
        for name, array in self.inputs(batch, signature).items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
        return request

    def examples(self, batch):
        """Returns a list of `tf.train.Example`, one for each example of the batch.

        Args:
            batch: as in `inputs`.
        """
        dense, bags = self._split(batch)
        rows = [
            {DENSE: tf.train.Feature(float_list=tf.train.FloatList(value=row))}
            for row in dense.tolist()
        ]
        for name, ids, lengths, weights in bags.by_feature(self.metadata.names.values()):
            ends = np.cumsum(lengths)
            for row, bag in zip(rows, np.split(ids, ends)[:-1], strict=True):
                row[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=bag))
            if weights is None:
                continue
            for row, bag in zip(rows, np.split(weights, ends)[:-1], strict=True):
                values = tf.train.FloatList(value=bag)
                row[weights_name(name)] = tf.train.Feature(float_list=values)
        return [tf.train.Example(features=tf.train.Features(feature=row)) for row in rows]

    def _split(self, batch):
        """Dense features as an array, and the bags of all features."""
        dense, sparse = split_inputs(batch, None)
        dense = tf.cast(checked_dense(dense, self.metadata.dense_in_features), tf.float32)
        bags = PackedBags.of(sparse, list(self.metadata.names), self.metadata.is_weighted)
        sizes = {DENSE: int(dense.shape[0])}
        sizes.update(dict.fromkeys(self.metadata.names.values(), bags.lengths.shape[1]))
        if len(set(sizes.values())) > 1:
            raise ValueError(f"All inputs must have the same number of examples, received {sizes}.")
        return dense.numpy(), bags

    def _values(self, bags):
        inputs = {}
        for name, ids, lengths, weights in bags.by_feature(self.metadata.names.values()):
            inputs[values_name(name)] = ids
            inputs[lengths_name(name)] = lengths
            if weights is not None:
                inputs[weights_name(name)] = weights
        return inputs

    def _rows(self, bags):
        padding = self.metadata.padding_value
        inputs = {}
        for name, ids, lengths, weights in bags.by_feature(self.metadata.names.values()):
            if np.any(ids == padding):
                raise ValueError(
                    f"Input {name!r} has an id {padding}, which is the padding value of "
                    "serving_rows. Export with another padding_value, or use another signature."
                )
            # A width of zero has no form in JSON rows.
            width = max(1, int(lengths.max(initial=0)))
            is_filled = np.arange(width) < lengths[:, np.newaxis]
            inputs[name] = np.full(is_filled.shape, padding, np.int64)
            inputs[name][is_filled] = ids
            if weights is not None:
                inputs[weights_name(name)] = np.zeros(is_filled.shape, np.float32)
                inputs[weights_name(name)][is_filled] = weights
        return inputs


def _json(array):
    """Lists of numbers or texts; JSON has no bytes."""
    if array.dtype == object:
        return [text.decode() for text in array]
    return array.tolist()
