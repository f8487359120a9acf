"""Compares our states with those of a live DistributedModelParallel, in a process of its own.

Usage: python distributed_optimizer.py SHARDING_TYPE SCRATCH_FILE
"""

import os
import sys

import numpy as np
import torch
import torch.distributed
import torchrec
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.distributed.planner import EmbeddingShardingPlanner, Topology
from torchrec.distributed.planner.types import ParameterConstraints
from torchrec.models.dlrm import DLRM
from torchrec.optim.apply_optimizer_in_backward import apply_optimizer_in_backward

FEATURES = ["f0", "f1"]


def distributed_model(sharding_type):
    """A DLRM in one process, its tables sharded and trained by fused row-wise Adagrad."""
    torch.manual_seed(1)
    tables = [
        torchrec.EmbeddingBagConfig(
            name=f"t{i}", num_embeddings=rows, embedding_dim=8, feature_names=[f"f{i}"]
        )
        for i, rows in enumerate((20, 10))
    ]
    model = DLRM(torchrec.EmbeddingBagCollection(tables=tables), 3, [8], [16, 1])
    apply_optimizer_in_backward(
        torchrec.optim.RowWiseAdagrad, model.sparse_arch.parameters(), {"lr": 0.1}
    )
    constraints = ParameterConstraints(sharding_types=[sharding_type], compute_kernels=["fused"])
    sharders = [EmbeddingBagCollectionSharder()]
    plan = EmbeddingShardingPlanner(
        topology=Topology(world_size=1, compute_device="cpu"),
        constraints={"t0": constraints, "t1": constraints},
    ).plan(model, sharders)
    return DistributedModelParallel(model, device=torch.device("cpu"), plan=plan, sharders=sharders)


def main(sharding_type, scratch):
    """Trains a step; our functions take its states over, and have the same to give back."""
    os.environ.update(RANK="0", WORLD_SIZE="1", LOCAL_RANK="0")
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{scratch}", rank=0, world_size=1
    )
    model = distributed_model(sharding_type)
    ids = torchrec.KeyedJaggedTensor.from_lengths_sync(
        FEATURES, torch.tensor([1, 2, 3]), torch.tensor([1, 0, 1, 1])
    )
    model(torch.randn(2, 3), ids).sum().backward()
    # After torch: TensorFlow is of no use to the process above.
    from tfrec_models import DLRM as OurDLRM
    from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig
    from tfrec_models.interop.torchrec import (
        load_torchrec_optimizer_state,
        load_torchrec_state_dict,
        torchrec_optimizer_state,
        torchrec_state_dict,
    )
    from tfrec_models.optimizers import RowWiseAdagrad

    tables = [
        EmbeddingBagConfig(rows, 8, f"t{i}", feature_names=[f"f{i}"])
        for i, rows in enumerate((20, 10))
    ]
    ours, optimizer = OurDLRM(EmbeddingBagCollection(tables), 3, [8], [16, 1]), RowWiseAdagrad()
    load_torchrec_state_dict(ours, model.state_dict())
    load_torchrec_optimizer_state(ours, optimizer, model.fused_optimizer.state_dict())
    there = model.fused_optimizer.state_dict()["state"]
    here = torchrec_optimizer_state(ours, optimizer, distributed=True)
    assert list(here) == list(there)
    nonzero = 0
    for key, moments in there.items():
        assert list(here[key]) == list(moments)
        for name, moment in moments.items():
            (shard,) = moment.local_shards()
            np.testing.assert_array_equal(here[key][name], shard.tensor.numpy())
            nonzero += np.count_nonzero(here[key][name])
    assert nonzero > 0
    weights = torchrec_state_dict(ours)
    for key, value in model.state_dict().items():
        value = value.local_shards()[0].tensor if hasattr(value, "local_shards") else value
        np.testing.assert_array_equal(weights[key], value.detach().numpy())
    print("equal")


if __name__ == "__main__":
    main(*sys.argv[1:])
