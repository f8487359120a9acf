"""What the test rows say about features: how often ids occur, and what the model needs."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec_models.datasets.checksums import sizes
from tfrec_models.embeddings.find_tables import tables_in
from tfrec_models.report._curves import RankedArea
from tfrec_models.report._sample import read_sample

_ROWS = 20_000
# Rows times features that are scored, which bounds the time.
_SCORED = 400_000
_SEED = 0
# The most frequent ids are counted in these numbers.
TOPS = (1, 10, 100, 1000)


@dataclasses.dataclass(frozen=True)
class Features:
    """What was found in a sample of the test rows.

    Args:
        rows: int, rows of the sample.
        sampled: int, those of them on which importance was measured.
        ids: list of dict, one a sparse feature, as `id_counts` gives.
        area: `RankedArea` of the model on the sample, or None.
        drops: list of dict, one a feature, as `importance` gives; empty where not measured.
        notes: list of str.
    """

    rows: int
    sampled: int
    ids: list[dict]
    area: Any
    drops: list[dict]
    notes: list[str]


def look(run):
    """Looks at the test rows of a `Run`."""
    nothing = Features(0, 0, [], None, [], [])
    if run.schema is None:
        return nothing
    if run.test_source is None:
        return dataclasses.replace(
            nothing,
            notes=[
                "recipe.yaml names no test data: ids and the importance of features are left out."
            ],
        )
    try:
        sample = read_sample(run.test_source, run.schema, _ROWS, _SEED, **run.read_options)
    except (OSError, ValueError, tf.errors.OpError) as error:
        told = f"The test data cannot be read, and with it ids and importance: {error}"
        return dataclasses.replace(nothing, notes=[told])
    notes = _changes(run)
    found = Features(len(sample), 0, id_counts(sample, run.schema), None, [], notes)
    if run.model is None:
        return found
    num_features = run.schema.num_dense + len(run.schema.sparse)
    bounded = sample.head(max(_SCORED // max(num_features, 1), 1000))
    try:
        area, drops = importance(run.model, bounded, run.schema)
    except ValueError as error:
        told = f"The importance of features is not measured: {error}"
        return dataclasses.replace(found, notes=[*notes, told])
    return dataclasses.replace(found, sampled=len(bounded), area=area, drops=drops)


def _changes(run):
    """A note where the test files are no longer those that the run was measured on."""
    recorded = run.environment.get("data", {}).get("test", [])
    before = {file["path"]: file["bytes"] for file in recorded if "bytes" in file}
    now = sizes(run.test_source)
    if not before or before == now:
        return []
    names = ", ".join(sorted({name for name, _ in before.items() ^ now.items()}))
    return [
        f"The test files have changed since the run ({names}): ids and importance are of the new "
        "ones, metrics and curves of the old."
    ]


def id_counts(sample, schema):
    """How often ids of each sparse feature occur in a `Sample`.

    Returns:
        list of dict, one a feature: name, table_rows, ids, distinct, tops (share of the ids that
        the 1, 10, .. most frequent have), unknown (share of id 0 where ids are a vocabulary, else
        None), empty (share of bags), mean_length.
    """
    found = []
    for number, name in enumerate(schema.sparse_feature_names):
        ids, lengths = sample.bags_of(number)
        counts = np.sort(np.unique(ids, return_counts=True)[1])[::-1]
        column = schema.sparse_column(name)
        owner = schema.sparse_column(column.like) if column.like else column
        whole = max(len(ids), 1)
        found.append(
            {
                "name": name,
                "table_rows": schema.num_ids(name),
                "ids": len(ids),
                "distinct": len(counts),
                "tops": [float(counts[:top].sum()) / whole for top in TOPS],
                "unknown": (
                    float(np.count_nonzero(ids == 0)) / whole if owner.ids == "vocabulary" else None
                ),
                "empty": float(np.mean(lengths == 0)),
                "mean_length": float(lengths.mean()),
            }
        )
    return found


def importance(model, sample, schema, seed=_SEED):
    """How much AUC drops on a sample when one feature is shuffled between its rows.

    A shuffled feature keeps its values and tells nothing about its row.

    Returns:
        `RankedArea` of the sample as it is, and a list of dict, one a feature: name, kind ("dense"
        or "sparse"), drop, error (the standard error of the drop).

    Raises:
        ValueError: on labels that are not both of 0 and 1, on a model of several outputs.
    """
    if sample.labels is None or set(np.unique(sample.labels)) != {0.0, 1.0}:
        raise ValueError("the sampled test rows must have labels of 0 and of 1.")
    area = RankedArea.of(sample.labels, _scores(model, sample))
    order = np.random.default_rng(seed).permutation(len(sample))

    def measured(name, kind, shuffled):
        drop, error = area.minus(RankedArea.of(sample.labels, _scores(model, shuffled)))
        return {"name": name, "kind": kind, "drop": drop, "error": error}

    return area, [
        *(
            measured(column.name, "dense", sample.with_dense_shuffled(number, order))
            for number, column in enumerate(schema.dense)
        ),
        *(
            measured(name, "sparse", sample.with_bags_shuffled(number, order))
            for number, name in enumerate(schema.sparse_feature_names)
        ),
    ]


def _scores(model, sample):
    """One score a row; logits will do, since their order is all that counts."""
    outputs = [model.predict_on_batch(features) for features in sample.batches()]
    if any(not isinstance(part, np.ndarray) or part.size != len(part) for part in outputs):
        raise ValueError("the model must have one output.")
    return np.concatenate([part.reshape(-1) for part in outputs]).astype(np.float64)


def tables_of(run):
    """The embedding tables of a run: name, features, rows, dim and bytes.

    Those of the model; without one, those of the schema, whose dim is not known.
    """
    if run.model is not None:
        return [
            {
                "name": table.name,
                "features": list(table.feature_names),
                "rows": table.num_rows,
                "dim": table.embedding_dim,
                "bytes": table.num_rows
                * table.embedding_dim
                * tf.as_dtype(table.data_type or layer.variable_dtype).size,
            }
            for layer in tables_in(run.model)
            for table in layer.tables
        ]
    if run.schema is None:
        return []
    return [
        {"name": name, "features": features, "rows": run.schema.num_ids(name)}
        for name, features in run.schema.tables().items()
    ]
