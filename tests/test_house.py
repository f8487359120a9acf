"""What holds for the sources: who imports whom, and where private parts of others are read."""

import ast
import functools
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / "tfrec_models"
FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {module_of(path): ast.parse(path.read_text()) for path in FILES}
IS_PACKAGE = {module_of(path) for path in FILES if path.name == "__init__.py"}


def imports_of(module, top_level_only=False):
    """The modules of the package that a module imports, as full names."""
    tree = TREES[module]
    nodes = tree.body if top_level_only else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in TREES else node.module)
    return {name for name in found if name in TREES}


def test_private_modules_stay_in_their_package():
    """No module imports a module `_x` of another package; those at the root are for all."""
    offences = []
    for module in TREES:
        package = module if module in IS_PACKAGE else module.rpartition(".")[0]
        for imported in imports_of(module):
            parts = imported.split(".")
            for depth, part in enumerate(parts):
                owner = ".".join(parts[:depth])
                inside = package == owner or package.startswith(f"{owner}.")
                if part.startswith("_") and not inside:
                    offences.append(f"{module} imports {imported}")
    assert offences == []


def test_imports_have_no_circle():
    """Imports at the top of modules, and those hidden in functions, run one way."""
    graph = {module: imports_of(module) - {module} for module in TREES}
    # A package's __init__ gathers its public names; modules inside import each other directly.
    graph = {m: {i for i in found if i not in IS_PACKAGE} for m, found in graph.items()}
    done, path = set(), []

    def visit(module):
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        path.append(module)
        for imported in sorted(graph[module]):
            if circle := visit(imported):
                return circle
        done.add(path.pop())
        return []

    assert [circle for module in sorted(graph) if (circle := visit(module))] == []


def test_saved_models_load_with_the_package_alone():
    """`import tfrec_models` registers all that a `.keras` file may name, but experiments."""
    reached, waiting = set(), ["tfrec_models"]
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            parents = [module.rsplit(".", 1)[0]] if "." in module else []
            waiting += [*imports_of(module, top_level_only=True), *parents]
    registering = {
        module_of(path) for path in FILES if "register_keras_serializable(" in path.read_text()
    }
    apart = {module for module in registering if module.startswith("tfrec_models.experimental")}
    assert registering - apart - reached == set()
    assert len(registering) > 30


@functools.cache
def own_private_names():
    """The private names that the package itself defines."""
    names = set()
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(node.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names.add(node.target.id)
    return names


def is_private(name):
    return name.startswith("_") and not name.endswith("__")


# TorchRec's modules are read by the names of their parts, which are private there.
READS_TORCHREC = "tfrec_models.interop.torchrec.from_torchrec"


@pytest.mark.parametrize(
    "module", [m for m in TREES if "._compat" not in m and m != READS_TORCHREC]
)
def test_private_parts_of_others_are_read_in_compat_alone(module):
    """No `keras.src`, no `tensorflow.python`, no `x._attribute` that the package did not define."""
    own, offences = own_private_names(), []
    for node in ast.walk(TREES[module]):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            offences += [
                n for n in names if n.startswith(("keras.src", "tensorflow.python", "keras._"))
            ]
        elif isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in own:
            offences.append(f"line {node.lineno}: {node.attr}")
    assert offences == []


def test_no_dataset_is_made_by_from_generator():
    """It slows all later steps of its process; `_compat.generated_dataset` is in its place."""
    offences = [
        f"{module}, line {node.lineno}"
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "from_generator"
    ]
    assert offences == []


def test_private_methods_of_keras_are_overridden_in_compat_alone():
    """A class outside _compat defines no private method that a class of Keras has."""
    import keras
    import tensorflow as tf

    theirs = {
        name
        for cls in (keras.Model, keras.optimizers.Optimizer, keras.metrics.Metric, tf.IndexedSlices)
        for name in dir(cls)
        if is_private(name)
    }
    offences = [
        f"{module}: {node.name}.{method.name}"
        for module, tree in TREES.items()
        if "._compat" not in module
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.bases
        for method in node.body
        if isinstance(method, ast.FunctionDef) and method.name in theirs
    ]
    assert offences == []


def test_no_process_wide_state_is_rebound():
    """No function rebinds a module's global, and none walks the frames of its callers."""
    offences = [
        f"{module} line {node.lineno}"
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Global)
        or (isinstance(node, ast.Attribute) and node.attr in ("_getframe", "currentframe", "stack"))
        and isinstance(node.value, ast.Name)
        and node.value.id in ("sys", "inspect")
    ]
    assert offences == []
