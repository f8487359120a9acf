"""Batches of requests with their candidates, and what `serving_candidates` is sent for them."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfrec_models.ranking_model import INPUTS, checked_dense, split_inputs
from tfrec_models.serving.levels import Levels
from tfrec_models.serving.names import NUM_CANDIDATES
from tfrec_models.serving.packed_bags import PackedBags

PARTS = {"request": "request", "candidate": "candidates"}


def candidate_inputs(batch, metadata):
    """Returns the inputs of `serving_candidates`, a dict from name to NumPy array.

    Args:
        batch: as `RequestWriter.inputs` takes it.
        metadata: `Metadata` of the export.

    Raises:
        ValueError: on a part that is missing or unknown, a feature on the other level, numbers of
            rows that do not fit, or as `SparseFeatures`.
    """
    wanted = [*PARTS.values(), NUM_CANDIDATES]
    if not isinstance(batch, Mapping) or set(batch) != set(wanted):
        received = sorted(batch) if isinstance(batch, Mapping) else type(batch).__name__
        raise ValueError(f"serving_candidates takes a dict with {wanted}, received {received}.")
    levels = levels_of(metadata)
    counts = _checked_counts(batch[NUM_CANDIDATES])
    inputs = {NUM_CANDIDATES: counts}
    for level, other, rows in (
        (levels.request, levels.candidate, len(counts)),
        (levels.candidate, levels.request, int(counts.sum())),
    ):
        part = PARTS[level.row]
        dense, sparse = _checked_part(batch[part], part, level, other)
        sizes = {}
        if level.dense:
            dense = tf.cast(checked_dense(dense, len(level.dense)), tf.float32)
            inputs[level.dense_name] = dense.numpy()
            sizes["dense_features"] = int(dense.shape[0])
        if level.features:
            bags = PackedBags.of(sparse, level.features, metadata.is_weighted)
            inputs.update(bags.inputs(level.packed))
            sizes["sparse_features"] = bags.lengths.shape[1]
        if set(sizes.values()) != {rows}:
            raise ValueError(
                f"{NUM_CANDIDATES} has {len(counts)} requests with {counts.sum()} candidates, so "
                f"{part!r} must have {rows} rows, received {sizes}."
            )
    return inputs


def levels_of(metadata):
    """The `Levels` of an export's inputs."""
    return Levels.of(
        list(metadata.names),
        metadata.dense_in_features,
        metadata.request_features,
        metadata.request_dense,
    )


def one_request(batch, metadata):
    """Returns a batch whose examples all have what belongs to the request from the first.

    Args:
        batch: what the model takes.
        metadata: `Metadata` of the export.
    """
    dense, sparse = split_inputs(batch, None)
    dense = np.array(checked_dense(dense, metadata.dense_in_features))
    levels = levels_of(metadata)
    first = np.zeros(len(dense), np.int64)
    dense[:, levels.request.dense] = dense[first][:, levels.request.dense]
    bags = _ragged(sparse, metadata)
    for name in levels.request.features:
        bags[name] = tf.nest.map_structure(
            lambda part: tf.gather(part, first), bags[name], expand_composites=False
        )
    return {"dense_features": tf.constant(dense), "sparse_features": bags}


def candidates_of(batch, metadata):
    """Returns the batch of `serving_candidates` for what `one_request` returned."""
    levels = levels_of(metadata)
    number = int(batch["dense_features"].shape[0])
    parts = {}
    for level, rows in ((levels.request, min(number, 1)), (levels.candidate, number)):
        part = {}
        if level.dense:
            part["dense_features"] = tf.gather(batch["dense_features"][:rows], level.dense, axis=1)
        if level.features:
            part["sparse_features"] = {
                name: tf.nest.map_structure(lambda bags, rows=rows: bags[:rows], bags)
                for name, bags in batch["sparse_features"].items()
                if name in level.features
            }
        parts[PARTS[level.row]] = part
    return {**parts, NUM_CANDIDATES: [number] * min(number, 1)}


def _ragged(sparse, metadata):
    """Features in any form, as ragged ids by name, or pairs of ids and weights."""
    names = list(metadata.names)
    bags = PackedBags.of(sparse, names, metadata.is_weighted)

    def ragged(flat, lengths):
        return tf.RaggedTensor.from_row_lengths(flat, lengths)

    return {
        name: ragged(ids, lengths)
        if weights is None
        else (ragged(ids, lengths), ragged(weights, lengths))
        for name, ids, lengths, weights in bags.by_feature(names)
    }


def _checked_counts(counts):
    counts = np.asarray(counts)
    is_integer = np.issubdtype(counts.dtype, np.integer) or not counts.size
    if counts.ndim != 1 or not is_integer or np.any(counts < 0):
        raise ValueError(
            f"{NUM_CANDIDATES} must be a list with the number of candidates of each request, 0 or "
            f"above, received {counts.tolist()}."
        )
    return counts.astype(np.int64)


def _checked_part(part, name, level, other):
    """The dense and the sparse features of one level; None for what it has none of."""
    wanted = [
        what for what, items in zip(INPUTS, (level.dense, level.features), strict=True) if items
    ]
    if not isinstance(part, Mapping) or set(part) != set(wanted):
        received = sorted(part) if isinstance(part, Mapping) else type(part).__name__
        raise ValueError(
            f"{name!r} must be a dict with {wanted}, for the {level.row}'s dense columns "
            f"{level.dense} and features {level.features}, received {received}."
        )
    sparse = part.get("sparse_features")
    if isinstance(sparse, Mapping):
        misplaced = [feature for feature in sparse if feature in other.features]
        if misplaced:
            raise ValueError(
                f"{misplaced} of {name!r} belong to the {other.row} in this export, which takes "
                f"each feature on one level. Give them in {PARTS[other.row]!r}."
            )
    return part.get("dense_features"), sparse
