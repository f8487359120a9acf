"""Every layer of the package keeps the layer contract; one class of tests for each."""

import importlib
import inspect
import pkgutil

import keras

import tfrec_models
from tests.support.layer_cases import CASES
from tfrec_models.testing import LayerContract, TestCase


class SeededByFixture(TestCase):
    """A test case that leaves the seeds to the fixture of all tests.

    TensorFlow's own drops every compiled operation before each test.
    """

    def __init__(self, *args):
        super().__init__(*args)
        self._set_default_seed = False


def contract_of(name, case):
    """A test class for one layer."""
    return type(
        f"{name}Test",
        (LayerContract, SeededByFixture),
        {
            "__module__": __name__,
            "make_layer": lambda self: case.make(),
            "make_inputs": lambda self, batch_size: case.inputs(batch_size),
            "output_shapes": lambda self, batch_size: case.shapes(batch_size),
            **case.settings,
        },
    )


globals().update({f"{name}Test": contract_of(name, case) for name, case in CASES.items()})


def test_no_layer_is_left_out():
    """Each public layer that can be made has a contract."""
    public = set()
    for module in pkgutil.walk_packages(tfrec_models.__path__, "tfrec_models."):
        if not module.name.endswith("__main__"):
            for item in vars(importlib.import_module(module.name)).values():
                if inspect.isclass(item) and item.__module__ == module.name:
                    public.add(item)
    layers = {
        item
        for item in public
        if issubclass(item, keras.layers.Layer)
        if not inspect.isabstract(item) and not item.__name__.startswith("_")
    }
    assert layers - {type(case.make()) for case in CASES.values()} == set()
