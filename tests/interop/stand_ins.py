"""Objects with the names and attributes of TorchRec's modules, made from recorded cases."""

import types

from tests.support import oracle


def stand_in(name, case, recorded):
    """What `from_torchrec` sees of the TorchRec module of a case.

    Args:
        name: str, the module's class name.
        case: the case.
        recorded: its arrays.
    """
    attributes = {"state_dict": lambda self: oracle.weights_of(recorded)}
    module = type(name, (), attributes)()
    if "tables" in case:
        configs = [_config(table) for table in case["tables"]]
        tables = types.SimpleNamespace(
            embedding_bag_configs=lambda: configs,
            embedding_configs=lambda: configs,
            is_weighted=lambda: case.get("is_weighted", False),
        )
        vars(module).update(vars(tables))
        module.sparse_arch = types.SimpleNamespace(embedding_bag_collection=tables)
    ctor = case["ctor"]
    private = ("in_features", "num_layers", "low_rank", "num_experts")
    vars(module).update({f"_{key}": ctor[key] for key in private if key in ctor})
    if "activation" in ctor:
        module._activation = types.SimpleNamespace(__name__=ctor["activation"])
    module.inter_arch = types.SimpleNamespace(
        **{key: ctor[key] for key in ("nhead", "ntransformer_layers") if key in ctor},
        crossnet=types.SimpleNamespace(
            _num_layers=ctor.get("dcn_num_layers"), _low_rank=ctor.get("dcn_low_rank_dim")
        ),
    )
    return module


def _config(table):
    pooling = types.SimpleNamespace(value=table.get("pooling", "NONE"))
    return types.SimpleNamespace(**{**table, "pooling": pooling})
