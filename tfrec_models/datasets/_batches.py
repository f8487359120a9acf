"""The batches of an epoch: rows of a source chosen, encoded, shuffled and cut."""

import dataclasses
import numbers

import numpy as np

from tfrec_models._checks.arguments import check_positive
from tfrec_models.datasets._packed import joined
from tfrec_models.datasets._threads import ahead, in_turn, mapped

# Files or row groups that are read in turn while shuffling.
_CYCLE = 4


@dataclasses.dataclass(frozen=True)
class Order:
    """Which rows of a source are given, and in which order.

    Args:
        seed: int, or None for the source's own order.
        shuffle_buffer: int, rows that are shuffled together.
        shard: pair (index, count) of int.
        cycle: int, files or row groups that are read in turn.
    """

    seed: int | None
    shuffle_buffer: int
    shard: tuple[int, int]
    cycle: int = 1

    @classmethod
    def checked(cls, shuffle, seed, shuffle_buffer, shard):
        """An `Order` of the arguments of `read`, which see."""
        check_positive("shuffle_buffer", shuffle_buffer)
        if not _is_shard(shard):
            raise ValueError(
                "shard must be (index, count), integers with 0 <= index < count, received "
                f"{shard!r}."
            )
        index, count = shard
        if seed is not None and (not isinstance(seed, numbers.Integral) or seed < 0):
            raise ValueError(f"seed must be an integer of at least 0 or None, received {seed!r}.")
        if not shuffle and seed is not None:
            raise ValueError(f"seed goes with shuffle=True, received seed={seed}.")
        if shuffle and seed is None:
            if count > 1:
                raise ValueError("Shuffled shards need a seed, the same for all workers.")
            seed = int(np.random.default_rng().integers(2**62))
        return cls(seed, shuffle_buffer, shard, _CYCLE if shuffle else 1)


def _is_shard(shard):
    return (
        isinstance(shard, tuple | list)
        and len(shard) == 2
        and all(isinstance(number, numbers.Integral) for number in shard)
        and 0 <= shard[0] < shard[1]
    )


@dataclasses.dataclass
class Batches:
    """Makes the batches of each epoch.

    Args:
        source: see `_sources`.
        encoder: function from a block to `Packed`.
        batch_size: int.
        drop_remainder: bool.
        order: `Order`.
        num_threads: int, threads that encode.
    """

    source: object
    encoder: object
    batch_size: int
    drop_remainder: bool
    order: Order
    num_threads: int

    def num_batches(self):
        """The number of batches, or None where only reading tells."""
        rows = [unit.num_rows for unit in self.source.units()]
        if None in rows:
            return None
        start, stop = self._range(sum(rows))
        whole, rest = divmod(stop - start, self.batch_size)
        return whole + bool(rest and not self.drop_remainder)

    def of_epoch(self, epoch):
        """Yields the batches of an epoch, distinguished by any number, as `Packed`."""
        rng = None if self.order.seed is None else np.random.default_rng([self.order.seed, epoch])
        units = self.source.units()
        if rng is not None:
            units = [units[i] for i in rng.permutation(len(units))]
        blocks = ahead(self._shard_of(units))
        rows = mapped(self.encoder, blocks, self.num_threads)
        if rng is not None:
            rows = _shuffled(rows, rng, self.order.shuffle_buffer)
        yield from _cut(rows, self.batch_size, self.drop_remainder)

    def _range(self, num_rows):
        index, count = self.order.shard
        return num_rows * index // count, num_rows * (index + 1) // count

    def _shard_of(self, units):
        cycle = self.order.cycle
        if any(unit.num_rows is None for unit in units):
            blocks = in_turn((self.source.blocks(unit) for unit in units), cycle)
            return _every(blocks, *self.order.shard)
        ends = np.cumsum([unit.num_rows for unit in units])
        start, stop = self._range(int(ends[-1]) if len(ends) else 0)
        pieces = (
            _part(self.source.blocks(unit), start - first, stop - first)
            for unit, first in zip(units, ends - [u.num_rows for u in units], strict=True)
            if first < stop and first + unit.num_rows > start
        )
        return in_turn(pieces, cycle)


def _part(blocks, start, stop):
    """The rows `start` to `stop` of a unit's blocks."""
    first = 0
    for block in blocks:
        begin = max(start - first, 0)
        end = min(stop - first, len(block))
        first += len(block)
        if begin < end:
            yield block.part(begin, end)
        if first >= stop:
            blocks.close()
            return


def _every(blocks, index, count):
    """Every `count`-th row, from number `index`, of blocks whose number only reading tells."""
    seen = 0
    for block in blocks:
        num_rows = len(block)
        rows = np.arange((index - seen) % count, num_rows, count)
        seen += num_rows
        if count == 1:
            yield block
        elif len(rows):
            yield block.take(rows)


def _shuffled(parts, rng, size):
    """Rows in random order among `size` of them at a time."""
    pool, num_rows = [], 0
    for part in parts:
        pool.append(part)
        num_rows += len(part)
        if num_rows >= size:
            yield _permuted(pool, rng)
            pool, num_rows = [], 0
    if num_rows:
        yield _permuted(pool, rng)


def _permuted(pool, rng):
    rows = joined(pool)
    return rows.take(rng.permutation(len(rows)))


def _cut(parts, batch_size, drop_remainder):
    """Batches out of parts of any number of rows; only those across parts are copied."""
    waiting, missing = [], batch_size
    for part in parts:
        start = 0
        while start < len(part):
            stop = min(start + missing, len(part))
            waiting.append(part.rows(start, stop))
            missing -= stop - start
            start = stop
            if not missing:
                yield joined(waiting)
                waiting, missing = [], batch_size
    if waiting and not drop_remainder:
        yield joined(waiting)
