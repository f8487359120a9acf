"""A recipe's model."""

import inspect
from collections.abc import Mapping
from typing import Any

import keras

from tfrec_models._checks.names import nearest
from tfrec_models.datasets.schema import Schema
from tfrec_models.deepfm import DeepFMRanker, SimpleDeepFMNN
from tfrec_models.dlrm import (
    DLRM,
    DLRM_DCN,
    DLRM_Projection,
    InteractionConcatArch,
    InteractionParallelDCNArch,
)
from tfrec_models.embeddings.embedding_bag_collection import EmbeddingBagCollection
from tfrec_models.embeddings.embedding_bag_config import EmbeddingBagConfig
from tfrec_models.layers import MLP, CrossNet, LowRankCrossNet
from tfrec_models.metrics import Calibration, ExactAUC, NormalizedEntropy
from tfrec_models.ranking_model import RankingModel
from tfrec_models.recipes.build_optimizer import build_optimizer
from tfrec_models.recipes.recipe import Recipe

_TABLE_KEYS = ("pooling", "data_type", "id_policy", "initializer")
_INITIALIZERS: dict[str, Any] = {
    name: item
    for name, item in vars(keras.initializers).items()
    if inspect.isclass(item) and name != "Initializer"
}


def build_model(recipe: Recipe, schema: Schema) -> RankingModel:
    """A recipe's model, compiled with its optimizers, log loss and metrics.

    Args:
        recipe: `Recipe`.
        schema: `Schema`, as `build_schema` gives it: its features are the model's.

    Returns:
        A ranking model such as `DLRM`. Its loss is the mean log loss; its metrics are "auc",
        "normalized_entropy" and "calibration".

    Raises:
        ValueError: on sizes that the model needs and the recipe lacks, or that do not fit.

    Example:

    >>> from tfrec_models.recipes import Recipe, build_model, build_schema
    >>> recipe = Recipe().override([
    ...     "data.schema=criteo", "data.schema_arguments.num_ids=100",
    ...     "model.dense_arch_layer_sizes=[32, 16]", "model.over_arch_layer_sizes=[32, 1]",
    ... ])
    >>> model = build_model(recipe, build_schema(recipe))
    >>> model.dense_in_features, model.num_outputs
    (13, 1)
    """
    model = uncompiled_model(recipe, build_tables(recipe, schema), schema.num_dense)
    model.compile(
        build_optimizer(recipe),
        loss=keras.losses.BinaryCrossentropy(from_logits=model.gives_logits),
        metrics=[
            ExactAUC(from_logits=model.gives_logits, name="auc"),
            NormalizedEntropy(from_logits=model.gives_logits),
            Calibration(from_logits=model.gives_logits),
        ],
    )
    return model


def build_tables(recipe: Recipe, schema: Schema) -> EmbeddingBagCollection:
    """A recipe's embedding tables, one for each sparse column of the schema but those like others.

    Raises:
        ValueError: on settings of a table that is not there, or unknown settings.
    """
    tables = recipe.tables
    for name, settings in tables.by_name.items():
        key = f"tables.by_name.{name}"
        if name not in schema.tables():
            raise ValueError(f"{key}: there is no table {name!r}{nearest(name, schema.tables())}")
        if not isinstance(settings, Mapping):
            raise ValueError(f"{key} must be a mapping of settings, received {settings!r}.")
        for other in settings:
            if other not in _TABLE_KEYS:
                raise ValueError(f"{key} has no {other!r}{nearest(other, _TABLE_KEYS)}")
    common = {key: getattr(tables, key) for key in _TABLE_KEYS}
    configs = []
    for name, features in schema.tables().items():
        settings = {**common, **tables.by_name.get(name, {})}
        initializer = settings.pop("initializer")
        is_own = "initializer" in tables.by_name.get(name, {})
        key = f"tables.by_name.{name}.initializer" if is_own else "tables.initializer"
        configs.append(
            EmbeddingBagConfig(
                num_embeddings=schema.num_ids(name),
                embedding_dim=tables.dim,
                name=name,
                feature_names=features,
                init_fn=_initializer(initializer, key),
                **settings,
            )
        )
    return EmbeddingBagCollection(
        configs, is_weighted=schema.is_weighted, dtype=_policy(recipe), name="embeddings"
    )


