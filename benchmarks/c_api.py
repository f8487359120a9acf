"""Runs a SavedModel through TensorFlow's C API, with no Python TensorFlow, as a server would.

It loads the libraries that come with the TensorFlow wheel and needs NumPy alone.
"""

import ctypes
import importlib.util
import os

import numpy as np

# NumPy loads its extensions on first use; after TensorFlow's libraries that crashes.
import numpy.random  # noqa: F401

_POINTER = ctypes.c_void_p
_STRING = 7
_DTYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9}
_NUMBERS = {number: np.dtype(name) for name, number in _DTYPES.items()}
_TSTRING_BYTES = 24


class ServingError(Exception):
    """An error status: `code` is TensorFlow's (3 for an invalid argument)."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class _Output(ctypes.Structure):
    _fields_ = [("operation", _POINTER), ("index", ctypes.c_int)]


def _load_library():
    folder = os.path.dirname(importlib.util.find_spec("tensorflow").origin)
    ctypes.CDLL(os.path.join(folder, "libtensorflow_framework.so.2"), ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(os.path.join(folder, "libtensorflow_cc.so.2"), ctypes.RTLD_GLOBAL)
    for name in (
        "TF_NewStatus",
        "TF_NewGraph",
        "TF_NewSessionOptions",
        "TF_LoadSessionFromSavedModel",
        "TF_GraphOperationByName",
        "TF_AllocateTensor",
        "TF_TensorData",
    ):
        getattr(library, name).restype = _POINTER
    library.TF_Message.restype = ctypes.c_char_p
    library.TF_Dim.restype = ctypes.c_int64
    library.TF_TensorByteSize.restype = ctypes.c_size_t
    return library


class Session:
    """One loaded SavedModel; `run` may be called from many threads at once.

    Args:
        path: path of the SavedModel.
        signatures: dict from signature to `{"inputs": {name: tensor}, "outputs": {...}}`, where a
            tensor is written as `operation:0`; see `signature_tensors`.
    """

    def __init__(self, path, signatures):
        self._tf = _load_library()
        self._graph = _POINTER(self._tf.TF_NewGraph())
        options = _POINTER(self._tf.TF_NewSessionOptions())
        tags = (ctypes.c_char_p * 1)(b"serve")
        status = _POINTER(self._tf.TF_NewStatus())
        self._session = _POINTER(
            self._tf.TF_LoadSessionFromSavedModel(
                options, None, os.fsencode(path), tags, 1, self._graph, None, status
            )
        )
        self._check(status)
        self._tensors = {
            signature: {
                side: {name: self._output(tensor) for name, tensor in parts[side].items()}
                for side in ("inputs", "outputs")
            }
            for signature, parts in signatures.items()
        }

    def run(self, signature, inputs):
        """Returns the outputs of a signature, a dict from name to array.

        Args:
            signature: str.
            inputs: dict from name to array; strings as an array of objects.

        Raises:
            ServingError: where TensorFlow gives an error status.
        """
        fed, fetched = (self._tensors[signature][side] for side in ("inputs", "outputs"))
        feeds = (_Output * len(fed))(*fed.values())
        values = (_POINTER * len(fed))(*[self._tensor(inputs[name]) for name in fed])
        fetches = (_Output * len(fetched))(*fetched.values())
        results = (_POINTER * len(fetched))()
        status = _POINTER(self._tf.TF_NewStatus())
        self._tf.TF_SessionRun(
            self._session, None,
            feeds, values, len(fed),
            fetches, results, len(fetched),
            None, 0, None, status,
        )  # fmt: skip
        for value in values:
            self._tf.TF_DeleteTensor(_POINTER(value))
        self._check(status)
        return {name: self._array(result) for name, result in zip(fetched, results, strict=True)}

    def _output(self, tensor):
        operation, index = tensor.split(":")
        found = self._tf.TF_GraphOperationByName(self._graph, operation.encode())
        if not found:
            raise ValueError(f"The graph has no operation {operation}.")
        return _Output(found, int(index))

    def _check(self, status):
        code, message = self._tf.TF_GetCode(status), self._tf.TF_Message(status)
        self._tf.TF_DeleteStatus(status)
        if code:
            raise ServingError(code, message.decode(errors="replace"))

    def _tensor(self, array):
        array = np.ascontiguousarray(array)
        is_string = array.dtype == object
        dims = (ctypes.c_int64 * array.ndim)(*array.shape)
        size = array.size * _TSTRING_BYTES if is_string else array.nbytes
        dtype = _STRING if is_string else _DTYPES[array.dtype.name]
        tensor = self._tf.TF_AllocateTensor(dtype, dims, array.ndim, ctypes.c_size_t(size))
        data = self._tf.TF_TensorData(_POINTER(tensor))
        if not is_string:
            ctypes.memmove(data, array.ctypes.data, array.nbytes)
            return tensor
        for number, text in enumerate(array.flat):
            cell = _POINTER(data + number * _TSTRING_BYTES)
            self._tf.TF_StringInit(cell)
            self._tf.TF_StringCopy(cell, text, ctypes.c_size_t(len(text)))
        return tensor

    def _array(self, result):
        tensor = _POINTER(result)
        dtype = _NUMBERS[self._tf.TF_TensorType(tensor)]
        shape = [self._tf.TF_Dim(tensor, axis) for axis in range(self._tf.TF_NumDims(tensor))]
        size = self._tf.TF_TensorByteSize(tensor)
        data = ctypes.string_at(self._tf.TF_TensorData(tensor), size)
        self._tf.TF_DeleteTensor(tensor)
        return np.frombuffer(data, dtype).reshape(shape)


def signature_tensors(path):
    """Returns the `signatures` of `Session`; needs Python TensorFlow, so call it beforehand."""
    from tensorflow.core.protobuf import saved_model_pb2

    with open(os.path.join(path, "saved_model.pb"), "rb") as file:
        saved_model = saved_model_pb2.SavedModel.FromString(file.read())
    definitions = saved_model.meta_graphs[0].signature_def
    return {
        signature: {
            side: {name: info.name for name, info in sorted(getattr(definition, side).items())}
            for side in ("inputs", "outputs")
        }
        for signature, definition in definitions.items()
        if not signature.startswith("__")
    }
