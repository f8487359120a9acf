"""Writes docs/torchrec_api.md: TorchRec's public API against ours, read off the two packages.

Where both are installed (`pip install tfrec_models[parity]`):

    python scripts/torchrec_api_table.py docs/torchrec_api.md
"""

import dataclasses
import enum
import importlib
import importlib.metadata
import inspect
import pathlib
import sys

# TorchRec's modules, and where their names are here.
MODULES = {
    "torchrec.sparse.jagged_tensor": "tfrec_models.sparse",
    "torchrec.modules.embedding_configs": "tfrec_models.layers",
    "torchrec.modules.embedding_modules": "tfrec_models.layers",
    "torchrec.modules.activation": "tfrec_models.layers",
    "torchrec.modules.mlp": "tfrec_models.layers",
    "torchrec.modules.crossnet": "tfrec_models.layers",
    "torchrec.modules.deepfm": "tfrec_models.layers",
    "torchrec.models.dlrm": "tfrec_models.dlrm",
    "torchrec.models.deepfm": "tfrec_models.deepfm",
    "torchrec.models.experimental.transformerdlrm": "tfrec_models.experimental",
}

# What is here under another name: the name, where {cls} is the class of the same name, and what
# differs.
OTHER_NAMES = {
    "regroup_kts": ("tfrec_models.sparse.KeyedTensor.regroup", ""),
    "permute_multi_embedding": ("tfrec_models.sparse.KeyedTensor.regroup", ""),
    "ComputeKJTToJTDict": ("tfrec_models.sparse.KeyedJaggedTensor.to_dict", ""),
    "ComputeJTDictToKJT": ("tfrec_models.sparse.KeyedJaggedTensor.from_jt_dict", ""),
    "EmbeddingBagCollectionInterface": ("tfrec_models.layers.EmbeddingBagCollection", ""),
    "EmbeddingCollectionInterface": ("tfrec_models.layers.EmbeddingCollection", ""),
    "get_embedding_names_by_table": (
        "tfrec_models.layers.EmbeddingCollection.embedding_names", "in one list",
    ),
    "EmbeddingCollection.embedding_names_by_table": (
        "tfrec_models.layers.EmbeddingCollection.embedding_names", "in one list",
    ),
    "reset_parameters": (
        "tfrec_models.layers.{cls}.write_table", "sets one table",
    ),
    "QuantConfig": ("tfrec_models.serving.export", "its argument table_dtype"),
    "get_weight_init_max": ("tfrec_models.layers.{cls}.init_range", ""),
    "get_weight_init_min": ("tfrec_models.layers.{cls}.init_range", ""),
    "num_features": ("tfrec_models.layers.{cls}.feature_names", "its length"),
    "BaseEmbeddingConfig": ("tfrec_models.layers.EmbeddingBagConfig", ""),
    "compile_dense_path": (
        "tfrec_models.layers.set_xla_enabled", "XLA compiles the dense parts unless it is off",
    ),
    "DLRMWrapper": ("tfrec_models.dlrm.DLRM", ""),
    "SimpleDeepFMNNWrapper": ("tfrec_models.deepfm.SimpleDeepFMNN", ""),
    "DLRM_Transformer": ("tfrec_models.experimental.DLRM_Transformer", ""),
}  # fmt: skip

_DEVICE = "TensorFlow places tensors, by `tf.device` if asked"
_RANKS = "ids do not travel between ranks; strategies of `tf.distribute` shard batches"
_REPEATED = "bags that examples share are repeated where a KeyedJaggedTensor is made"
_CACHE = "a cache that TorchRec passes on; computed where needed"
_VIRTUAL = "there are no virtual tables: a table has its number of rows"
_STRINGS = "dtypes and poolings are strings here"
_SHARDING = "tables are sharded by a strategy of `tf.distribute`, see `tfrec_models.distribute`"

