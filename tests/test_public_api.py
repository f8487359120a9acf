"""The public names and their signatures are those of `tests/public_api.json`.

After a deliberate change: `python -m tests.test_public_api`.
"""

import enum
import importlib
import inspect
import json
import pathlib

import pytest

MANIFEST = pathlib.Path(__file__).with_name("public_api.json")
PACKAGES = [
    "tfrec_models",
    *(
        f"tfrec_models.{name}"
        for name in (
            "datasets",
            "deepfm",
            "distribute",
            "dlrm",
            "execution",
            "experimental",
            "interop.torchrec",
            "layers",
            "metrics",
            "native",
            "optimizers",
            "recipes",
            "report",
            "serving",
            "sparse",
            "testing",
        )
    ),
]


def described(item):
    """The arguments of a class or function, the members of an enum, the type of anything else.

    Names, kinds and defaults are the promise; annotations may say more than before.
    """
    if inspect.isclass(item) and issubclass(item, enum.Enum):
        return f"members {[member.name for member in item]}"
    if not callable(item):
        return type(item).__name__
    signature = inspect.signature(item)
    arguments = [
        parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()
    ]
    return str(signature.replace(parameters=arguments, return_annotation=signature.empty))


def public_api():
    """A dict from package to a dict from name to signature."""
    return {
        package: {
            name: described(getattr(importlib.import_module(package), name))
            for name in sorted(importlib.import_module(package).__all__)
        }
        for package in PACKAGES
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_keep_their_signatures(package):
    """What a release promised is there, with the arguments it had."""
    assert public_api()[package] == json.loads(MANIFEST.read_text())[package]


def test_every_public_name_has_a_docstring():
    """Functions and classes say what they are."""
    undocumented = [
        f"{package}.{name}"
        for package in PACKAGES
        for name in importlib.import_module(package).__all__
        if callable(item := getattr(importlib.import_module(package), name)) and not item.__doc__
    ]
    assert undocumented == []


if __name__ == "__main__":
    MANIFEST.write_text(json.dumps(public_api(), indent=1) + "\n")


def public_callables():
    """Public functions, and the constructors of public classes, that are written here."""
    for package in PACKAGES:
        for name in importlib.import_module(package).__all__:
            item = getattr(importlib.import_module(package), name)
            made = vars(item).get("__init__") if inspect.isclass(item) else item
            if inspect.isfunction(made) and made.__module__.startswith("tfrec_models."):
                yield f"{package}.{name}", made


def test_public_callables_are_annotated():
    """Every argument of a public function or constructor, and what it returns, has a type."""
    bare = [
        f"{name}: {argument}"
        for name, made in public_callables()
        for argument, kind in {
            **{p.name: p.annotation for p in inspect.signature(made).parameters.values()},
            "return": inspect.signature(made).return_annotation,
        }.items()
        if kind is inspect.Parameter.empty and argument != "self"
    ]
    assert bare == []
