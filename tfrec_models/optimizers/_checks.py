"""Refuses what an optimizer cannot do right, before anything is changed."""

import inspect
import warnings

import numpy as np
import tensorflow as tf

from tfrec_models._compat.keras import knows_variable
from tfrec_models._rows.saved_tables import REGULARIZED

# What is smaller is 0 to float32 arithmetic that flushes subnormal numbers, as TensorFlow's does.
_SMALLEST = float(np.finfo(np.float32).tiny)
_TORCH_NAMES = {"lr": "learning_rate", "eps": "epsilon", "betas": "beta_1 and beta_2"}


def check_keywords(cls, keywords):
    """Refuses unknown hyperparameters, and the two that would walk whole tables."""
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
    check_not_negative("initial_accumulator_value", initial_accumulator_value)
    check_not_negative("epsilon", epsilon)
    if initial_accumulator_value < _SMALLEST and epsilon < _SMALLEST:
        raise ValueError(
            "initial_accumulator_value and epsilon must not both be 0 in float32, received "
            f"{initial_accumulator_value} and {epsilon}: a gradient of zero would divide 0 by 0. "
            "Use a small epsilon such as 1e-8."
        )


def check_moments(beta_1, beta_2, epsilon):
    """Refuses settings of Adam that divide by zero."""
    for name, value in (("beta_1", beta_1), ("beta_2", beta_2)):
        if not 0 <= value < 1:
            raise ValueError(
                f"{name} must be 0 or above and below 1, received {value}: a moment that keeps all "
                "of itself never learns, and its bias correction divides by 0."
            )
    if not epsilon >= _SMALLEST:
        raise ValueError(
            f"epsilon must be positive in float32, received {epsilon}: a gradient of zero would "
            "divide 0 by 0. Use a small epsilon such as 1e-8."
        )


def check_not_negative(name, value):
    """Refuses a coefficient that is negative or NaN."""
    if not value >= 0:
        raise ValueError(f"{name} must be zero or positive, received {value}.")


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


def warn_of_regularizers(variables):
    """Warns of tables with a regularizer, which is slow and in no file."""
    for variable in variables:
        if hasattr(variable, "table_stack") and variable.regularizer is not None:
            warnings.warn(REGULARIZED.format(variable.name), stacklevel=4)


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
    """Refuses gradients that do not belong to the variables."""
    for gradient, variable in zip(grads, variables, strict=True):
        if not knows_variable(optimizer, variable):
            raise ValueError(
                f"{optimizer.name}: variable {variable.name!r} is not one of those the optimizer "
                "was built with. Make a new optimizer for a new list of variables; after layers "
                "were frozen or unfrozen, compile the model again."
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


def check_constraints(optimizer, grads, variables):
    """Refuses constraints that would walk a table for the gradient of some rows."""
    for gradient, variable in zip(grads, variables, strict=True):
        constrained = getattr(variable, "constraint", None) is not None
        if constrained and isinstance(gradient, tf.IndexedSlices):
            raise ValueError(
                f"{optimizer.name}: variable {variable.name!r} has a constraint, which would walk "
                "the whole table at every step. Remove the constraint from the table."
            )


def finite_checks(optimizer, grads, variables):
    """Returns operations that fail, and name the variable, where a gradient is not finite."""
    return [
        tf.debugging.check_numerics(
            getattr(g, "values", g),
            f"{optimizer.name}: the gradient of variable {v.name!r} is not finite; no weight and "
            "no state of the optimizer was updated",
        )
        for g, v in zip(grads, variables, strict=True)
        if g is not None
    ]


def check_state(optimizer, variables, values):
    """Refuses saved state that does not fit, before any of it is written."""
    if len(values) != len(variables):
        raise ValueError(
            f"{optimizer.name}: received a state of {len(values)} arrays, expected "
            f"{len(variables)}. Load the state into an optimizer of the same class and "
            "hyperparameters, built on the same variables. Nothing was loaded."
        )
    for variable, value in zip(variables, values, strict=True):
        if tuple(variable.shape) != tuple(value.shape):
            raise ValueError(
                f"{optimizer.name}: the state for {variable.name!r} has shape "
                f"{tuple(value.shape)}, expected {tuple(variable.shape)}: it was saved with "
                "tables of another size. Nothing was loaded."
            )
