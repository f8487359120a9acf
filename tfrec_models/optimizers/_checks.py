"""Refuses what an optimizer cannot do right, before anything is changed."""

import inspect

import tensorflow as tf

_TORCH_NAMES = {"lr": "learning_rate", "eps": "epsilon", "betas": "beta_1 and beta_2"}


def check_keywords(cls, keywords):
    """Refuses unknown hyper-parameters, and the two that would walk whole tables."""
    known = dict.fromkeys(
        name
        for base in cls.__mro__
        for name, parameter in inspect.signature(base.__init__).parameters.items()
        if name != "self"
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    )
    unknown = [name for name in keywords if name not in known]
    if unknown:
        hints = "".join(f" {n!r} is {_TORCH_NAMES[n]} here." for n in unknown if n in _TORCH_NAMES)
        raise ValueError(
            f"{cls.__name__} received unknown arguments {unknown}.{hints} It takes {[*known]}."
        )
    steps = keywords.get("gradient_accumulation_steps")
    if steps:
        raise ValueError(
            f"{cls.__name__} received gradient_accumulation_steps={steps}, which would keep and "
            "walk a second copy of every table. Use a larger batch, or accumulate in the dense "
            "part only: CompositeOptimizer(embedding_optimizer=..., dense_optimizer=<a Keras "
            "optimizer with gradient_accumulation_steps>)."
        )
    frequency = keywords.get("ema_overwrite_frequency")
    if frequency:
        raise ValueError(
            f"{cls.__name__} received ema_overwrite_frequency={frequency}, which would rewrite "
            "every row of every table. Leave it None: finalize_variable_values(), which fit() "
            "calls at its end, writes the averages."
        )


def check_accumulator(initial_accumulator_value, epsilon):
    """Refuses settings of Adagrad that divide by zero or take the root of a negative number."""
    for name, value in (
        ("initial_accumulator_value", initial_accumulator_value),
        ("epsilon", epsilon),
    ):
        if not value >= 0:
            raise ValueError(f"{name} must be zero or positive. Received: {value}")
    if not initial_accumulator_value and not epsilon:
        raise ValueError(
            "initial_accumulator_value and epsilon cannot both be 0: a gradient of zero would "
            "divide 0 by 0. Use a small epsilon such as 1e-8."
        )


def check_variables(optimizer, variables):
    """Refuses a list of variables with one of them twice."""
    seen = set()
    for variable in variables:
        if id(variable) in seen:
            raise ValueError(
                f"{optimizer.name}: variable {variable.name!r} is in the list twice. "
                "Pass each variable once."
            )
        seen.add(id(variable))


def check_count(optimizer, grads, variables):
    """Refuses lists that do not pair up, and gradients alone for an optimizer not built yet."""
    if not variables:
        raise ValueError(
            f"{optimizer.name}: apply() received gradients without variables before the optimizer "
            "was built. Pass the variables too, or call build(variables) first."
        )
    if len(grads) != len(variables):
        raise ValueError(
            f"{optimizer.name}: received {len(grads)} gradients for {len(variables)} variables. "
            "Pass one gradient (or None) for each variable."
        )


def check_gradients(optimizer, grads, variables):
    """Refuses gradients that do not belong to the variables, or rows that cannot be updated."""
    for gradient, variable in zip(grads, variables, strict=True):
        if not optimizer.is_known(variable):
            raise ValueError(
                f"{optimizer.name}: variable {variable.name!r} is not one of those the optimizer "
                "was built with. Make a new optimizer for a new list of variables."
            )
        if gradient is None:
            continue
        sparse = isinstance(gradient, tf.IndexedSlices)
        received = gradient.values.shape if sparse else gradient.shape
        expected = (None, *variable.shape[1:]) if sparse else tuple(variable.shape)
        if not received.is_compatible_with(expected):
            kind = "rows of shape" if sparse else "shape"
            raise ValueError(
                f"{optimizer.name}: the gradient of variable {variable.name!r} has {kind} "
                f"{tuple(received)}, expected {expected}."
            )
        if sparse and getattr(variable, "constraint", None) is not None:
            raise ValueError(
                f"{optimizer.name}: variable {variable.name!r} has a constraint, which would walk "
                "the whole table at every step. Remove the constraint from the table."
            )


def check_state(optimizer, variables, values):
    """Refuses saved state that does not fit, before any of it is written."""
    if len(values) != len(variables):
        raise ValueError(
            f"{optimizer.name}: received a state of {len(values)} arrays, expected "
            f"{len(variables)}. Load the state into an optimizer of the same class and "
            "hyper-parameters, built on the same variables. Nothing was loaded."
        )
    for variable, value in zip(variables, values, strict=True):
        if tuple(variable.shape) != tuple(value.shape):
            raise ValueError(
                f"{optimizer.name}: the state for {variable.name!r} has shape "
                f"{tuple(value.shape)}, expected {tuple(variable.shape)}: it was saved with "
                "tables of another size. Nothing was loaded."
            )
