"""The rule of `ManagedIds` in plain Python, id by id, for one table."""

import collections
import itertools
import math

MASK = 2**64 - 1
GROUP, PROBES, LEAST_CELLS = 16, 64, 512


def mixed(number):
    """SplitMix64's finalizer (Steele, Lea and Flood 2014) of a signed 64-bit number."""
    z = (number + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def unmixed(mix):
    """The signed 64-bit number that `mixed` gives `mix` for."""

    def unshifted(z, by):
        result = z
        for _ in range(64 // by + 1):
            result = z ^ (result >> by)
        return result

    z = unshifted(mix, 31)
    z = (z * pow(0x94D049BB133111EB, -1, 2**64)) & MASK
    z = unshifted(z, 27)
    z = (z * pow(0xBF58476D1CE4E5B9, -1, 2**64)) & MASK
    z = (unshifted(z, 30) - 0x9E3779B97F4A7C15) & MASK
    return z - 2**64 if z >= 2**63 else z


class PlainIdMap:
    """A table of rows that ids come to own.

    Args:
        num_rows, admit_after, evict, ttl: as those of the table and of `ManagedIds`.
    """

    def __init__(self, num_rows, admit_after=1, evict="lru", ttl=None):
        self.num_rows, self.admit_after, self.evict, self.ttl = num_rows, admit_after, evict, ttl
        self.groups = -(-num_rows // GROUP)
        self.prime = next(
            n
            for n in itertools.count(self.groups)
            if all(n % d for d in range(2, math.isqrt(n) + 1))
        )
        self.row_of, self.id_of, self.used, self.uses = {}, {}, {}, {}
        # How many rows of each group belong to an id, by the group's first row.
        self.owned = collections.Counter()
        self.step = 0
        cells = LEAST_CELLS
        while 2 * cells <= num_rows // 2:
            cells *= 2
        self.sketch = [[0] * cells, [0] * cells]
        self.counted = 0

    def group(self, number, probe):
        """The first row of the group that an id asks for a row after `probe` others."""
        mix = mixed(number)
        start = ((mix >> 32) * self.groups) >> 32
        if self.groups <= PROBES:
            return GROUP * ((start + probe) % self.groups)
        stride = 1 + (((mix & 0xFFFFFFFF) * (self.prime - 1)) >> 32)
        return GROUP * ((start + probe * stride) % self.prime % self.groups)

    def rows_in(self, first):
        return range(first, min(first + GROUP, self.num_rows))

    def batch(self, numbers):
        """Admits a batch; returns the row of each id, or None."""
        self.step += 1
        times = collections.Counter(numbers)
        for number, count in times.items():
            if number in self.row_of:
                row = self.row_of[number]
                self.used[row] = self.step
                self.uses[row] += count
        new = sorted((n for n in times if n not in self.row_of), key=mixed)
        admitted = self._seen_often(new, times)
        left = self._place(admitted, times)
        self._replace(left, times)
        return [self.row_of.get(number) for number in numbers]

    def _seen_often(self, new, times):
        if self.admit_after == 1:
            return new
        cells = len(self.sketch[0])
        if self.counted >= cells * self.admit_after // 4:
            self.sketch = [[count // 2 for count in half] for half in self.sketch]
            self.counted = 0
        places = {n: (mixed(n) & (cells - 1), (mixed(n) >> 24) & (cells - 1)) for n in new}
        for number in new:
            self.counted += times[number]
            for half, place in zip(self.sketch, places[number], strict=True):
                half[place] += times[number]
        return [
            n
            for n in new
            if min(half[p] for half, p in zip(self.sketch, places[n], strict=True))
            >= self.admit_after
        ]

    def _place(self, numbers, times):
        """Free rows, in rounds: each round all ask the next group of theirs."""
        for probe in range(min(self.groups, PROBES)):
            if len(self.id_of) == self.num_rows:
                break
            waiting = []
            for number in numbers:
                rows = self.rows_in(self.group(number, probe))
                if self.owned[rows.start] < len(rows):
                    self.owned[rows.start] += 1
                    free = next(row for row in rows if row not in self.id_of)
                    self._give(free, number, times[number])
                else:
                    waiting.append(number)
            numbers = waiting
        return numbers

    def _replace(self, numbers, times):
        """Rows of others in the first group that this batch does not use."""
        for number in numbers:
            rows = self.rows_in(self.group(number, 0))
            idle = [row for row in rows if self.used[row] < self.step]
            if self.evict == "never":
                idle = []
            if self.evict == "ttl":
                idle = [row for row in idle if self.step - self.used[row] > self.ttl]
            if not idle:
                continue
            if self.evict == "lfu":
                row = min(idle, key=lambda row: (self.uses[row], self.used[row], row))
            else:
                row = min(idle, key=lambda row: (self.used[row], row))
            del self.row_of[self.id_of[row]]
            self._give(row, number, self.uses[row] + times[number])

    def _give(self, row, number, uses):
        self.row_of[number], self.id_of[row] = row, number
        self.used[row], self.uses[row] = self.step, uses
