"""`serving_raw` and `serving_raw_examples`: the columns of a log in, transformed in the graph."""

import tensorflow as tf

from tfrec_models._checks.assertions import after
from tfrec_models.serving import request_checks
from tfrec_models.serving.names import EXAMPLES
from tfrec_models.serving.raw_columns import raw_columns
from tfrec_models.serving.raw_encoder import RawEncoder

RAW, RAW_EXAMPLES = "serving_raw", "serving_raw_examples"


class RawSignatures:
    """Gives a ranker the columns of the log it was trained on.

    Args:
        schema: `tfrec_models.datasets.Schema` of a model's inputs.
        check_and_rank: that of `Signatures`.

    Raises:
        ValueError: if the schema is not fitted.
    """

    def __init__(self, schema, check_and_rank):
        self.columns = raw_columns(schema)
        self._schema, self._check_and_rank = schema, check_and_rank
        self._encoder = RawEncoder(schema)
        # What the functions read beside variables.
        self.resources = self._encoder.resources

    def makers(self):
        """Returns a dict from signature to a function that makes its function and specs."""
        return {RAW: self._from_columns, RAW_EXAMPLES: self._from_examples}

    def _from_columns(self):
        specs = {}
        for column in self.columns:
            specs.update(column.specs)

        def serve(**inputs):
            by_kind = {"number": {}, "value": {}, "weight": {}}
            # A client may send another rank than the signature has.
            inputs = {name: tf.ensure_shape(tensor, [None]) for name, tensor in inputs.items()}
            rows = [(column.inputs[-1], inputs[column.inputs[-1]]) for column in self.columns]
            num_rows = tf.size(rows[0][1])
            sizes = [tf.size(tensor) for _, tensor in rows]
            fits = request_checks.check_batch_sizes(
                [name for name, _ in rows], sizes, num_rows, f"input {rows[0][0]}"
            )
            inputs = after([fits], inputs)
            for column in self.columns:
                if column.is_bag:
                    flat, lengths = (inputs[name] for name in column.inputs)
                    counts = tf.stack([tf.size(flat, tf.int64)])
                    check = request_checks.check_lengths(
                        [column.name], [column.inputs[1]], lengths[tf.newaxis], counts
                    )
                    flat, lengths = after([check], [flat, lengths])
                else:
                    flat, lengths = inputs[column.input], tf.ones([num_rows], tf.int64)
                self._put(by_kind, column, flat, lengths)
            return self._encode_and_rank(by_kind, num_rows)

        return serve, specs

    def _from_examples(self):
        parsed = {column.input: column.feature for column in self.columns}

        def serve(examples):
            example = tf.io.parse_example(examples, parsed)
            by_kind = {"number": {}, "value": {}, "weight": {}}
            for column in self.columns:
                value = example[column.input]
                if column.kind == "number":
                    by_kind["number"][column.name] = tf.cast(value, tf.float64)
                    continue
                self._put(by_kind, column, value.values, value.row_lengths())
            return self._encode_and_rank(by_kind, tf.size(examples))

        return serve, {EXAMPLES: tf.TensorSpec([None], tf.string, EXAMPLES)}

    @staticmethod
    def _put(by_kind, column, flat, lengths):
        if column.kind == "number":
            by_kind["number"][column.name] = flat
            return
        kind = "weight" if column.kind == "weight" else "value"
        by_kind[kind][column.name] = tf.RaggedTensor.from_row_lengths(flat, lengths, validate=False)

    def _encode_and_rank(self, by_kind, num_rows):
        if self._schema.dense:
            dense = self._encoder.dense(by_kind["number"])
        else:
            dense = tf.zeros([num_rows, 0])
        ids, lengths, weights = self._encoder.bags(by_kind["value"], by_kind["weight"], num_rows)
        names = self._schema.sparse_feature_names
        return self._check_and_rank(dense, ids, lengths, weights, names)
