"""What the peers on TensorFlow share."""

import time

import tensorflow as tf

from peers.workload import NUM_BATCHES


def set_threads(workload):
    """Before the first operation."""
    tf.config.threading.set_intra_op_parallelism_threads(workload.threads)
    tf.config.threading.set_inter_op_parallelism_threads(
        workload.operations_at_once or workload.threads
    )


def fit_job(model, elements):
    """Whole `model.fit` calls, their start included.

    Args:
        model: a compiled model.
        elements: dataset of the batches, once; it is held in memory and repeated.
    """
    dataset = in_memory(elements)

    def fit(steps):
        start = time.perf_counter()
        model.fit(dataset, steps_per_epoch=steps, epochs=1, verbose=0)
        return [(time.perf_counter() - start) / steps]

    return fit


def answer_job(model, call, elements):
    """Whole calls of `evaluate` or `predict` on as many batches as asked for.

    Args:
        model: a compiled model that was trained for a step.
        call: "evaluate" or "predict".
        elements: as in `fit_job`.
    """
    dataset = in_memory(elements)

    def answer(steps):
        start = time.perf_counter()
        getattr(model, call)(dataset, steps=steps, verbose=0)
        return [(time.perf_counter() - start) / steps]

    return answer


def in_memory(elements):
    """A dataset that is held in memory and repeated.

    Without autotuning: there is nothing to tune, and the end of an iterator waits for the tuner's
    next turn, up to a second and more after short blocks of steps.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return elements.cache().repeat().prefetch(2).with_options(options)


def call_job(call, batches):
    """One call after another, each timed until its result is in NumPy's hands."""
    state = {"next": 0}

    def run(steps):
        times = []
        for _ in range(steps):
            batch = batches[state["next"] % NUM_BATCHES]
            state["next"] += 1
            start = time.perf_counter()
            result = call(batch)
            getattr(result, "numpy", lambda: None)()
            times.append(time.perf_counter() - start)
        return times

    return run


def side_by_side(workload):
    """Batches of dense features, ids (B, all bags) and labels, for peers that slice them."""
    return [
        (
            tf.constant(batch.dense),
            tf.concat([tf.constant(ids) for ids in batch.ids], 1),
            tf.constant(batch.labels[:, None]),
        )
        for batch in workload.batches()
    ]


def as_dataset(elements):
    """A dataset of ready tensors."""
    flat = [tf.nest.flatten(element) for element in elements]
    stacked = tf.nest.pack_sequence_as(
        elements[0], [tf.stack(parts) for parts in zip(*flat, strict=True)]
    )
    return tf.data.Dataset.from_tensor_slices(stacked)


def split_bags(ids, workload):
    """The ids of each feature: (B,) where the bag is 1, else (B, bag)."""
    return [
        tf.squeeze(part, 1) if bag == 1 else part
        for part, bag in zip(tf.split(ids, workload.bags, axis=1), workload.bags, strict=True)
    ]
