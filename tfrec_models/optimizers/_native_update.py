"""The update of a table's rows by one native kernel, where it does all that is asked for."""

from tfrec_models._rows.row_access import read_rows
from tfrec_models.native.lookup import serves
from tfrec_models.native.update import update_rows, with_distinct_rows
from tfrec_models.optimizers._moving_average import update_average


def update_natively(optimizer, gradient, variable, learning_rate):
    """Applies a sparse gradient by the kernel for the optimizer's rule.

    Args:
        optimizer: `RowOptimizer`.
        gradient: `tf.IndexedSlices`, with or without repeats.
        variable: `tf.Variable`.
        learning_rate: scalar.

    Returns:
        Whether it has done so. If not, there is no kernel for the rule, or not for this variable.
    """
    native_rule = _native_rule(optimizer, variable, learning_rate)
    if native_rule is None:
        return False
    slots, averages = optimizer.state_of(variable)
    if averages:
        gradient = with_distinct_rows(gradient)
    rows = gradient.indices
    optimizer.reset_reused(variable, rows)
    old = read_rows(variable, rows, variable.dtype) if averages else None
    decay = 0.0
    if optimizer.has_weight_decay(variable):
        decay = optimizer.weight_decay * learning_rate
    update_rows(variable, slots, gradient, *native_rule, l2=optimizer.l2, decay=decay)
    if averages:
        new = read_rows(variable, rows, variable.dtype)
        step = optimizer.iterations + 1
        update_average(*averages, rows, old, new, step, optimizer.ema_momentum)
    return True


def _native_rule(optimizer, variable, learning_rate):
    if not serves(variable):
        return None
    # Averages are of weights before they are rounded to the type of a table.
    if optimizer.use_ema and variable.dtype != "float32":
        return None
    # A subclass may have changed the formula without knowing of a second one.
    if type(optimizer).rule is not type(optimizer).native_formula:
        return None
    return optimizer.native_rule(learning_rate)
