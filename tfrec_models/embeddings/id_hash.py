"""The hash that decides which rows an id may have."""

import tensorflow as tf


def mix(ids):
    """Returns SplitMix64's finalizer of ids: 64 bits, as int64, different for different ids.

    Args:
        ids: int64 tensor.
    """
    # TensorFlow's int64 arithmetic wraps, as that of unsigned numbers.
    z = ids + _signed(0x9E3779B97F4A7C15)
    z = _xor_shifted(z, 30) * _signed(0xBF58476D1CE4E5B9)
    z = _xor_shifted(z, 27) * _signed(0x94D049BB133111EB)
    return _xor_shifted(z, 31)


def upper_half(hashes):
    """The upper 32 bits, as numbers from 0 on."""
    return tf.bitwise.bitwise_and(tf.bitwise.right_shift(hashes, _int64(32)), _int64(0xFFFFFFFF))


def lower_half(hashes):
    """The lower 32 bits, as numbers from 0 on."""
    return tf.bitwise.bitwise_and(hashes, _int64(0xFFFFFFFF))


def bits_from(hashes, first):
    """The bits from number `first` on, as numbers from 0 on."""
    mask = _int64((1 << (64 - first)) - 1)
    return tf.bitwise.bitwise_and(tf.bitwise.right_shift(hashes, _int64(first)), mask)


def in_unsigned_order(hashes):
    """Numbers whose order as signed ones is that of the hashes as unsigned ones."""
    return tf.bitwise.bitwise_xor(hashes, _int64(-(2**63)))


def _xor_shifted(z, by):
    return tf.bitwise.bitwise_xor(z, bits_from(z, by))


def _signed(number):
    return _int64(number - 2**64 if number >= 2**63 else number)


def _int64(number):
    return tf.constant(number, tf.int64)
