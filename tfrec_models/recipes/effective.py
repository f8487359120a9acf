"""A recipe with the values that its nulls and missing arguments stand for."""

from tfrec_models.recipes.build_optimizer import build_optimizer
from tfrec_models.recipes.recipe import Recipe

# Arguments of an optimizer that a recipe has under keys of its own.
_ELSEWHERE = ("name", "learning_rate", "clipnorm", "clipvalue", "global_clipnorm", "l2")


def effective(recipe: Recipe) -> Recipe:
    """Returns the recipe with all arguments of its optimizers and the sizes of its dense arch.

    `training.mode` is the one of the metric that is monitored.

    Raises:
        ValueError: as `build_optimizer`.
    """
    config = recipe.to_dict()
    made = build_optimizer(recipe)
    for role, optimizer in (
        ("tables", made.embedding_optimizer),
        ("dense", made.dense_optimizer),
    ):
        arguments = config["optimizer"][role]["arguments"]
        for name, value in optimizer.get_config().items():
            if name not in _ELSEWHERE:
                arguments.setdefault(name, value)
    model = config["model"]
    if model["kind"].startswith("DLRM") and model["dense_arch_layer_sizes"] is None:
        model["dense_arch_layer_sizes"] = [recipe.tables.dim]
    config["training"]["mode"] = recipe.training.better
    return Recipe.from_dict(config)
