"""`serving_candidates`: each request once, with its candidates."""

import tensorflow as tf

from tfrec_models import execution
from tfrec_models._checks.assertions import after, refuse_among, refuse_unless
from tfrec_models._two_levels import TwoLevels, takes_levels
from tfrec_models.serving.names import NUM_CANDIDATES
from tfrec_models.serving.packed_checks import checked_bags
from tfrec_models.serving.pooled_columns import (
    PooledRows,
    check_is_pooled,
    embeddings_of,
    pooled_levels,
)
from tfrec_models.serving.request_checks import checked_dense
from tfrec_models.sparse.bag_batch import BagBatch
from tfrec_models.sparse.jagged_tensor import offsets_from_lengths
from tfrec_models.sparse.keyed_jagged_tensor import KeyedJaggedTensor
from tfrec_models.sparse.kjt_layout import assemble


class CandidateSignature:
    """Inputs on two levels, looked up and pooled on their own, and ranked as C examples.

    Args:
        model: a built `RankingModel`.
        levels: `Levels` of its inputs.

    Raises:
        ValueError: if the model has tables without pooling.
    """

    def __init__(self, model, levels):
        check_is_pooled(model)
        self._model, self._levels = model, levels
        self._is_weighted = model.embedding_bag_collection.is_weighted
        self._rank = self._trace()

    def make(self):
        """Returns the function from the inputs, and their specs."""
        return self._serve, self._specs()

    def _specs(self):
        specs = {NUM_CANDIDATES: tf.TensorSpec([None], tf.int64, NUM_CANDIDATES)}
        for level in (self._levels.request, self._levels.candidate):
            if level.dense:
                shape = [None, len(level.dense)]
                specs[level.dense_name] = tf.TensorSpec(shape, tf.float32, level.dense_name)
            for part, name in level.packed.items() if level.features else ():
                if part != "weights" or self._is_weighted:
                    dtype = tf.float32 if part == "weights" else tf.int64
                    specs[name] = tf.TensorSpec([None], dtype, name)
        return specs

    def _serve(self, **inputs):
        """Refuses what does not fit together, and ranks the rest."""
        request, candidate = self._levels.request, self._levels.candidate
        counts = tf.ensure_shape(inputs.pop(NUM_CANDIDATES), [None])
        num_requests = tf.size(counts)
        if candidate.dense:
            dense = checked_dense(
                inputs[candidate.dense_name], len(candidate.dense), candidate.dense_name
            )
            inputs[candidate.dense_name], num_candidates = dense, tf.shape(dense)[0]
        else:
            lengths = inputs[candidate.packed["lengths"]]
            num_candidates = tf.size(lengths) // len(candidate.features)
        checks = [_check_counts(counts, num_candidates)]
        if request.dense:
            dense = checked_dense(
                inputs[request.dense_name], len(request.dense), request.dense_name
            )
            inputs[request.dense_name] = dense
            checks.append(_check_requests(tf.shape(dense)[0], num_requests, request.dense_name))
        for level, num_rows in ((request, num_requests), (candidate, num_candidates)):
            if level.features:
                parts = {part: inputs.get(name) for part, name in level.packed.items()}
                bags = checked_bags(
                    level.features, level.packed, num_rows, *parts.values(), rows=f"{level.row}s"
                )
                inputs.update(zip(level.packed.values(), bags, strict=False))
        return self._rank(**after(checks, {NUM_CANDIDATES: counts, **inputs}))

    def _trace(self):
        def rank_candidates(**inputs):
            request, candidate = self._levels.request, self._levels.candidate
            request_of = _request_of(inputs[NUM_CANDIDATES], self._num_candidates(inputs))
            bags = [self._bags(level, inputs) for level in (request, candidate)]
            num_requests = tf.size(inputs[NUM_CANDIDATES])
            dense = self._dense(inputs, num_requests, request_of)
            pooled = pooled_levels(self._model, self._levels, *bags, num_requests, request_of)
            logits = tf.cast(self._logits(dense, pooled), tf.float32)
            return {"logits": logits, "probabilities": tf.sigmoid(logits)}

        function = tf.function(rank_candidates, autograph=False)
        return function.get_concrete_function(**self._specs())

    def _logits(self, dense, pooled):
        """By the model's own way with two levels, else by rows that repeat the requests."""
        model = self._model
        if takes_levels(model, "rank_levels", beside=["rank", "call", "logits"]):
            return model.rank_levels(dense, embeddings_of(model.embedding_bag_collection, pooled))
        dense = dense.repeated()
        ids = tf.zeros([tf.shape(dense)[0], len(model.sparse_feature_names)], tf.int32)
        rows = {stack: PooledRows(vectors.repeated()) for stack, vectors in pooled.items()}
        with execution.changed(rows=rows):
            sparse = (ids, tf.ones_like(ids, tf.float32)) if self._is_weighted else ids
            return model.logits(dense, sparse, training=False)

    def _num_candidates(self, inputs):
        candidate = self._levels.candidate
        if candidate.dense:
            return tf.shape(inputs[candidate.dense_name])[0]
        return tf.size(inputs[candidate.packed["lengths"]]) // len(candidate.features)

    def _bags(self, level, inputs):
        if not level.features:
            return None
        values, lengths, weights = (inputs.get(name) for name in level.packed.values())
        offsets = offsets_from_lengths(lengths)
        return assemble(KeyedJaggedTensor, level.features, values, offsets, weights)

    def _dense(self, inputs, num_requests, request_of):
        """The dense features, as `TwoLevels`."""
        request, candidate = self._levels.request, self._levels.candidate
        parts = [
            inputs[level.dense_name] if level.dense else tf.zeros([rows, 0])
            for level, rows in ((request, num_requests), (candidate, tf.size(request_of)))
        ]
        return TwoLevels(*parts, request.dense, candidate.dense, request_of)


