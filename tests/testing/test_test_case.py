"""Assertions over the package's own types say what differs."""

import unittest

import numpy as np
import pytest
import tensorflow as tf

from tfrec_models.sparse import JaggedTensor, KeyedJaggedTensor, KeyedTensor
from tfrec_models.testing import TestCase

CASE = TestCase()
BOTH = [CASE.assertAllClose, CASE.assertAllEqual]


def keyed(keys=("f1", "f2"), lengths=(1, 2), values=((1.0, 2.0, 3.0),)):
    return KeyedTensor(keys, lengths, tf.constant(values))


def jagged(values=(1, 2, 3), lengths=(2, 1), weights=None):
    return JaggedTensor(tf.constant(values), lengths=lengths, weights=weights)


def keyed_jagged(keys=("f1", "f2"), values=(1, 2, 3), lengths=(2, 1), weights=None):
    return KeyedJaggedTensor(keys, tf.constant(values), lengths=lengths, weights=weights)


EQUAL = [(keyed(), keyed()), (jagged(), jagged()), (keyed_jagged(), keyed_jagged())]
DIFFERENT = {
    "keys": (keyed(), keyed(keys=("f2", "f1"))),
    "columns": (keyed(), keyed(lengths=(2, 1))),
    "keyed values": (keyed(), keyed(values=((1.0, 2.0, 3.5),))),
    "jagged values": (jagged(), jagged(values=(1, 2, 4))),
    "jagged lengths": (jagged(), jagged(lengths=(1, 2))),
    "weights or none": (jagged(), jagged(weights=[1.0, 1.0, 1.0])),
    "jagged keys": (keyed_jagged(), keyed_jagged(keys=("f1", "f3"))),
    "weights": (keyed_jagged(weights=[1.0, 1.0, 1.0]), keyed_jagged(weights=[1.0, 1.0, 2.0])),
    "types": (jagged(), keyed_jagged()),
    "a tensor": (keyed(), tf.constant([[1.0, 2.0, 3.0]])),
}


@pytest.mark.parametrize("check", BOTH)
@pytest.mark.parametrize("pair", EQUAL, ids=["KeyedTensor", "JaggedTensor", "KeyedJaggedTensor"])
def test_equal_ones_pass(check, pair):
    """Alone, and compared by values whatever the dtype of offsets."""
    check(*pair)


@pytest.mark.parametrize("check", BOTH)
@pytest.mark.parametrize("name", DIFFERENT)
def test_each_difference_fails(check, name):
    """Keys, columns, lengths, values, weights and types count."""
    one, other = DIFFERENT[name]
    with pytest.raises(AssertionError):
        check(one, other)
    with pytest.raises(AssertionError):
        check(other, one)


def test_close_within_nested_structures():
    """As the outputs of models are: dicts, lists and tuples, beside plain tensors."""
    CASE.assertAllClose(
        {"a": [keyed(), 1.0]}, {"a": [keyed(values=((1.0, 2.0, 3.0 + 1e-7),)), 1.0]}
    )
    with pytest.raises(AssertionError):
        CASE.assertAllClose((keyed(), 1.0), (keyed(keys=("f1", "f3")), 1.0))
    CASE.assertAllClose([[1.0, 2.0]], np.array([[1.0, 2.0]]))


def test_no_test_of_tensorflows_own_is_collected():
    """A class without tests has none: TensorFlow's `test_session` would be one that is skipped."""
    assert unittest.defaultTestLoader.getTestCaseNames(TestCase) == []
