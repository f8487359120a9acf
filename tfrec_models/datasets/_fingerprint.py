"""FarmHash's Fingerprint64 of whole columns; `tf.fingerprint` computes it value by value."""

import numpy as np
import pyarrow as pa
import tensorflow as tf

_K0 = np.uint64(0xC3A5C85C97CB3127)
_K1 = np.uint64(0xB492B66FBE98F273)
_K2 = np.uint64(0x9AE16A3B2F90404F)
_LONGEST = 64
_ZERO, _A, _LOWER = np.uint8(ord("0")), np.uint8(ord("a")), np.uint8(ord("a") ^ ord("A"))
# Temporaries of so many numbers stay in the cache, and the allocator keeps their memory.
_CHUNK = 8192


def of_pairs(first, second):
    """Fingerprints (n,) uint64 of the sixteen bytes of two fingerprints each."""
    return _up_to_16(first, second, np.uint64(16))


def of_strings(array):
    """Fingerprints (n,) uint64 of the bytes of each string of an Arrow array without nulls."""
    data, offsets = _text_buffers(array)
    result = np.empty(len(array), np.uint64)
    for first in range(0, len(array), _CHUNK):
        result[first : first + _CHUNK] = _of_chunk(data, offsets[first : first + _CHUNK + 1])
    return result


def hex_of_strings(array):
    """Numbers (n,) int64 of hexadecimal texts of 1 to 8 digits, and which of them are that."""
    data, offsets = _text_buffers(array)
    numbers, is_hex = np.zeros(len(array), np.int64), np.zeros(len(array), bool)
    for first in range(0, len(array), _CHUNK):
        chunk = slice(first, first + _CHUNK)
        ends = offsets[first : first + _CHUNK + 1]
        words = _padded(data, ends[0], ends[-1])
        lengths = np.diff(ends).astype(np.int64)
        letters = _words(words, (ends[:-1] - ends[0]).astype(np.int64))
        # Digits of a shorter text stand behind leading zeros.
        unused = np.clip(8 - lengths, 0, 7).astype(np.uint64) << np.uint64(3)
        zeros = np.uint64(0x3030303030303030) & ((np.uint64(1) << unused) - np.uint64(1))
        letters = (letters << unused) | zeros
        characters = letters.view(np.uint8)
        good = (characters - _ZERO < 10) | ((characters | _LOWER) - _A < 6)
        is_hex[chunk] = (good.view(np.uint64) == _each(0x01)) & (lengths >= 1) & (lengths <= 8)
        digits = (letters & _each(0x0F)) + np.uint64(9) * ((letters >> np.uint64(6)) & _each(0x01))
        # Neighbors are joined to bytes, these to half words, these to words; the first is highest.
        for bits, mask in ((4, 0x000F000F000F000F), (8, 0x000000FF000000FF), (16, 0xFFFF)):
            mask = np.uint64(mask)
            digits = ((digits & mask) << np.uint64(bits)) | ((digits >> np.uint64(2 * bits)) & mask)
        numbers[chunk] = digits
    return numbers, is_hex


