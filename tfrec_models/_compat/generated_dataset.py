"""A `tf.data.Dataset` of what a Python generator yields, without `Dataset.from_generator`.

From TensorFlow 2.21 on the first `from_generator` of a process tells the C library to return every
freed buffer to the system at once (`mallopt`, `M_TRIM_THRESHOLD` of 128 KiB), permanently. Each
step of a training then faults in the memory of its activations again, which took a third of a step.

What `from_generator` alone offers publicly is a function that is called when an iterator ends
early, so that files are closed. Here the end is seen by the array that `start` returns:
TensorFlow takes an aligned array for a tensor's memory without a copy, and the tensor lives as long
as the iterator. `tests/compat` checks both.
"""

import itertools
import weakref

import numpy as np
import tensorflow as tf

# The alignment with which TensorFlow takes an array's memory as it is.
_ALIGNMENT = 64


def generated_dataset(generate, arguments, signature):
    """A dataset of what `generate(argument)` yields for each argument of a dataset.

    Args:
        generate: generator function of a NumPy scalar or array. Its generator is closed when its
            iterator is exhausted or dropped.
        arguments: `tf.data.Dataset` of tensors.
        signature: a nest of `tf.TensorSpec`; the generator yields nests of arrays like it.

    Returns:
        `tf.data.Dataset` of elements like `signature`.
    """
    running, numbers = {}, itertools.count()
    specs = tf.nest.flatten(signature)
    # What follows the last element; `take_while` drops it.
    end = [np.zeros([size or 0 for size in s.shape], s.dtype.as_numpy_dtype) for s in specs]

    def start(argument):
        key = _aligned_key(next(numbers))
        running[int(key[0])] = generate(argument)
        ended = weakref.finalize(key, _close, running, int(key[0]))
        ended.atexit = False
        return key

    def following(key):
        element = next(running[int(key[0])], None)
        return (False, *end) if element is None else (True, *tf.nest.flatten(element))

    def elements(key):
        def element(_):
            more, *arrays = tf.numpy_function(
                following, [key], [tf.bool, *(s.dtype for s in specs)]
            )
            for array, spec in zip(arrays, specs, strict=True):
                array.set_shape(spec.shape)
            more.set_shape(())
            return more, tf.nest.pack_sequence_as(signature, arrays)

        steps = tf.data.Dataset.range(tf.int64.max).map(element)
        return steps.take_while(lambda more, _: more).map(lambda _, element: element)

    keys = arguments.map(lambda argument: tf.numpy_function(start, [argument], tf.int64))
    return keys.flat_map(elements)


def _aligned_key(number):
    memory = np.empty(1 + _ALIGNMENT // 8, np.int64)
    first = -memory.ctypes.data % _ALIGNMENT // 8
    key = memory[first : first + 1]
    key[0] = number
    return key


def _close(running, number):
    running.pop(number).close()
