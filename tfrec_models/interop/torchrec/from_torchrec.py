"""Live TorchRec modules as layers and models of this package.

Told by class name and attributes: neither torch nor torchrec is imported.
"""

from typing import Any

import keras

from tfrec_models import deepfm, dlrm, experimental, layers
from tfrec_models.interop.torchrec.state_dict import load_torchrec_state_dict


def from_torchrec(module: Any) -> keras.layers.Layer:
    """Returns a layer or model of this package like a live TorchRec module, weights included.

    For a module in memory; state dicts in files are `load_torchrec_state_dict`'s and the
    command's. The result computes what the module does; a DLRM_Transformer therefore
    attends over the batch (see `InteractionTransformerArch`).

    Args:
        module: a TorchRec `DLRM`, `DLRM_DCN`, `DLRM_Projection`, `DLRM_Transformer`,
            `DLRMWrapper`, `DLRMTrain`, `SimpleDeepFMNN`, `SimpleDeepFMNNWrapper`,
            `EmbeddingBagCollection`, `FusedEmbeddingBagCollection`, `EmbeddingCollection`, or one
            of the cross networks.

    Returns:
        The built layer or model.

    Raises:
        TypeError: on another module.
        ValueError: if the module has what this package does not have, such as an activation that
            is no Keras activation.

    Example:

        model = from_torchrec(torchrec_dlrm)
        model.compile(loss=keras.losses.BinaryCrossentropy(from_logits=True))
    """
    name = type(module).__name__
    if name not in _CONVERSIONS:
        raise TypeError(
            f"from_torchrec takes one of TorchRec's {sorted(_CONVERSIONS)}, received {name}. For "
            "another module make the layer of its name, and load_torchrec_state_dict into it."
        )
    state = module.state_dict()
    layer = _CONVERSIONS[name](module, state)
    layer.build()
    load_torchrec_state_dict(layer, state)
    return layer


def _embedding_bag_collection(module, state):
    return layers.EmbeddingBagCollection(
        tables=[
            layers.EmbeddingBagConfig(pooling=config.pooling.value, **_table(config, state))
            for config in module.embedding_bag_configs()
        ],
        is_weighted=module.is_weighted(),
    )


def _embedding_collection(module, state):
    return layers.EmbeddingCollection(
        tables=[
            layers.EmbeddingConfig(**_table(config, state)) for config in module.embedding_configs()
        ]
    )


def _table(config, state):
    ends = f"embedding_bags.{config.name}.weight", f"embeddings.{config.name}.weight"
    dtype = next(str(value.dtype) for key, value in state.items() if key.endswith(ends))
    dtype = dtype.removeprefix("torch.")
    return {
        "num_embeddings": config.num_embeddings,
        "embedding_dim": config.embedding_dim,
        "name": config.name,
        "feature_names": list(config.feature_names),
        "data_type": None if dtype == "float32" else dtype,
    }


def _dlrm(model_class, extra=lambda module, state: {}):
    def convert(module, state):
        over = _sizes(state, "over_arch.model.0._mlp.{}._linear.weight")
        return model_class(
            embedding_bag_collection=_collection_of(module, state),
            dense_in_features=state["dense_arch.model._mlp.0._linear.weight"].shape[1],
            dense_arch_layer_sizes=_sizes(state, "dense_arch.model._mlp.{}._linear.weight"),
            over_arch_layer_sizes=[*over, state["over_arch.model.1.weight"].shape[0]],
            **extra(module, state),
        )

    return convert


def _dcn_arguments(module, state):
    crossnet = module.inter_arch.crossnet
    return {"dcn_num_layers": crossnet._num_layers, "dcn_low_rank_dim": crossnet._low_rank}


def _projection_arguments(module, state):
    return {
        f"interaction_branch{number}_layer_sizes": _sizes(
            state, f"inter_arch.interaction_branch{number}.model._mlp.{{}}._linear.weight"
        )
        for number in (1, 2)
    }


def _transformer_arguments(module, state):
    return {
        "nhead": module.inter_arch.nhead,
        "ntransformer_layers": module.inter_arch.ntransformer_layers,
        "attend_over": "batch",
    }


def _dlrm_train(module, state):
    return dlrm.DLRMTrain(from_torchrec(module.model))


def _simple_deepfm_nn(module, state):
    return deepfm.SimpleDeepFMNN(
        num_dense_features=state["dense_arch.model.0.weight"].shape[1],
        embedding_bag_collection=_collection_of(module, state),
        hidden_layer_size=state["dense_arch.model.0.weight"].shape[0],
        deep_fm_dimension=state["inter_arch.deep_fm.dense_module.0.weight"].shape[0],
    )


def _collection_of(module, state):
    return _embedding_bag_collection(module.sparse_arch.embedding_bag_collection, state)


def _crossnet(layer_class):
    def convert(module, state):
        return layer_class(module._in_features, module._num_layers)

    return convert


def _low_rank_crossnet(module, state):
    return layers.LowRankCrossNet(module._in_features, module._num_layers, module._low_rank)


def _mixture_crossnet(module, state):
    # torch.relu, torch.nn.functional.relu and torch.nn.ReLU() are all called so.
    activation = module._activation
    name = getattr(activation, "__name__", type(activation).__name__).lower()
    return layers.LowRankMixtureCrossNet(
        module._in_features, module._num_layers, module._num_experts, module._low_rank, name
    )


def _sizes(state, key):
    """The first axis of the weights of all layers: their number of outputs."""
    sizes = []
    while key.format(len(sizes)) in state:
        sizes.append(state[key.format(len(sizes))].shape[0])
    return sizes


_CONVERSIONS = {
    "CrossNet": _crossnet(layers.CrossNet),
    "DLRM": _dlrm(dlrm.DLRM),
    "DLRMTrain": _dlrm_train,
    "DLRMWrapper": _dlrm(dlrm.DLRM),
    "DLRM_DCN": _dlrm(dlrm.DLRM_DCN, _dcn_arguments),
    "DLRM_Projection": _dlrm(dlrm.DLRM_Projection, _projection_arguments),
    "DLRM_Transformer": _dlrm(experimental.DLRM_Transformer, _transformer_arguments),
    "EmbeddingBagCollection": _embedding_bag_collection,
    "EmbeddingCollection": _embedding_collection,
    "FusedEmbeddingBagCollection": _embedding_bag_collection,
    "LowRankCrossNet": _low_rank_crossnet,
    "LowRankMixtureCrossNet": _mixture_crossnet,
    "SimpleDeepFMNN": _simple_deepfm_nn,
    "SimpleDeepFMNNWrapper": _simple_deepfm_nn,
    "VectorCrossNet": _crossnet(layers.VectorCrossNet),
}
