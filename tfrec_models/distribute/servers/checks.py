"""What training on parameter servers does not support, refused before a step is taken."""

import keras
import tensorflow as tf

from tfrec_models._compat.keras import is_made_in
from tfrec_models._compat.tensorflow import num_workers
from tfrec_models._rows.sharding import is_sharded, on_servers
from tfrec_models._rows.variables import tf_variable
from tfrec_models.distribute.cluster import check_optimizer_scope
from tfrec_models.embeddings.find_tables import tables_in
from tfrec_models.optimizers.base_row_optimizer import RowOptimizer
from tfrec_models.optimizers.unwrap import optimizer_parts, table_optimizer


def check_callbacks(callbacks):
    """Raises ValueError on a callback that needs the state after every single step."""
    for callback in callbacks:
        saves_in_epoch = getattr(callback, "save_freq", "epoch") != "epoch"
        refused = (keras.callbacks.BackupAndRestore, keras.callbacks.SwapEMAWeights)
        if isinstance(callback, refused) or saves_in_epoch:
            raise ValueError(
                f"{type(callback).__name__} needs the weights as they are after a single step, "
                "but here other steps run meanwhile. Use checkpoint_directory and save_every, or "
                "save_freq='epoch'."
            )


def check_server_strategy(model, strategy):
    """Raises ValueError unless the model was made for servers, and workers have one GPU at most."""
    if not on_servers(strategy) or not is_made_in(model, strategy):
        raise ValueError(
            f"{model.name} was made outside the scope of a ParameterServerStrategy. Make and "
            "compile it inside `with strategy.scope():`."
        )
    if strategy.num_replicas_in_sync > 1:
        raise ValueError(
            f"Each worker has {strategy.num_replicas_in_sync} GPUs; one is supported. Start one "
            "worker for each GPU, with CUDA_VISIBLE_DEVICES."
        )


def check_dense_weights(model):
    """Raises ValueError if the strategy cut any weight that is no table."""
    tables = {id(variable) for layer in tables_in(model) for variable in layer.table_variables}
    cut = [v for v in model.variables if is_sharded(tf_variable(v)) and id(v) not in tables]
    if cut:
        largest = max(tf.size(v.value).numpy() * v.value.dtype.size for v in cut)
        raise ValueError(
            f"The variable_partitioner cuts dense weights: {[v.path for v in cut]}. Only tables "
            "can be in pieces. Use MinSizePartitioner(min_shard_bytes=...) with more than "
            f"{largest} bytes."
        )


def check_optimizer(model):
    """Raises ValueError on an optimizer that cannot train the model here."""
    if not model.compiled:
        raise ValueError(
            f"{model.name} is not compiled. Call model.compile(...) inside "
            "`with strategy.scope():`, before fit_on_servers."
        )
    check_optimizer_scope(model)
    for part in optimizer_parts(model.optimizer):
        _check_part(part, num_workers(model.distribute_strategy))
    optimizer = table_optimizer(model.optimizer)
    if not isinstance(optimizer, RowOptimizer):
        raise ValueError(
            f"{type(optimizer).__name__} cannot update tables on parameter servers. Use one of "
            "tfrec_models.optimizers, or CompositeOptimizer to keep it for the dense weights."
        )
    if optimizer.use_ema:
        raise ValueError(
            f"{type(optimizer).__name__} has use_ema=True, and averages of tables are not kept on "
            "parameter servers. Leave use_ema out."
        )


def _check_part(optimizer, num_workers):
    name = type(optimizer).__name__
    if num_workers > 1 and isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        raise ValueError(
            f"{name} changes its scale as it trains, so one of the {num_workers} workers could "
            "divide a gradient by another scale than the loss was multiplied by. Train in "
            "mixed_bfloat16, which needs no scale, or with a constant loss_scale_factor."
        )
    # Keras keeps both behind a condition in which TensorFlow cannot wait for other replicas.
    if optimizer.gradient_accumulation_steps:
        raise ValueError(
            f"{name} has gradient_accumulation_steps={optimizer.gradient_accumulation_steps}, "
            "which is not supported on parameter servers. Leave it out, and make batches larger."
        )
    if optimizer.use_ema and optimizer.ema_overwrite_frequency:
        raise ValueError(
            f"{name} has ema_overwrite_frequency={optimizer.ema_overwrite_frequency}, which is "
            "not supported on parameter servers. Leave it out: the averages replace the dense "
            "weights at the end of training."
        )
