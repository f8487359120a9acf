"""Checks of constructor and call arguments that several layers share."""


def check_positive(argument, value):
    """Raises ValueError unless `value` is an integer above 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{argument} must be a positive integer, received {value!r}.")


def check_not_negative(argument, value):
    """Raises ValueError unless `value` is an integer, 0 or above."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{argument} must be an integer, 0 or above, received {value!r}.")


def check_sizes(argument, values):
    """Raises ValueError unless `values` is a list of integers above 0."""
    if isinstance(values, (str, int)) or any(
        isinstance(value, bool) or not isinstance(value, int) or value < 1 for value in values
    ):
        raise ValueError(f"{argument} must be a list of positive integers, received {values!r}.")


def check_width(layer, inputs, width):
    """Raises ValueError where the last axis of `inputs` is known not to be `width`."""
    columns = inputs.shape[-1] if len(inputs.shape) else None
    if not len(inputs.shape) or (columns is not None and columns != width):
        raise ValueError(
            f"{type(layer).__name__} {layer.name!r} was made for {width} input columns, received "
            f"shape {tuple(inputs.shape)}."
        )