# Why something is not here; a name stands for a member or argument of any class.
REASONS = {
    "argument dense_device": _DEVICE,
    "argument device": _DEVICE,
    "clear_storage": _DEVICE,
    "device": _DEVICE,
    "pin_memory": _DEVICE,
    "record_stream": _DEVICE,
    "to": _DEVICE,
    "copy_": "tensors of TensorFlow do not change",
    "size_in_bytes": "the sizes of its tensors add up to it",
    "dist_init": _RANKS,
    "dist_labels": _RANKS,
    "dist_splits": _RANKS,
    "dist_tensors": _RANKS,
    "stride_per_key_per_rank": _RANKS,
    "sync": "nothing is computed on another device and waited for",
    "unsync": "nothing is computed on another device and waited for",
    "JaggedTensorMeta": "for torch.fx",
    "PoolingType.NONE": "lookups without pooling are `EmbeddingCollection`'s",
    "flatten_kjt_list": "`tf.nest.flatten` does it",
    "unflatten_kjt_list": "`tf.nest.pack_sequence_as` does it",
    "jt_is_equal": "compare the values, lengths and weights",
    "kjt_is_equal": "compare the keys, values, lengths and weights",
    "flatten_lengths": "`lengths()` is flat",
    "lengths_offset_per_key": _CACHE,
    "index_per_key": _CACHE,
    "argument index_per_key": _CACHE,
    "argument jt_dict": _CACHE,
    "argument length_per_key": _CACHE,
    "argument lengths_offset_per_key": _CACHE,
    "argument offset_per_key": _CACHE,
    "reorder_inverse_indices": _REPEATED,
    "process_pooled_embeddings": _REPEATED,
    "need_indices": "the ids are those of the input",
    "argument need_indices": "the ids are those of the input",
    "argument use_gather_select": "a choice between kernels of torch",
    "argument use_gather_select_per_sharding": "a choice between kernels of torch",
    "use_gather_select": "a choice between kernels of torch",
    "use_gather_select_per_sharding": "a choice between kernels of torch",
    "dtype_to_data_type": _STRINGS,
    "data_type_to_dtype": _STRINGS,
    "data_type_to_sparse_type": _STRINGS,
    "pooling_type_to_pooling_mode": _STRINGS,
    "pooling_type_to_str": _STRINGS,
    "ShardingType": _SHARDING,
    "EmbeddingTableConfig": _SHARDING,
    "VirtualTableEvictionPolicy": _VIRTUAL,
    "CountBasedEvictionPolicy": _VIRTUAL,
    "FeatureScoreBasedEvictionPolicy": _VIRTUAL,
    "FeatureScoreMapping": _VIRTUAL,
    "TimestampBasedEvictionPolicy": _VIRTUAL,
    "CountTimestampMixedEvictionPolicy": _VIRTUAL,
    "FeatureL2NormBasedEvictionPolicy": _VIRTUAL,
    "NoEvictionPolicy": _VIRTUAL,
    "argument num_embeddings_post_pruning": "tables are not pruned",
    "argument need_pos": "for position-weighted feature processors, which are not here",
    "argument input_dim": _VIRTUAL,
    "argument total_num_buckets": _VIRTUAL,
    "argument use_virtual_table": _VIRTUAL,
    "argument virtual_table_eviction_policy": _VIRTUAL,
    "argument enable_embedding_update": "for the streaming updates of inference servers",
    "argument stash_weights": "for GPU memory",
    "argument stride_per_key": "every feature has the same number of examples",
}  # fmt: skip

_NOT_YET = "not yet"


def api_rows():
    """Returns a dict from TorchRec's module to its rows: (name, "yes", "as ..." or "no", note)."""
    return {
        module: [row for name, theirs in public_names(module) for row in _rows(name, theirs, here)]
        for module, here in MODULES.items()
    }


def public_names(module):
    """The public classes and functions that a module defines."""
    module = importlib.import_module(module)
    return [
        (name, value)
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    ]


