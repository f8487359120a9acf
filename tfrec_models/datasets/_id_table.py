"""Numbers of fingerprints, looked up a column at a time."""

import numpy as np


class IdTable:
    """A hash table from fingerprints to their numbers 1, 2, ..; 0 for any other.

    Open addressing on arrays: each round of a lookup compares all fingerprints that are not
    found yet with the next place of theirs.

    Args:
        fingerprints: (n,) uint64, distinct.
    """

    def __init__(self, fingerprints):
        size = 1 << max(int(2 * len(fingerprints)).bit_length(), 1)
        self._mask = np.uint64(size - 1)
        self._keys = np.zeros(size, np.uint64)
        self._numbers = np.zeros(size, np.int64)
        numbers = np.arange(1, len(fingerprints) + 1)
        places = fingerprints & self._mask
        while len(numbers):
            free = self._numbers[places] == 0
            self._numbers[places[free]] = numbers[free]
            # Of several that took one place, the last stays.
            stays = self._numbers[places] == numbers
            self._keys[places[stays]] = fingerprints[stays]
            fingerprints, numbers = fingerprints[~stays], numbers[~stays]
            places = (places[~stays] + np.uint64(1)) & self._mask

    def __call__(self, fingerprints):
        """The numbers (n,) int64."""
        places = fingerprints & self._mask
        numbers = self._numbers[places]
        missed = np.flatnonzero((self._keys[places] != fingerprints) & (numbers != 0))
        places = places[missed]
        while len(missed):
            places = (places + np.uint64(1)) & self._mask
            found = self._numbers[places]
            numbers[missed] = found
            again = (self._keys[places] != fingerprints[missed]) & (found != 0)
            missed, places = missed[again], places[again]
        return numbers
