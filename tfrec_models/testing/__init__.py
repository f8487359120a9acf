"""What tests of layers and sparse inputs need: assertions, and the contract every layer keeps."""

from tfrec_models.testing.copies import copy_of, saved_and_loaded
from tfrec_models.testing.layer_contract import LayerContract
from tfrec_models.testing.test_case import TestCase

__all__ = ["LayerContract", "TestCase", "copy_of", "saved_and_loaded"]