def _text_buffers(array):
    """The bytes of an Arrow array of texts, and where each begins and the last ends."""
    is_large = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    if not len(array):
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    _, offsets, data = array.buffers()
    offsets = np.frombuffer(offsets, np.int64 if is_large else np.int32)
    offsets = offsets[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(data or b"", np.uint8), offsets


def _of_chunk(data, offsets):
    words = _padded(data, offsets[0], offsets[-1])
    starts = (offsets[:-1] - offsets[0]).astype(np.int64)
    lengths = np.diff(offsets).astype(np.int64)
    shortest, longest = lengths.min(), lengths.max()
    result = np.empty(len(starts), np.uint64)
    for low, high, function in _KINDS:
        if low <= shortest and longest <= high:
            return function(words, starts, lengths)
        if shortest <= high and longest >= low:
            chosen = np.flatnonzero((lengths >= low) & (lengths <= high))
            if len(chosen):
                result[chosen] = function(words, starts[chosen], lengths[chosen])
    if longest > _LONGEST:
        chosen = np.flatnonzero(lengths > _LONGEST)
        texts = [data[offsets[row] : offsets[row + 1]].tobytes() for row in chosen]
        result[chosen] = in_graph(tf.constant(texts)).numpy()
    return result


def in_graph(values):
    """Fingerprints (n,) uint64 of a tensor of strings or integers, in TensorFlow ops."""
    if values.dtype != tf.string:
        values = tf.strings.as_string(values)
    return tf.bitcast(tf.fingerprint(values), tf.uint64)


def _padded(data, start, stop):
    """Bytes `start` to `stop` as aligned words, with one more word to read beyond the last."""
    words = np.zeros((stop - start) // 8 + 2, np.uint64)
    words.view(np.uint8)[: stop - start] = data[start:stop]
    return words


def _words(words, positions):
    """The 64-bit words that begin at any byte: two aligned ones, shifted together."""
    # NumPy gathers unaligned numbers one by one, ten times slower.
    index = positions >> 3
    shift = ((positions & 7) << 3).astype(np.uint64)
    return (words[index] >> shift) | (words[index + 1] << (np.uint64(63) - shift) << np.uint64(1))


def _half_words(words, positions):
    return _words(words, positions) & np.uint64(0xFFFFFFFF)


def _each(byte):
    return np.uint64(byte * 0x0101010101010101)


def _rotated(x, bits):
    return (x >> np.uint64(bits)) | (x << np.uint64(64 - bits))


def _mixed(x):
    return x ^ (x >> np.uint64(47))


def _of_16(u, v, mul):
    a = _mixed((u ^ v) * mul)
    return _mixed((v ^ a) * mul) * mul


def _mul(lengths):
    return _K2 + lengths.astype(np.uint64) * np.uint64(2)


def _of_nothing(data, starts, lengths):
    return np.full(len(starts), _K2)


def _of_1_to_3(data, starts, lengths):
    data = data.view(np.uint8)
    a, b, c = (data[starts + i].astype(np.uint64) for i in (0, lengths >> 1, lengths - 1))
    y = a + (b << np.uint64(8))
    z = lengths.astype(np.uint64) + (c << np.uint64(2))
    return _mixed((y * _K2) ^ (z * _K0)) * _K2


def _of_4_to_7(data, starts, lengths):
    first = _half_words(data, starts)
    last = _half_words(data, starts + lengths - 4)
    return _of_16(lengths.astype(np.uint64) + (first << np.uint64(3)), last, _mul(lengths))


def _of_8_to_16(data, starts, lengths):
    return _up_to_16(
        _words(data, starts), _words(data, starts + lengths - 8), lengths.astype(np.uint64)
    )


def _up_to_16(first, last, lengths):
    mul = _mul(lengths)
    a = first + _K2
    c = _rotated(last, 37) * mul + a
    d = (_rotated(a, 25) + last) * mul
    return _of_16(c, d, mul)


def _ends(data, starts, lengths, mul):
    ends = starts + lengths
    a = _words(data, starts)
    b = _words(data, starts + 8)
    c = _words(data, ends - 8) * mul
    d = _words(data, ends - 16) * _K2
    return a, b, c, d


def _of_17_to_32(data, starts, lengths):
    mul = _mul(lengths)
    a, b, c, d = _ends(data, starts, lengths, mul)
    a = a * _K1
    u = _rotated(a + b, 43) + _rotated(c, 30) + d
    return _of_16(u, a + _rotated(b + _K2, 18) + c, mul)


def _of_33_to_64(data, starts, lengths):
    mul = _mul(lengths)
    a, b, c, d = _ends(data, starts, lengths, mul)
    a = a * _K2
    y = _rotated(a + b, 43) + _rotated(c, 30) + d
    z = _of_16(y, a + _rotated(b + _K2, 18) + c, mul)
    e = _words(data, starts + 16) * mul
    f = _words(data, starts + 24)
    g = (y + _words(data, starts + lengths - 32)) * mul
    h = (z + _words(data, starts + lengths - 24)) * mul
    u = _rotated(e + f, 43) + _rotated(g, 30) + h
    return _of_16(u, e + _rotated(f + a, 18) + g, mul)


_KINDS = (
    (0, 0, _of_nothing),
    (1, 3, _of_1_to_3),
    (4, 7, _of_4_to_7),
    (8, 16, _of_8_to_16),
    (17, 32, _of_17_to_32),
    (33, _LONGEST, _of_33_to_64),
)
"""The shortest and longest string of each of FarmHash's cases."""
