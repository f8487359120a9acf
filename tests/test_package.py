"""What holds for the package as a whole: its examples run as pasted, its names are documented."""

import doctest
import importlib
import inspect
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
EXAMPLES = {
    test.name: test
    for name in MODULES
    for test in doctest.DocTestFinder().find(importlib.import_module(name))
    if test.examples
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_runs_as_pasted(name):
    """A `>>>` example gives what it says where nothing was imported before it."""
    test, told = EXAMPLES[name], []
    # With the name that a class of the example is saved under.
    test.globs = {"__name__": "__main__"}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=told.append)
    assert not told, "".join(told)


def public_items():
    """The public classes and functions of all public modules, once each."""
    items = []
    for name in [name for name in MODULES if "._" not in name]:
        for item in vars(importlib.import_module(name)).values():
            is_named = inspect.isclass(item) or inspect.isfunction(item)
            if is_named and item.__module__ == name and item.__name__[0] != "_":
                items.append(item)
    return items


def name_of(item):
    """Where it is, and its name."""
    return f"{item.__module__}.{item.__qualname__}"


LAYERS_AND_OPTIMIZERS = [
    item
    for item in public_items()
    if inspect.isclass(item)
    and issubclass(item, (keras.layers.Layer, keras.optimizers.Optimizer, keras.metrics.Metric))
    and not inspect.isabstract(item)
]


@pytest.mark.parametrize("item", LAYERS_AND_OPTIMIZERS, ids=name_of)
def test_layers_and_optimizers_are_registered_and_have_an_example(item):
    """Each layer, model, metric and optimizer shows its use and loads without custom_objects."""
    assert item.__doc__ and ">>>" in item.__doc__, "no example in the docstring"
    # DLRM and DeepFM both have a DenseArch, so deepfm's parts are registered apart.
    package = "tfrec_models.deepfm" if _is_deepfm_part(item) else "tfrec_models"
    assert keras.saving.get_registered_name(item) == f"{package}>{item.__name__}"


def _is_deepfm_part(item):
    return item.__module__.startswith("tfrec_models.deepfm.") and item.__name__.endswith("Arch")


PUBLIC_FUNCTIONS = {
    f"{package}.{name}": getattr(module, name)
    for package in ["tfrec_models", *MODULES]
    for module in [importlib.import_module(package)]
    if hasattr(module, "__path__")
    for name in getattr(module, "__all__", [])
    if inspect.isfunction(getattr(module, name)) and "._" not in package
}
# What an example of these needs, a docstring cannot have.
WITHOUT_EXAMPLE = {
    "tfrec_models.distribute.fit_on_servers": "a cluster",
    "tfrec_models.distribute.run_server": "a cluster",
    "tfrec_models.interop.torchrec.from_torchrec": "TorchRec",
    "tfrec_models.recipes.evaluate": "a finished run",
}


@pytest.mark.parametrize("name", PUBLIC_FUNCTIONS)
def test_public_functions_have_an_example(name):
    """Each function that a package exports shows its use, but for those that cannot."""
    documentation = PUBLIC_FUNCTIONS[name].__doc__
    assert documentation
    assert (">>>" in documentation) != (name in WITHOUT_EXAMPLE)


def test_every_public_item_says_what_it_is():
    """No class and no function without a docstring."""
    assert [name_of(item) for item in public_items() if not item.__doc__] == []


def test_promised_names_exist():
    """Everything the packages' __all__ promise is there."""
    for package in ["tfrec_models", *MODULES]:
        module = importlib.import_module(package)
        missing = [name for name in getattr(module, "__all__", []) if not hasattr(module, name)]
        assert not missing, (package, missing)
