"""A model whose dense half computes in fewer bits than its weights have."""

import keras

COMPUTE_DTYPES = ("bfloat16",)


def computing_in(model, compute_dtype):
    """Returns a model of the same class whose layers compute in `compute_dtype`.

    Its tables are the model's own; its dense weights, float32 as before, are to be filled by
    `copy_weights`.

    Args:
        model: a built `RankingModel`.
        compute_dtype: one of `COMPUTE_DTYPES`, or None for the model itself.

    Raises:
        ValueError: if the model cannot be made again from its config.
    """
    if compute_dtype is None:
        return model
    config = {
        name: _with_policy(value, f"mixed_{compute_dtype}")
        for name, value in model.get_config().items()
    }
    try:
        other = type(model).from_config(
            {**config, "embedding_bag_collection": model.embedding_bag_collection}
        )
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"compute_dtype={compute_dtype!r} needs a model that its config makes again, with "
            f"embedding_bag_collection among the arguments, received a {type(model).__name__}: "
            f"{error}. Give it a get_config, as for saving, or leave compute_dtype out."
        ) from error
    other.build()
    return other


def copy_weights(model, other):
    """Gives what `computing_in` returned the weights of the model that are not shared."""
    for ours, theirs in zip(model.weights, other.weights, strict=True):
        if ours is not theirs:
            theirs.assign(ours)


def _with_policy(config, policy):
    """A config with that policy in place of float32, in all layers below too."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy" and config["config"]["name"] == "float32":
            return keras.saving.serialize_keras_object(keras.DTypePolicy(policy))
        return {name: _with_policy(value, policy) for name, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(_with_policy(item, policy) for item in config)
    return config
