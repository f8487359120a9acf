"""Models as TorchRec's checkpoints hold them, and files of such."""

import json

import numpy as np

from tests.support import oracle
from tfrec_models import DLRM, DLRMTrain, EmbeddingBagCollection, EmbeddingBagConfig, experimental

DTYPES = {"float32": "F32", "float16": "F16", "int64": "I64", "uint16": "BF16"}


def write_safetensors(path, tensors):
    """The file format by its definition; uint16 stands for the bits of bfloat16."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for key, value in tensors.items():
        value = np.asarray(value, order="C")
        ends = [len(data), len(data) + value.nbytes]
        header[key] = {
            "dtype": DTYPES[value.dtype.name],
            "shape": list(value.shape),
            "data_offsets": ends,
        }
        data += value.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def make_any(name):
    """The model of a case, DLRMTrain and the transformer too."""
    case = oracle.index()[name]
    if name == "dlrm_train_step":
        return DLRMTrain(DLRM(oracle.collection(case), **case["ctor"]))
    if name.startswith("dlrm_transformer"):
        return experimental.DLRM_Transformer(oracle.collection(case), **case["ctor"])
    return oracle.make_model(case)


def collection():
    """Two tables of one stack."""
    return EmbeddingBagCollection(
        tables=[EmbeddingBagConfig(5, 4, "t1"), EmbeddingBagConfig(3, 4, "t2")]
    )
