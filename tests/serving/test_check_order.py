"""In an export every check comes before what it checks, in whatever order an executor runs."""

import functools

import pytest

from tests.serving.conftest import SHARED
from tests.serving.graph_order import Check, Source, operations
from tests.support.exports import graph_of
from tests.support.serving import FEATURES
from tfrec_models._compat.keras import all_layers
from tfrec_models.embeddings.embedding_tables import EmbeddingTables

DENSE = ["dense_features must have shape", "dense_features must be finite"]
LENGTHS = ["must have one entry for each", "must lie between 0 and", "must sum to the number"]
WEIGHTS = ["must have as many weights as ids", "must have finite weights"]
COUNTS = ["between 0 and the {} candidates", "must sum to the number of candidates"]
ID = "is outside table"
TABLE_READS = ("ResourceGather", "ResourceGatherNd", "ReadVariableOp")
ROW_WEIGHTS = ("f1_weights", "f3_weights", "user_id_weights")
LEVELS = ("", "request_", "candidate_")
GATHERS = ("Gather", "GatherV2", "GatherNd", "Split", "SplitV")


def unchecked(found, model, levels):
    """Returns a line for each operation that could run before a check it relies on.

    Args:
        found: what `operations` returned for an export.
        model: the exported one.
        levels: the features of the request, and those of the candidates.
    """
    features_of = {}
    for layer in all_layers(model):
        if isinstance(layer, EmbeddingTables):
            for stack, variable in zip(layer.table_stacks, layer.table_variables, strict=True):
                features_of[variable.path] = set(stack.feature_names)
    lines, read = [], set()
    # What makes a message may gather before the assertion that shows it.
    refusing = {operation.path for operation in found if operation.kind == "Assert"}
    for operation in found:
        if _is_in_model(operation):
            needed = _needed_in_model(operation, model)
        elif operation.path not in refusing:
            needed = _needed_before(operation)
        else:
            needed = []
        for text in needed:
            if not _waits_for(operation, text, set()):
                lines.append(f"{operation.name} in {operation.path} does not wait for: {text}")
        if operation.kind in TABLE_READS and _is_in_model(operation):
            for source in operation.inputs[0]:
                if isinstance(source, Source) and source.name in features_of:
                    read.add(source.name)
                    names = features_of[source.name]
                    by_level = [names.intersection(level) for level in levels]
                    wanted = list(filter(None, by_level)) if _is_by_level(operation) else [names]
                    if not any(_waits_for(operation, ID, names) for names in wanted):
                        lines.append(f"{operation.name} reads {source.name} before: {ID}")
    assert read == set(features_of), "not every table is read"
    return lines


def _needed_in_model(operation, model):
    """What an operation of the model must wait for, by the arguments that reach it."""
    needed = []
    if _reads(operation, "dense", "request_dense_features", "candidate_dense_features"):
        needed += DENSE
    if _reads(operation, "num_candidates"):
        needed += COUNTS
    parts = ("values", "lengths", "weights")
    if _reads(operation, *(f"{level}{part}" for level in LEVELS for part in parts)):
        needed += LENGTHS
        needed += WEIGHTS if model.embedding_bag_collection.is_weighted else []
        needed += ["is missing"] if _reads(operation, "examples") else []
    return needed


def _needed_before(operation):
    """What an operation before the model must wait for.

    A gather of weights by a mask over the ids needs as many of them; the ids' own mask fits.
    """
    return WEIGHTS[:1] if operation.kind in GATHERS and _reads(operation, *ROW_WEIGHTS) else []


def _reads(operation, *arguments):
    return any(Source("argument", name) in operation.waits_for for name in arguments)


def _is_in_model(operation):
    """Whether it lies in the function that all signatures call once inputs are checked."""
    return any(name.startswith("__inference_rank_") for name in operation.path)


def _is_by_level(operation):
    """Whether it lies in the function that ranks candidates."""
    return any(name.startswith("__inference_rank_candidates_") for name in operation.path)


def _waits_for(operation, text, names):
    return _has_check(operation.waits_for, text, frozenset(names))


# Operations beside each other wait for the same.
@functools.cache
def _has_check(waits_for, text, names):
    return any(
        isinstance(check, Check) and text in check.message and names <= check.names
        for check in waits_for
    )


@pytest.mark.parametrize("family", ["dlrm_weighted_two_outputs", "deepfm_ranker"])
def test_nothing_runs_before_its_checks(exported, family):
    """Neither the model's operations, nor gathers by lengths, nor reads of a table, on any level.

    They depend on the assertions by edges of the graph, followed through all functions. A table is
    read after the check that names its own features. With weights, and with two collections.
    """
    exported = exported(family)
    levels = [SHARED, [name for name in FEATURES if name not in SHARED]]
    graph_def = graph_of(exported.path).graph_def
    found = operations(graph_def)
    assert unchecked(found, exported.model, levels) == []
    named = {
        name
        for operation in found
        for check in operation.waits_for
        if isinstance(check, Check) and LENGTHS[1] in check.message
        for name in check.names
    }
    assert named >= set(FEATURES)
    # Without the edges that `after` and `refuse_id` make, each kind is found missing.
    lines = unchecked(operations(without_control_edges(graph_def)), exported.model, levels)
    of_candidates = "\n".join(line for line in lines if "rank_candidates" in line)
    of_examples = "\n".join(line for line in lines if "rank_candidates" not in line)
    wanted = [*DENSE, *LENGTHS, *(WEIGHTS if exported.is_weighted else [])]
    assert [text for text in [*wanted, ID, "is missing"] if text not in of_examples] == []
    assert [text for text in [*wanted, *COUNTS] if text not in of_candidates] == []


def without_control_edges(graph_def):
    """The same graph, whose operations wait for their data alone."""
    without = type(graph_def).FromString(graph_def.SerializeToString())
    for function in without.library.function:
        for node in function.node_def:
            node.input[:] = [name for name in node.input if not name.startswith("^")]
    return without
