"""What is inside an optimizer."""

from tfrec_models.optimizers.composite_optimizer import CompositeOptimizer


def optimizer_parts(optimizer):
    """Returns an optimizer and all those inside it."""
    inside = [*getattr(optimizer, "optimizers", []), getattr(optimizer, "inner_optimizer", None)]
    found = [optimizer]
    for part in inside:
        if part is not None:
            found += optimizer_parts(part)
    return found


def table_optimizer(optimizer):
    """Returns the optimizer that updates the tables, inside a loss scale and a composite."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if isinstance(optimizer, CompositeOptimizer):
        return optimizer.embedding_optimizer
    return optimizer