def uncompiled_model(
    recipe: Recipe, tables: EmbeddingBagCollection, num_dense: int
) -> RankingModel:
    """A recipe's model over any tables and number of dense features."""
    sizes: Any = recipe.model
    if missing := sizes.missing():
        raise ValueError(
            f"model.kind {sizes.kind!r} needs {missing}, received null; set model.{missing[0]}=..."
        )
    regularization: dict[str, Any] = {
        "dropout": recipe.regularization.dropout,
        "batch_normalization": recipe.regularization.batch_normalization,
    }
    keywords: dict[str, Any] = {"dtype": _policy(recipe), "name": sizes.kind.lower()}
    if sizes.kind == "SimpleDeepFMNN":
        if any(regularization.values()):
            raise ValueError(
                "SimpleDeepFMNN has no dropout and no batch normalization, received "
                f"regularization {regularization}; take DeepFMRanker."
            )
        return SimpleDeepFMNN(
            num_dense, tables, sizes.hidden_layer_size, sizes.deep_fm_dimension, **keywords
        )
    if sizes.kind == "DeepFMRanker":
        return DeepFMRanker(tables, num_dense, sizes.deep_layer_sizes, **regularization, **keywords)
    ends = {
        "dense_arch_layer_sizes": sizes.dense_arch_layer_sizes or [recipe.tables.dim],
        "over_arch_layer_sizes": sizes.over_arch_layer_sizes,
        **regularization,
    }
    if sizes.kind == "DLRM":
        interaction = _interaction(recipe, len(tables.embedding_names), regularization)
        return DLRM(tables, num_dense, inter_arch=interaction, **ends, **keywords)
    kinds: dict[str, Any] = {"DLRM_DCN": DLRM_DCN, "DLRM_Projection": DLRM_Projection}
    inner = {name: getattr(sizes, name) for name in sizes.needed() if name not in ends}
    return kinds[sizes.kind](tables, num_dense, **ends, **inner, **keywords)


def _interaction(recipe, num_features, regularization):
    """The interaction of a DLRM; None for its own, dot products."""
    sizes, policy = recipe.model, _policy(recipe)
    if sizes.interaction == "dot":
        return None
    if sizes.interaction == "concat":
        return InteractionConcatArch(num_features, dtype=policy, name="inter_arch")
    width = (num_features + 1) * recipe.tables.dim
    cross = {"num_layers": sizes.dcn_num_layers, "dtype": policy, "name": "crossnet"}
    return InteractionParallelDCNArch(
        num_features,
        CrossNet(width, **cross)
        if sizes.dcn_low_rank_dim is None
        else LowRankCrossNet(width, low_rank=sizes.dcn_low_rank_dim, **cross),
        MLP(width, sizes.deep_layer_sizes, **regularization, dtype=policy, name="deep"),
        dtype=policy,
        name="inter_arch",
    )


def _initializer(setting, key):
    """A Keras initializer of a name, or of a mapping of a name and its arguments."""
    if setting is None:
        return None
    if isinstance(setting, str):
        setting = {"name": setting}
    if not isinstance(setting, Mapping) or "name" not in setting:
        raise ValueError(
            f"{key} must be a name or a mapping of a name and its arguments, such as "
            f"{{name: RandomNormal, stddev: 0.01}}, received {setting!r}."
        )
    name = setting["name"]
    arguments = {other: value for other, value in setting.items() if other != "name"}
    # A name with ">" is one that the user has registered with Keras.
    if ">" not in str(name):
        if name not in _INITIALIZERS:
            raise ValueError(f"{key}: there is no {name!r}{nearest(name, _INITIALIZERS)}")
        known = inspect.signature(_INITIALIZERS[name]).parameters
        for argument in arguments:
            if argument not in known:
                raise ValueError(f"{key}: {name} has no {argument!r}{nearest(argument, known)}")
    return keras.initializers.get({"class_name": name, "config": arguments})


def _policy(recipe):
    return None if recipe.precision == "float32" else recipe.precision
