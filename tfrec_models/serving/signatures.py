"""The functions of an export: flat, named inputs to logits and probabilities."""

import tensorflow as tf

from tfrec_models._checks.assertions import after
from tfrec_models.serving import packed_checks, request_checks
from tfrec_models.serving.candidate_signature import CandidateSignature
from tfrec_models.serving.names import (
    DENSE,
    EXAMPLES,
    PACKED,
    lengths_name,
    safe_names,
    values_name,
    weights_name,
)
from tfrec_models.serving.raw_signatures import RawSignatures
from tfrec_models.sparse.jagged_tensor import offsets_from_lengths
from tfrec_models.sparse.keyed_jagged_tensor import KeyedJaggedTensor
from tfrec_models.sparse.kjt_layout import assemble

SIGNATURES = ("serving_default", "serving_packed", "serving_examples", "serving_rows")
CANDIDATES = "serving_candidates"


class Signatures:
    """Traces one model, once, and gives it the inputs of each signature.

    Args:
        model: a built `RankingModel`.
        padding_value: int, the id that pads the bags of `serving_rows`.
        levels: `Levels` of the inputs of `serving_candidates`, or None for an export without it.
        schema: `Schema` of the inputs of the raw signatures, or None likewise.
    """

    def __init__(self, model, padding_value, levels=None, schema=None):
        self.features = model.sparse_feature_names
        self.names = safe_names(self.features)
        self.is_weighted = model.embedding_bag_collection.is_weighted
        self.dense_in_features = model.dense_in_features
        self.padding_value = padding_value
        self._rank = self._trace(model)
        self._checked = self._trace_checked()
        # The variables that the computation reads; a graph holds them weakly.
        self.variables = list(self._rank.graph.variables)
        makers = (self._from_values, self._from_packed, self._from_examples, self._from_rows)
        self._makers = dict(zip(SIGNATURES, makers, strict=True))
        if levels is not None:
            self._makers[CANDIDATES] = CandidateSignature(model, levels).make
        self.raw = None if schema is None else RawSignatures(schema, self.check_and_rank)
        if self.raw is not None:
            self._makers.update(self.raw.makers())

    def trace(self):
        """Returns a dict from signature to its concrete function."""
        made = {signature: make() for signature, make in self._makers.items()}
        return {
            signature: tf.function(function, autograph=False).get_concrete_function(**specs)
            for signature, (function, specs) in made.items()
        }

    def _trace(self, model):
        """The model on flat tensors, as one function that all signatures call."""
        specs = [_dense_spec(self.dense_in_features), _spec(tf.int64), _spec(tf.int64)]
        if self.is_weighted:
            specs.append(_spec(tf.float32))

        def rank(dense, values, lengths, weights=None):
            offsets = offsets_from_lengths(lengths)
            bags = assemble(KeyedJaggedTensor, self.features, values, offsets, weights)
            logits = model.logits(dense, bags, training=False)
            logits = tf.cast(logits, tf.float32)
            return {"logits": logits, "probabilities": tf.sigmoid(logits)}

        return tf.function(rank, autograph=False).get_concrete_function(*specs)

    def _from_values(self):
        """`serving_default`: all ids of a feature, and how many of them each example has."""
        names = self.names.values()
        specs = {DENSE: _dense_spec(self.dense_in_features, DENSE)}
        for name in names:
            specs[values_name(name)] = _spec(tf.int64, values_name(name))
            specs[lengths_name(name)] = _spec(tf.int64, lengths_name(name))
            if self.is_weighted:
                specs[weights_name(name)] = _spec(tf.float32, weights_name(name))

        def serve(**inputs):
            return self.check_and_rank(
                inputs[DENSE],
                [inputs[values_name(name)] for name in names],
                [inputs[lengths_name(name)] for name in names],
                [inputs[weights_name(name)] for name in names] if self.is_weighted else None,
                [lengths_name(name) for name in names],
            )

        return serve, specs

    def _from_packed(self):
        """`serving_packed`: all ids in one input, in the layout that the model looks them up in."""
        specs = {
            DENSE: _dense_spec(self.dense_in_features, DENSE),
            PACKED["values"]: _spec(tf.int64, PACKED["values"]),
            PACKED["lengths"]: _spec(tf.int64, PACKED["lengths"]),
        }
        if self.is_weighted:
            specs[PACKED["weights"]] = _spec(tf.float32, PACKED["weights"])

        def serve(**inputs):
            dense = request_checks.checked_dense(inputs[DENSE], self.dense_in_features)
            parts = [inputs.get(PACKED[part]) for part in PACKED]
            num_examples = tf.shape(dense)[0]
            bags = packed_checks.checked_bags(self.features, PACKED, num_examples, *parts)
            return self._rank(dense, *bags)

        return serve, specs

    def _from_examples(self):
        """`serving_examples`: serialized `tf.Example`s."""
        names = list(self.names.values())
        parsed = {DENSE: tf.io.FixedLenFeature([self.dense_in_features], tf.float32)}
        for name in names:
            parsed[name] = tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64)
            if self.is_weighted:
                parsed[weights_name(name)] = tf.io.RaggedFeature(
                    tf.float32, row_splits_dtype=tf.int64
                )

        def serve(examples):
            example = tf.io.parse_example(examples, parsed)
            bags = [example[name] for name in names]
            lengths = [bag.row_lengths() for bag in bags]
            checks = [
                request_checks.check_presence(examples, self.features, names, tf.stack(lengths))
            ]
            weights = None
            if self.is_weighted:
                bags_of_weights = [example[weights_name(name)] for name in names]
                weights = [bag.values for bag in bags_of_weights]
                numbers = tf.stack([bag.row_lengths() for bag in bags_of_weights])
                checks.append(
                    request_checks.check_weight_lengths(self.features, tf.stack(lengths), numbers)
                )
            parts = example[DENSE], [bag.values for bag in bags], lengths, weights or []
            dense, values, lengths, weights = after(checks, parts)
            return self.check_and_rank(dense, values, lengths, weights or None, names)

        return serve, {EXAMPLES: _spec(tf.string, EXAMPLES)}

    def _from_rows(self):
        """`serving_rows`: a row of ids for each example, padded to the length of the longest."""
        names = list(self.names.values())
        specs = {DENSE: _dense_spec(self.dense_in_features, DENSE)}
        for name in names:
            specs[name] = tf.TensorSpec([None, None], tf.int64, name)
            if self.is_weighted:
                specs[weights_name(name)] = tf.TensorSpec(
                    [None, None], tf.float32, weights_name(name)
                )

        def serve(**inputs):
            rows = [inputs[name] for name in names]
            used = [row != self.padding_value for row in rows]
            weights = None
            if self.is_weighted:
                weights = [inputs[weights_name(name)] for name in names]
                fits = request_checks.check_weight_shapes(self.features, weights, rows)
                weights = [
                    tf.boolean_mask(tf.reshape(weight, tf.shape(row)), mask)
                    for weight, row, mask in zip(after([fits], weights), rows, used, strict=True)
                ]
            return self.check_and_rank(
                inputs[DENSE],
                [tf.boolean_mask(row, mask) for row, mask in zip(rows, used, strict=True)],
                [tf.math.count_nonzero(mask, axis=1) for mask in used],
                weights,
                names,
            )

        return serve, specs

    def check_and_rank(self, dense, values, lengths, weights, names):
        """Refuses what does not fit together, and ranks the rest.

        Args:
            dense: `(B, n)`.
            values, lengths, weights: lists with a flat tensor for each feature.
            names: list of str, the inputs that hold the lengths, for the messages.
        """
        parts = {
            "dense": dense,
            "values": tf.concat(values, 0),
            "lengths": tf.concat(lengths, 0),
            "counts": tf.stack([tf.size(ids, tf.int64) for ids in values]),
            "sizes": tf.stack([tf.size(length) for length in lengths]),
            "names": tf.constant(names),
        }
        if weights is not None:
            parts["weights"] = tf.concat(weights, 0)
            parts["weight_counts"] = tf.stack([tf.size(weight, tf.int64) for weight in weights])
        return self._checked(**parts)

    def _trace_checked(self):
        """The refusals of what comes feature by feature, then `_rank`, as one function too."""
        features, dense_in_features, rank = self.features, self.dense_in_features, self._rank

        def check_and_rank(dense, values, lengths, counts, sizes, names, **weighted):
            dense = request_checks.checked_dense(dense, dense_in_features)
            batch_size = tf.shape(dense)[0]
            fits = request_checks.check_batch_sizes(names, sizes, batch_size)
            lengths = after([fits], lengths)
            by_feature = tf.reshape(lengths, [len(features), batch_size])
            parts = [values, lengths]
            if weighted:
                parts.append(weighted["weights"])
                check = request_checks.check_weighted(
                    features, names, by_feature, counts, **weighted
                )
            else:
                check = request_checks.check_lengths(features, names, by_feature, counts)
            return rank(dense, *after([check], parts))

        number = len(features)
        specs = {
            "dense": _dense_spec(dense_in_features),
            "values": _spec(tf.int64),
            "lengths": _spec(tf.int64),
            "counts": tf.TensorSpec([number], tf.int64),
            "sizes": tf.TensorSpec([number], tf.int32),
            "names": tf.TensorSpec([number], tf.string),
        }
        if self.is_weighted:
            specs["weights"] = _spec(tf.float32)
            specs["weight_counts"] = tf.TensorSpec([number], tf.int64)
        return tf.function(check_and_rank, autograph=False).get_concrete_function(**specs)


def _spec(dtype, name=None):
    return tf.TensorSpec([None], dtype, name)


def _dense_spec(columns, name=None):
    return tf.TensorSpec([None, columns], tf.float32, name)
