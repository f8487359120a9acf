"""Variables in pieces on several parameter servers, each a run of rows."""

import contextlib
import itertools

import tensorflow as tf

from tfrec_models._compat.tensorflow import decompose_indexed_slices

_lock_numbers = itertools.count()


def on_servers(strategy=None):
    """Whether variables live on parameter servers, under a strategy or the one in scope."""
    strategy = strategy or tf.distribute.get_strategy()
    return isinstance(strategy, tf.distribute.ParameterServerStrategy)


def is_sharded(variable):
    """Whether a variable is one in pieces, a `ShardedVariable`."""
    return getattr(variable, "is_sharded_variable", False) is True


def shards(variable):
    """The pieces of a variable in the order of their rows; the variable itself if it is whole."""
    return list(variable.variables) if is_sharded(variable) else [variable]


@contextlib.contextmanager
def filled_by_shard(initializer, shape, dtype):
    """Within it, a new variable under a partitioner is filled piece by piece, where each lies.

    Keras gives TensorFlow a function without a shape, and TensorFlow would make the whole value on
    the coordinator and cut it.

    Args:
        initializer: callable of (shape, dtype, first_row).
        shape: tuple, that of the whole variable.
        dtype: str.
    """
    if not on_servers():
        yield
        return

    def create(next_creator, **arguments):
        def initial_value(partition_shape=shape, partition_offset=(0,)):
            return initializer(tuple(partition_shape), dtype, first_row=partition_offset[0])

        arguments.update(initial_value=initial_value, shape=tf.TensorShape(shape), dtype=dtype)
        return next_creator(**arguments)

    with tf.variable_creator_scope(create):
        yield


@contextlib.contextmanager
def created_beside(variable, initializer, shape, dtype):
    """Within it, a new variable is cut as a sharded one is, each piece on the server of its rows.

    Args:
        variable: `ShardedVariable`.
        initializer: callable of (shape, dtype).
        shape: of the new variable, with as many rows.
        dtype: str.
    """

    def create(next_creator, **arguments):
        pieces = []
        for number, shard in enumerate(shards(variable)):
            piece_shape = (shard.shape[0], *shape[1:])

            def initial_value(piece_shape=piece_shape):
                return initializer(piece_shape, dtype=dtype)

            changed = {
                "initial_value": initial_value,
                "shape": tf.TensorShape(piece_shape),
                "dtype": dtype,
                "name": f"{arguments['name']}/part_{number}",
                "colocate_with": shard,
            }
            pieces.append(next_creator(**{**arguments, **changed}))
        return type(variable)(pieces)

    with tf.variable_creator_scope(create):
        yield


def gather_rows(variable, rows):
    """`tf.gather` from a variable, whole or in pieces; from pieces each row is fetched once."""
    if not is_sharded(variable):
        return tf.gather(variable, rows)
    used, position = tf.unique(tf.reshape(rows, [-1]))
    fetched = tf.nn.embedding_lookup(shards(variable), used)
    return tf.gather(fetched, tf.reshape(position, tf.shape(rows)))


def split_rows(variable, rows, values):
    """Returns the rows, counted within its piece, and the values that belong to each piece."""
    if not is_sharded(variable):
        return [(rows, values)]
    if rows is None:
        return [(None, part) for part in tf.split(values, [s.shape[0] for s in shards(variable)])]
    parts = decompose_indexed_slices(variable, tf.IndexedSlices(values, rows))
    return [(part.indices, part.values) for part in parts]


def join_gradients(variable, gradients):
    """Makes one gradient of those of a variable's pieces, with rows counted over the whole."""
    pieces = shards(variable)
    if len(pieces) == 1 or all(gradient is None for gradient in gradients):
        return gradients[0]
    values, rows, first = [], [], 0
    for piece, gradient in zip(pieces, gradients, strict=True):
        if isinstance(gradient, tf.IndexedSlices):
            values.append(gradient.values)
            rows.append(tf.cast(gradient.indices, tf.int64) + first)
        elif gradient is not None:
            values.append(gradient)
            rows.append(tf.range(first, first + piece.shape[0], dtype=tf.int64))
        first += piece.shape[0]
    return tf.IndexedSlices(tf.concat(values, 0), tf.concat(rows, 0), tuple(variable.shape))


def new_locks(variable):
    """One lock for each piece of a variable, on the server where it lies."""
    locks = []
    for piece in shards(variable):
        with tf.init_scope(), tf.device(piece.device):
            locks.append(tf.raw_ops.MutexV2(shared_name=f"row_update_{next(_lock_numbers)}"))
    return locks


def update_locked(piece, lock, update, *arguments):
    """Runs `update(*arguments)` where a piece lies, while no other worker does so.

    The arguments have arrived before the lock is taken, and the lock goes with the step that
    holds it: a worker that dies never leaves it behind.

    Args:
        piece: `tf.Variable`.
        lock: the piece's, of `new_locks`.
        update: callable that returns the operations it made last.
        *arguments: tensors, or None.
    """
    with tf.device(piece.device):
        arrived = [a if a is None else tf.identity(a) for a in arguments]
        if tf.executing_eagerly():
            update(*arrived)
            return
        with tf.control_dependencies([a for a in arrived if a is not None]):
            held = tf.raw_ops.MutexLock(mutex=lock)
        with tf.control_dependencies([held]):
            written = update(*arrived)
        with tf.control_dependencies(written):
            tf.raw_ops.ConsumeMutexLock(mutex_lock=held)