def _rows(name, theirs, here):
    """The row of a name, and if it is a class that is here those of its members."""
    ours = getattr(importlib.import_module(here), name, None)
    if ours is None:
        return [(name, *_absent(name))]
    rows = [(name, "yes", "")]
    if not inspect.isclass(theirs):
        return rows
    fields = {field.name for field in dataclasses.fields(theirs)} if _is_data(theirs) else set()
    for member, kind in _members(theirs):
        if member not in fields:
            rows.append((f"{name}.{member}", *_member(ours, name, member, kind)))
    if not issubclass(theirs, enum.Enum):
        for argument in _arguments(theirs):
            rows.append((f"{name}({argument}=)", *_argument(ours, name, argument)))
    return rows


def _is_data(cls):
    return dataclasses.is_dataclass(cls)


def _members(cls):
    """The public members of a class and of its bases in the same package."""
    members = {}
    for base in cls.__mro__:
        if base.__module__.startswith("torchrec."):
            for name, value in vars(base).items():
                if not name.startswith("_"):
                    members.setdefault(name, value)
    return members.items()


def _member(ours, name, member, kind):
    if member == "forward":
        return "as `call`", ""
    here = inspect.getattr_static(ours, member, None)
    # A layer keeps most arguments as attributes of its objects.
    kept = here is None and member in inspect.signature(ours.__init__).parameters
    if here is None and not kept:
        return _absent(f"{name}.{member}", member)
    called = inspect.isfunction(kind) or isinstance(kind, (classmethod, staticmethod))
    if called and (kept or isinstance(here, property)):
        return "yes", "an attribute: without `()`"
    return "yes", ""


def _arguments(cls):
    parameters = inspect.signature(cls.__init__).parameters.values()
    return [p.name for p in parameters if p.name != "self" and p.kind is p.POSITIONAL_OR_KEYWORD]


def _argument(ours, name, argument):
    arguments = inspect.signature(ours.__init__).parameters
    # Every layer of Keras takes a dtype among its **kwargs.
    if argument in arguments or argument == "dtype":
        return "yes", ""
    return _absent(f"{name}({argument}=)", f"argument {argument}")


def _absent(*names):
    """How the first of these names that is known is here, or why it is not."""
    for name in names:
        if name in OTHER_NAMES:
            here, note = OTHER_NAMES[name]
            here = here.replace("{cls}", names[0].split(".")[0])
            if _exists(here):
                return f"as `{here.removeprefix('tfrec_models.')}`", note
        if name in REASONS:
            return "no", REASONS[name]
    return "no", _NOT_YET


def _exists(path):
    """Whether a dotted name leads to a member of a module or of a class in one."""
    parts = path.split(".")
    value = importlib.import_module(".".join(parts[:2]))
    for part in parts[2:]:
        found = getattr(value, part, None)
        if found is None and part not in getattr(value, "__dataclass_fields__", {}):
            return False
        value = found
    return True


def markdown():
    """Returns the text of the page."""
    tables = api_rows()
    rows = [row for table in tables.values() for row in table]
    there = sum(row[1] == "yes" for row in rows)
    renamed = sum(row[1].startswith("as ") for row in rows)
    lines = [
        "# TorchRec's API here",
        "",
        f"TorchRec {importlib.metadata.version('torchrec')}'s public classes and functions, their "
        "members and constructor arguments. "
        f"Of {len(rows)} names {there} are here, {renamed} are here under another name, and "
        f"{len(rows) - there - renamed} are not, each with the reason.",
        "",
        "Made from the two packages by `python scripts/torchrec_api_table.py "
        "docs/torchrec_api.md`.",
    ]
    for module, table in tables.items():
        lines += ["", f"## {module}", "", f"Here: `{MODULES[module]}`.", ""]
        lines += ["| TorchRec | here | |", "|---|---|---|"]
        lines += [f"| `{name}` | {here} | {note} |" for name, here, note in table]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    pathlib.Path(sys.argv[1]).write_text(markdown())
