"""Values of a sparse column as ids: integers, hashes, numbers in a vocabulary."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrec_models.datasets import _fingerprint
from tfrec_models.datasets._columns import is_text
from tfrec_models.datasets._id_table import IdTable

_HEX_DIGITS = 8
_SAMPLE = 1024


class BadValue(ValueError):
    """A value that becomes no id.

    Args:
        number: int, its number among the values that are not null.
        message: str.
    """

    def __init__(self, number, message):
        super().__init__(message)
        self.number = number


def to_ids(schema, column):
    """A function from (block, column, Arrow array) to ids (n,) int64."""
    num_ids = schema.num_ids(column.name)
    modulus = np.uint64(num_ids)
    if column.ids == "hash":
        return _by_distinct(
            lambda block, to, values: (fingerprints_of(block, to.name, values) % modulus).astype(
                np.int64
            )
        )
    if column.ids == "hex":
        return lambda block, to, values: _hex(block, to.name, values) % num_ids
    if column.ids == "integer":
        return lambda block, to, values: _within(block, to.name, values, num_ids)
    vocabulary = schema.learned["vocabularies"].get(column.name)
    if vocabulary is None:
        raise ValueError(
            f"The vocabulary of sparse feature {column.name!r} is learned from the data, and is "
            "not yet; call schema.fit(source) first."
        )
    table = IdTable(fingerprints_of_vocabulary(vocabulary))
    return _by_distinct(lambda block, to, values: table(fingerprints_of(block, to.name, values)))


def fingerprints_of(block, name, values):
    """Fingerprints (n,) uint64 of an Arrow array of strings or integers without nulls."""
    kind = values.type
    if pa.types.is_null(kind):
        return np.zeros(0, np.uint64)
    return _fingerprint.of_strings(as_text(block, name, values))


def as_text(block, name, values):
    """An Arrow array of strings or integers as strings or bytes: integers as their digits."""
    kind = values.type
    if pa.types.is_integer(kind):
        return values.cast(pa.string())
    if pa.types.is_boolean(kind):
        return values.cast(pa.int8()).cast(pa.string())
    if is_text(kind):
        plain = not (pa.types.is_string_view(kind) or pa.types.is_fixed_size_binary(kind))
        return values if plain else values.cast(pa.large_binary())
    hint = ""
    if pa.types.is_floating(kind):
        hint = "; tables of pandas hold integers with gaps as floats, unless of dtype 'Int64'"
    raise block.error(name, f"must hold strings or integers, received {kind}{hint}.")


def integers_of(block, name, values):
    """An Arrow array of integers without nulls as (n,) int64."""
    if pa.types.is_null(values.type):
        return np.zeros(0, np.int64)
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    if not pa.types.is_integer(values.type):
        raise block.error(name, f"must hold integers, received {values.type}.")
    numbers = values.to_numpy(zero_copy_only=False)
    if numbers.dtype == np.uint64 and len(numbers) and numbers.max() > np.uint64(2**63 - 1):
        raise block.error(name, f"must hold integers below 2**63, received {numbers.max()}.")
    return numbers.astype(np.int64, copy=False)


def fingerprints_of_vocabulary(vocabulary):
    """Fingerprints (n,) uint64 of a list of str."""
    return _fingerprint.of_strings(pa.array(vocabulary, pa.large_string()))


def _by_distinct(function):
    """The same function, computed once for each distinct value where values repeat a lot.

    Arrow finds the distinct values of a column faster than they are hashed; where most values
    are distinct, that would be for nothing, so a sample tells.
    """

    def of_values(block, column, values):
        sample = values.slice(0, _SAMPLE)
        if len(values) < 4 * _SAMPLE or pc.count_distinct(sample).as_py() > _SAMPLE // 2:
            return function(block, column, values)
        encoded = values.dictionary_encode()
        return function(block, column, encoded.dictionary)[encoded.indices.to_numpy()]

    return of_values


def _within(block, name, values, num_ids):
    ids = integers_of(block, name, values)
    wrong = (ids < 0) | (ids >= num_ids)
    if wrong.any():
        number = int(np.argmax(wrong))
        raise BadValue(
            number,
            f"must hold ids from 0 to {num_ids - 1}, received {ids[number]}; give a larger "
            "num_ids, or ids='hash' or 'vocabulary'.",
        )
    return ids


def _hex(block, name, values):
    """Hexadecimal texts as their numbers; integers stay what they are."""
    if not is_text(values.type):
        return integers_of(block, name, values)
    numbers, is_hex = _fingerprint.hex_of_strings(values)
    if not is_hex.all():
        number = int(np.argmin(is_hex))
        raise BadValue(
            number,
            f"must hold hexadecimal ids of 1 to {_HEX_DIGITS} digits, received "
            f"{values[number].as_py()!r}.",
        )
    return numbers
