"""What holds for the package as a whole: its examples run, its signatures stay small."""

import doctest
import importlib
import inspect
import pathlib
import pkgutil

import keras
import pytest

import tfrec_models

# A module that is a command runs when it is imported.
MODULES = [
    module.name
    for module in pkgutil.walk_packages(tfrec_models.__path__, "tfrec_models.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    """Every `>>>` example in a docstring gives what it says."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(importlib.import_module(name), optionflags=flags)
    assert result.failed == 0


def public_classes():
    """The public classes of all modules."""
    for name in MODULES:
        for item in vars(importlib.import_module(name)).values():
            if inspect.isclass(item) and item.__module__ == name and item.__name__[0] != "_":
                yield item


@pytest.mark.parametrize("item", public_classes(), ids=lambda item: item.__qualname__)
def test_public_layers_are_documented_and_registered(item):
    """Each layer, model, optimizer has an example and loads without custom_objects."""
    kinds = (keras.layers.Layer, keras.optimizers.Optimizer)
    if not issubclass(item, kinds) or inspect.isabstract(item):
        return
    assert item.__doc__ and ">>>" in item.__doc__, "no example in the docstring"
    # DLRM and DeepFM both have a DenseArch, so deepfm's parts are registered apart.
    package = "tfrec_models.deepfm" if _is_deepfm_part(item) else "tfrec_models"
    assert keras.saving.get_registered_name(item) == f"{package}>{item.__name__}"


def _is_deepfm_part(item):
    return item.__module__.startswith("tfrec_models.deepfm.") and item.__name__.endswith("Arch")


def test_public_names_exist():
    """Everything __init__ promises is there."""
    for name in tfrec_models.__all__:
        assert hasattr(tfrec_models, name)


def test_no_assert_on_user_input():
    """`python -O` strips assertions; the library raises."""
    for path in pathlib.Path(tfrec_models.__path__[0]).rglob("*.py"):
        lines = path.read_text().splitlines()
        assert not [line for line in lines if line.lstrip().startswith("assert ")], path
