"""Files of torch.save, read without running anything that is in them."""

import collections
import importlib
import pickle
import types
import zipfile

import numpy as np

_REBUILD = {
    "_rebuild_meta_tensor_no_storage",
    "_rebuild_parameter",
    "_rebuild_qtensor",
    "_rebuild_sparse_tensor",
    "_rebuild_tensor",
    "_rebuild_tensor_v2",
    "_rebuild_tensor_v3",
}


def read_torch_file(path):
    """Returns the object in a file of torch.save, of any version and pickle protocol.

    torch's own `weights_only` refuses protocols 4 and 5, and files with a NumPy number or the
    training's arguments beside the weights. Here tensors, arrays and plain containers are read,
    and an object of any other class becomes a `Placeholder`, whose code is not run.

    Args:
        path: `pathlib.Path` of the file.

    Raises:
        ModuleNotFoundError: if torch is not installed.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"Reading {path.name} needs torch: install it, or save the state dict as .safetensors "
            "or .npz where torch is."
        ) from error
    return torch.load(
        path,
        map_location="cpu",
        pickle_module=_RESTRICTED_PICKLE,
        weights_only=False,
        mmap=zipfile.is_zipfile(path),
    )


class Placeholder:
    """An object of a class that is not to be imported; it takes whatever a pickle does with it."""

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        pass

    def __setitem__(self, key, value):
        pass

    def append(self, item):
        pass

    def extend(self, items):
        pass


class _Function:
    """A function that a pickle may call but, unlike functions and classes, not change."""

    __slots__ = ("_function",)

    def __init__(self, function):
        self._function = function

    def __call__(self, *args):
        return self._function(*args)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        module = {"__builtin__": "builtins"}.get(module, module).replace("._core.", ".core.")
        if (module, name) in _FUNCTIONS:
            return _Function(_FUNCTIONS[module, name])
        if module == "torch._utils" and name in _REBUILD:
            return _Function(getattr(importlib.import_module(module), name))
        if module == "torch":
            if name in ("Size", "device"):
                return _Function(getattr(importlib.import_module(module), name))
            constant = _constant(name)
            if constant is not None:
                return constant
        return type(name, (Placeholder,), {"__module__": module})


def _constant(name):
    """torch's dtype or layout of a name; None for all else that is in torch."""
    torch = importlib.import_module("torch")
    value = getattr(torch, name, None)
    return value if isinstance(value, (torch.dtype, torch.layout)) else None


def _empty_array(_, shape, dtype):
    return np.empty(shape, np.dtype(dtype))


# Under the names that NumPy 1 gives them; NumPy 2 says `_core`.
_FUNCTIONS = {
    ("_codecs", "encode"): lambda text, encoding: text.encode("latin1"),
    ("builtins", "bytearray"): bytearray,
    ("builtins", "complex"): complex,
    # How a pickle names the members of an enum, and classes inside others.
    ("builtins", "getattr"): lambda owner, name: type(str(name), (Placeholder,), {}),
    ("builtins", "set"): set,
    ("collections", "Counter"): collections.Counter,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy.core.multiarray", "scalar"): np.float64(0).__reduce__()[0],
    ("torch._tensor", "_rebuild_from_type_v2"): lambda build, cls, args, state: build(*args),
    # A tensor of a class of its own, such as a ShardedTensor.
    ("torch._utils", "_rebuild_wrapper_subclass"): lambda cls, *args: cls(),
    ("torch.serialization", "_get_layout"): lambda name: _constant(name.removeprefix("torch.")),
}


def _load(file, **kwargs):
    return _Unpickler(file, **kwargs).load()


# torch.load takes a module and looks these up in it.
_RESTRICTED_PICKLE = types.SimpleNamespace(
    __name__=__name__, Unpickler=_Unpickler, UnpicklingError=pickle.UnpicklingError, load=_load
)
