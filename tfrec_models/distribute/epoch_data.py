"""The batches of each epoch, the same ones in a run that was interrupted as in one that was not."""

import zlib

import tensorflow as tf

from tfrec_models._compat.keras import IterableAdapter


class EpochData(IterableAdapter):
    """Gives `fit` one iterator for each epoch, and can begin with any of them.

    Args:
        dataset: `tf.data.Dataset`, or a function from the number of an epoch to one.
        strategy: the model's `tf.distribute.Strategy`.
        steps_per_epoch: int for a dataset that continues over all epochs; None for one that is read
            from its start to its end in each.
    """

    def __init__(self, dataset, strategy, steps_per_epoch=None):
        is_function = callable(dataset) and not isinstance(dataset, tf.data.Dataset)
        if not is_function and not isinstance(dataset, tf.data.Dataset):
            raise TypeError(
                "dataset must be a tf.data.Dataset or a function that returns one for the number "
                f"of an epoch, received {type(dataset).__name__}."
            )
        if is_function and steps_per_epoch:
            raise ValueError(
                "steps_per_epoch is for one dataset that continues over all epochs; a function of "
                "the epoch returns the batches of one: let it return dataset.take(steps)."
            )
        self._strategy = strategy
        self._function = dataset if is_function else None
        self._steps_per_epoch = steps_per_epoch
        first_epoch = dataset(0) if is_function else dataset
        self.first_batch = next(iter(first_epoch.take(1)), None)
        if self.first_batch is None:
            raise ValueError("The dataset has no batch.")
        self._distributed = strategy.experimental_distribute_dataset(first_epoch)
        self._epoch = None
        self._opened = 0
        self._iterator = None

    @property
    def num_batches(self):
        if self._steps_per_epoch:
            return self._steps_per_epoch
        # A method of a dataset, a number in a distributed one.
        cardinality = self._distributed.cardinality
        number = int(cardinality() if callable(cardinality) else cardinality)
        return number if number >= 0 else None

    def fingerprint(self):
        """A number that tells whether two datasets begin with the same batch."""
        value = 0
        for tensor in tf.nest.flatten(self.first_batch, expand_composites=True):
            value = zlib.crc32(tf.io.serialize_tensor(tensor).numpy(), value)
        return value

    def begin(self, epoch):
        """Makes iterators those of this epoch."""
        self._epoch = epoch
        if not self._steps_per_epoch:
            self._iterator = None

    def end(self):
        """Lets go of the iterator."""
        self._iterator = None

    def __iter__(self):
        if self._epoch is None:
            # Keras looks at one batch before the first epoch. Opening the dataset for it would
            # count: what shuffles takes another order each time it is opened.
            batch = tf.data.Dataset.from_tensors(self.first_batch)
            return iter(self._strategy.experimental_distribute_dataset(batch))
        if self._iterator is None:
            self._iterator = self._open()
        return self._iterator

    def _open(self):
        if self._function:
            return iter(self._strategy.experimental_distribute_dataset(self._function(self._epoch)))
        if self._steps_per_epoch:
            iterator = iter(self._distributed)
            skip(iterator, self._epoch * self._steps_per_epoch)
            return iterator
        while self._opened < self._epoch:
            iter(self._distributed)
            self._opened += 1
        self._opened += 1
        return iter(self._distributed)


def skip(iterator, batches):
    """Reads some batches and forgets them."""
    for _ in range(batches):
        next(iterator)
