"""The one way through a lookup: resolve ids, read rows, pool them, arrange the result.

Inputs of every form are a `BagBatch` by now. What differs is how rows are read and pooled: each
path is a function of a store of rows, a stack and bags, and `choose_path` is the one place that
picks among them.
"""

from tfrec_models import execution
from tfrec_models.embeddings.gather_single import gather_single
from tfrec_models.embeddings.manage_ids import with_admitted_rows
from tfrec_models.embeddings.pool_native import equals_stock, pool_native
from tfrec_models.embeddings.pool_stock import pool_or_gather, pool_stock
from tfrec_models.embeddings.table_rows import KernelRows, VariableRows
from tfrec_models.native.lookup import serves


def pooled_lookup(variable, stack, bags, training=None, store=None):
    """Looks up and pools the bags of all columns of one table stack.

    Args:
        variable: `tf.Variable` of shape `(stack.num_rows, stack.embedding_dim)`.
        stack: `TableStack`, where each table lies in the variable.
        bags: `BagBatch` of the stack's columns.
        training: bool or None, as in a call of a Keras layer.
        store: what the rows are read from, `store_of(variable, stack)` unless it is given.

    Returns:
        Tensor of shape `(B, C, embedding_dim)` in the dtype of the rows.
    """
    store = store or store_of(variable, stack)
    if training:
        bags = with_admitted_rows(variable, stack, bags)
    return choose_path(store, bags, training)(store, stack, bags)


def choose_path(store, bags, training):
    """Returns the function that reads and pools.

    Args:
        store: `VariableRows` or `DecodedRows`.
        bags: `BagBatch`.
        training: bool or None. True may use the kernels; False, as a portable execution, may branch
            on the ids, whose gradient would be dense, and in this process use kernels of equal
            bits; None does neither.
    """
    chosen = execution.current()
    is_portable = training is False or chosen.portable
    may_use_kernels = isinstance(store, VariableRows) and (
        chosen.in_process and equals_stock(store, bags) if is_portable else training
    )
    if bags.is_single:
        # `predict` would gain little, and its first call would wait for the compiler.
        may_use_kernels = may_use_kernels and (training or chosen.infers_as_it_trains)
        return gather_by_kernel if may_use_kernels and serves(store.variable) else gather_single
    if may_use_kernels and serves(store.variable):
        return pool_native
    return pool_or_gather if is_portable else pool_stock


def gather_by_kernel(store, stack, bags):
    """As `gather_single`, which differs in what reads the rows alone."""
    return gather_single(KernelRows(store.variable), stack, bags)


def store_of(variable, stack):
    """The rows that lookups of a stack read here: its variable's, or those of an export."""
    return execution.current().rows.get(stack) or VariableRows(variable)
