"""TorchRec on a CPU: "fused" with FBGEMM's table update inside the backward pass, and "plain"."""

import functools
import time

from peers import workload as w

REQUIRES = (
    ("torch", "fbgemm_gpu", "torchrec"),
    "pip install '.[parity]' && pip uninstall -y fbgemm-gpu fbgemm-gpu-cpu && "
    "pip install --no-deps fbgemm-gpu-cpu==1.8.0",
)
MODELS = w.MODELS
PRECISIONS = w.PRECISIONS
FORWARD = "forward"


def make(workload, variant):
    import logging
    import warnings

    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    import fbgemm_gpu  # noqa: F401, registers its operators
    import torch
    import torchrec
    from torchrec.models.deepfm import SimpleDeepFMNN
    from torchrec.models.dlrm import DLRM, DLRM_DCN
    from torchrec.modules.embedding_configs import EmbeddingBagConfig
    from torchrec.modules.embedding_modules import EmbeddingBagCollection
    from torchrec.modules.fused_embedding_modules import FusedEmbeddingBagCollection
    from torchrec.optim import RowWiseAdagrad
    from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

    torch.set_num_threads(workload.threads)
    torch.manual_seed(0)
    configs = [
        EmbeddingBagConfig(
            name=f"t_{name}",
            embedding_dim=w.DIM,
            num_embeddings=workload.rows,
            feature_names=[name],
        )
        for name in workload.names
    ]
    adagrad = {"lr": w.TABLE_RATE, "eps": w.EPSILON}
    fused = variant == "fused"
    if fused:
        collection = FusedEmbeddingBagCollection(
            tables=configs, optimizer_type=RowWiseAdagrad, optimizer_kwargs=adagrad
        )
    else:
        collection = EmbeddingBagCollection(tables=configs)
    if workload.model == "dlrm":
        model = DLRM(collection, w.DENSE, w.DENSE_ARCH, w.OVER_ARCH)
    elif workload.model == "dlrm_dcn":
        model = DLRM_DCN(
            collection,
            w.DENSE,
            w.DENSE_ARCH,
            w.OVER_ARCH,
            dcn_num_layers=w.DCN_LAYERS,
            dcn_low_rank_dim=w.DCN_RANK,
        )
    else:
        model = SimpleDeepFMNN(w.DENSE, collection, w.HIDDEN, w.DEEP_FM)
    tables = [p for name, p in model.named_parameters() if "embedding_bags" in name]
    others = [p for name, p in model.named_parameters() if "embedding_bags" not in name]
    optimizers = [torch.optim.SGD(others, lr=w.DENSE_RATE)]
    if not fused:
        optimizers.append(torch.optim.Adagrad(tables, **adagrad))
    lengths = torch.cat(
        [torch.full((workload.batch,), bag, dtype=torch.int32) for bag in workload.bags]
    )
    batches = [
        (
            torch.from_numpy(batch.dense),
            torch.cat([torch.from_numpy(ids).reshape(-1) for ids in batch.ids]),
            torch.from_numpy(batch.labels),
        )
        for batch in workload.batches()
    ]
    loss_of = torch.nn.BCEWithLogitsLoss()
    is_mixed = workload.precision == "bfloat16"
    precision = functools.partial(torch.autocast, "cpu", torch.bfloat16, enabled=is_mixed)

    def keyed(values):
        # Made anew from ready tensors: it caches what it computes from them.
        return KeyedJaggedTensor.from_lengths_sync(
            keys=workload.names, values=values, lengths=lengths
        )

    def step(batch):
        dense, values, labels = batch
        with precision():
            logits = model(dense, keyed(values))
        loss = loss_of(logits.float().squeeze(-1), labels)
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        loss.item()

    def answer(batch):
        with torch.no_grad(), precision():
            model(batch[0], keyed(batch[1])).float().numpy()

    def job(call, training):
        state = {"next": 0}

        def run(steps):
            model.train(training)
            times = []
            for _ in range(steps):
                batch = batches[state["next"] % w.NUM_BATCHES]
                state["next"] += 1
                start = time.perf_counter()
                call(batch)
                times.append(time.perf_counter() - start)
            return times

        return run

    settings = {
        "versions": f"torch {torch.__version__}, torchrec {torchrec.__version__}",
        "tables": f"{'row-wise' if fused else 'torch.optim'} Adagrad, {adagrad}",
        "dense": f"torch.optim.SGD, rate {w.DENSE_RATE}",
        "sparse input": "KeyedJaggedTensor made from ready tensors in every step",
        "training": "a plain loop; forward under eval() and no_grad()",
        "precision": "torch.autocast to bfloat16" if is_mixed else "float32",
    }
    return settings, {
        "train": lambda: job(step, training=True),
        "forward": lambda: job(answer, training=False),
    }
