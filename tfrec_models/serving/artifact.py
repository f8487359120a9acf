"""An export before it lies in a directory."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from tfrec_models import execution
from tfrec_models._checks.arguments import check_integer
from tfrec_models.datasets.schema import Schema
from tfrec_models.embeddings.find_tables import tables_in
from tfrec_models.embeddings.static_id_map import StaticIdMap
from tfrec_models.multi_task_ranker import MultiTaskRanker
from tfrec_models.ranking_model import RankingModel, checked_dense, split_inputs
from tfrec_models.serving.accuracy_cost import accuracy_cost
from tfrec_models.serving.candidate_requests import candidates_of, one_request
from tfrec_models.serving.compute_dtype import COMPUTE_DTYPES, computing_in, copy_weights
from tfrec_models.serving.levels import Levels
from tfrec_models.serving.metadata import Metadata
from tfrec_models.serving.packed_bags import PackedBags
from tfrec_models.serving.quantization import TABLE_DTYPES, compact_rows, fill_rows
from tfrec_models.serving.raw_requests import raw_sample
from tfrec_models.serving.requests import RequestWriter
from tfrec_models.serving.sample import random_sample
from tfrec_models.serving.signatures import CANDIDATES, SIGNATURES, Signatures
from tfrec_models.serving.warmup import write_warmup_requests


class Artifact:
    """The traced functions of an export, its metadata and its warm-up requests.

    Args:
        model: `RankingModel`.
        **options: those of `export` but `version`.

    Raises:
        TypeError, ValueError: as `export`.
    """

    def __init__(
        self,
        model,
        *,
        table_dtype=None,
        compute_dtype=None,
        padding_value=-1,
        sample=None,
        request_features=None,
        request_dense=None,
        schema=None,
    ):
        padding_value = _check_arguments(model, padding_value, schema)
        if isinstance(model, MultiTaskRanker):
            # It names the columns of the ranker, which has ways of its own to serve.
            model = model.ranker
        # A DType equals its name, but is not what the metadata can hold.
        _check_choice("table_dtype", table_dtype, TABLE_DTYPES)
        _check_choice("compute_dtype", compute_dtype, COMPUTE_DTYPES)
        levels = Levels.of(
            model.sparse_feature_names,
            model.dense_in_features,
            request_features,
            request_dense,
            [] if schema is None else [column.name for column in schema.dense],
        )
        if not model.built:
            model.build()
        is_given = sample is not None
        if is_given:
            _check_form(model, sample)
        else:
            sample = random_sample(model, padding_value)
        trained, model = model, computing_in(model, compute_dtype)
        rows = compact_rows(model, table_dtype)
        id_maps = {
            stack.id_map: StaticIdMap(stack)
            for layer in tables_in(model)
            for stack in layer.table_stacks
            if stack.id_map is not None
        }
        with execution.using(execution.Execution(portable=True, rows=rows, id_maps=id_maps)):
            # Kept, since graphs hold what they read weakly.
            self._signatures = signatures = Signatures(model, padding_value, levels, schema)
            self.functions = signatures.trace()
        raw = signatures.raw
        # Last, so that tables and dense weights are of the same moment where another thread trains.
        copy_weights(trained, model)
        tables = fill_rows(model, rows)
        self.metadata = Metadata(
            model=type(model).__name__,
            versions={"tensorflow": tf.__version__, "keras": keras.__version__},
            dense_in_features=model.dense_in_features,
            num_outputs=model.num_outputs,
            names=signatures.names,
            is_weighted=signatures.is_weighted,
            padding_value=padding_value,
            tables=tables,
            compute_dtype=compute_dtype,
            signatures=list(self.functions),
            request_features=levels.request.features if levels else [],
            request_dense=levels.request.dense if levels else [],
            raw_columns=[dataclasses.asdict(column) for column in raw.columns] if raw else [],
        )
        writer = RequestWriter(self.metadata)
        ask = self.functions["serving_default"]
        if is_given:
            _check_sample(ask, writer.inputs(sample))
        if table_dtype is not None or compute_dtype is not None:
            cost = accuracy_cost(trained, ask, sample, writer.inputs(sample))
            self.metadata = dataclasses.replace(self.metadata, accuracy_cost=cost)
        self._requests = [writer.predict_request(sample, name) for name in SIGNATURES]
        if raw is not None:
            log = raw_sample(schema, raw.columns)
            self._requests += [writer.predict_request(log, name) for name in raw.makers()]
        if levels is not None:
            self._requests.append(self._check_candidates(model, writer, sample))

    def _check_candidates(self, model, writer, sample):
        """Returns the request for all examples of the sample as candidates of the first.

        Raises:
            ValueError: if the model gives them other logits than as examples: it reads its sparse
                features otherwise than by its collections.
        """
        alike = one_request(sample, self.metadata)
        batch = candidates_of(alike, self.metadata)
        logits = [
            self.functions[name](**_tensors(writer.inputs(inputs, name)))["logits"].numpy()
            for name, inputs in (("serving_packed", alike), (CANDIDATES, batch))
        ]
        # Half precision rounds sums of another order apart; what is not looked up is further off.
        tolerance = 1e-3 if model.compute_dtype in ("float32", "float64") else 5e-2
        if not np.allclose(*logits, rtol=tolerance, atol=tolerance, equal_nan=True):
            raise ValueError(
                f"{type(model).__name__} reads sparse_features in other ways than lookups of its "
                "embedding bag collections, which serving_candidates makes before it calls the "
                "model. Leave request_features and request_dense out."
            )
        return writer.predict_request(batch, CANDIDATES)

    def write(self, path):
        """Writes it into a directory: no model, no optimizer."""
        module = tf.Module()
        module.variables_read = self._signatures.variables
        if self._signatures.raw is not None:
            module.resources = self._signatures.raw.resources
        tf.saved_model.save(module, str(path), signatures=self.functions)
        self.metadata.write(path)
        write_warmup_requests(path, self._requests)


def _check_form(model, sample):
    """Raises ValueError or TypeError, before anything is traced, on what is no batch."""
    dense, sparse = split_inputs(sample, None)
    checked_dense(dense, model.dense_in_features)
    is_weighted = model.embedding_bag_collection.is_weighted
    PackedBags.of(sparse, model.sparse_feature_names, is_weighted)


def _check_sample(function, inputs):
    """Asks the export once: a server that cannot answer a warm-up request does not load it."""
    try:
        function(**_tensors(inputs))
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(
            "sample has what the export refuses, and as a warm-up request it would keep servers "
            f"from loading the version. Correct it, or leave sample out. {error.message}"
        ) from None


def _tensors(inputs):
    return {name: tf.constant(array) for name, array in inputs.items()}


def _check_choice(argument, value, choices):
    if value is not None and (not isinstance(value, str) or value not in choices):
        raise ValueError(f"{argument} must be None or one of {list(choices)}, received {value!r}.")


def _check_arguments(model, padding_value, schema):
    if not isinstance(model, RankingModel):
        raise TypeError(
            f"model must be a ranking model such as DLRM, received {type(model).__name__}. Of a "
            "model that contains a ranking model, export the one inside."
        )
    if schema is not None and not isinstance(schema, Schema):
        raise TypeError(
            "schema must be a tfrec_models.datasets.Schema, such as the one the log was read "
            f"with, received {type(schema).__name__}."
        )
    if schema is not None:
        schema.check_model(model)
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