def _request_of(counts, num_candidates):
    """The request of each candidate, int32, without `tf.repeat`'s mask of the longest."""

    def of_several():
        splits = offsets_from_lengths(counts)
        candidates = tf.range(num_candidates)
        return BagBatch.of_splits(candidates, None, splits, 1, by_example=True).bag_of_id()

    of_first = tf.zeros([num_candidates], tf.int32)
    return tf.cond(tf.equal(tf.size(counts), 1), lambda: of_first, of_several)


def _check_counts(counts, num_candidates):
    """Refuses numbers of candidates that are negative or do not add up."""
    number = tf.cast(num_candidates, tf.int64)
    highest, total = tf.reduce_max(counts), tf.reduce_sum(counts)

    def refuse():
        lowest = tf.reduce_min(counts)
        # Enough counts above the number of candidates overflow the sum.
        in_range = (lowest >= 0) & (highest <= number)
        checks = [
            refuse_among(
                tf.stack([in_range]),
                f"{NUM_CANDIDATES} must be one number for each request, between 0 and the {{}} "
                "candidates of the call, received numbers from {} to {}.",
                [number],
                [lowest],
                [highest],
            )
        ]
        with tf.control_dependencies(checks):
            checks.append(
                refuse_among(
                    tf.stack([total == number]),
                    f"{NUM_CANDIDATES} must sum to the number of candidates, received a sum of "
                    "{} and {} candidates.",
                    [total],
                    [number],
                )
            )
        return after(checks, tf.constant(False))

    valid = tf.reduce_all(counts >= 0) & (highest <= number) & (total == number)
    return tf.cond(valid, lambda: tf.constant(True), refuse)


def _check_requests(rows, num_requests, name):
    return refuse_unless(
        tf.stack([rows == num_requests]),
        f"Input {name} must have one row for each of the requests in {NUM_CANDIDATES}, received "
        "{} rows and {} requests.",
        [rows],
        [num_requests],
    )
