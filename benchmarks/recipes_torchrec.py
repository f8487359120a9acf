"""Trains the recipe frappe_dlrm_cat in TorchRec, with its settings and files.

    python benchmarks/recipes_torchrec.py frappe --seeds 0 1 2 --machine "AMD EPYC, 2 cores"

TorchRec's EmbeddingBagCollection looks up; the layers, their dropout and batch normalization are
PyTorch's, since TorchRec's MLP has neither, and so is Adam with L2 of whole tables, as its
`weight_decay`. What each seed reaches is written to benchmarks/results/recipes_torchrec.json, to be
read beside benchmarks/results/recipes. It needs torch, torchrec and fbgemm-gpu-cpu, pyarrow, PyYAML
and scikit-learn, and nothing of TensorFlow.
"""

import argparse
import copy
import json
import os
import pathlib
import time

import numpy as np
import pyarrow.parquet as pq
import torch
import torchrec
import yaml
from sklearn.metrics import log_loss, roc_auc_score
from torchrec.modules.embedding_configs import EmbeddingBagConfig
from torchrec.modules.embedding_modules import EmbeddingBagCollection
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

ROOT = pathlib.Path(__file__).parents[1]
RECIPE = ROOT / "tfrec_models" / "recipes" / "shipped" / "frappe_dlrm_cat.yaml"
RESULTS = ROOT / "benchmarks" / "results" / "recipes_torchrec.json"


class Model(torch.nn.Module):
    """Embeddings side by side, then an MLP."""

    def __init__(self, recipe, features, num_rows):
        super().__init__()
        dim, regularization = recipe["tables"]["dim"], recipe["regularization"]
        self.features = features
        self.tables = EmbeddingBagCollection(
            tables=[
                EmbeddingBagConfig(
                    name=f"t_{name}",
                    embedding_dim=dim,
                    num_embeddings=rows,
                    feature_names=[name],
                )
                for name, rows in zip(features, num_rows, strict=True)
            ]
        )
        for table in self.tables.parameters():
            torch.nn.init.normal_(table, std=recipe["tables"]["initializer"]["stddev"])
        layers, width = [], dim * len(features)
        *hidden, outputs = recipe["model"]["over_arch_layer_sizes"]
        for size in hidden:
            layers += [
                torch.nn.Linear(width, size),
                torch.nn.BatchNorm1d(size),
                torch.nn.ReLU(),
                torch.nn.Dropout(regularization["dropout"]),
            ]
            width = size
        self.over = torch.nn.Sequential(*layers, torch.nn.Linear(width, outputs))

    def forward(self, ids):
        keyed = KeyedJaggedTensor.from_lengths_sync(
            keys=self.features,
            values=ids.T.reshape(-1),
            lengths=torch.ones(ids.numel(), dtype=torch.int32),
        )
        return self.over(self.tables(keyed).values())[:, 0]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="with train.parquet, validation.parquet and test.parquet")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--machine", required=True, help="what the figures were measured on")
    options = parser.parse_args()
    recipe = yaml.safe_load(RECIPE.read_text())
    parts = {
        part: arrays(pathlib.Path(options.folder, f"{part}.parquet"))
        for part in ("train", "validation", "test")
    }
    for seed in options.seeds:
        result = {**trained(recipe, parts, seed), "machine": options.machine}
        print(f"seed {seed}: {result}", flush=True)
        record(seed, result)


def arrays(path):
    table = pq.read_table(path)
    features = [name for name in table.column_names if name != "label"]
    ids = np.stack([table[name].to_numpy() for name in features], axis=1)
    labels = table["label"].to_numpy().astype(np.float32)
    return features, torch.from_numpy(ids), torch.from_numpy(labels)


def trained(recipe, parts, seed):
    """What one seed reaches on the test rows."""
    torch.manual_seed(seed)
    features, ids, labels = parts["train"]
    num_rows = np.max([part[1].max(dim=0).values for part in parts.values()], axis=0) + 1
    model = Model(recipe, features, num_rows.tolist())
    chosen, rates = recipe["training"], recipe["optimizer"]
    optimizer = torch.optim.Adam(
        [
            {
                "params": model.tables.parameters(),
                "lr": rates["tables"]["learning_rate"],
                "weight_decay": recipe["regularization"]["embedding_l2"],
            },
            {"params": model.over.parameters(), "lr": rates["dense"]["learning_rate"]},
        ],
        # Keras's, as the recipe has it.
        eps=1e-7,
    )
    best, best_epoch, start = -1.0, 0, time.monotonic()
    for epoch in range(chosen["epochs"]):
        model.train()
        for batch in torch.randperm(len(labels)).split(recipe["data"]["batch_size"]):
            logits = model(ids[batch])
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        reached = metrics_of(model, parts["validation"])["auc"]
        print(f"epoch {epoch + 1}: validation AUC {reached:.5f}", flush=True)
        if reached > best + chosen["min_delta"]:
            best, best_epoch, weights = reached, epoch, copy.deepcopy(model.state_dict())
            continue
        for group in optimizer.param_groups:
            group["lr"] *= chosen["reduce_lr_factor"]
        if epoch - best_epoch >= chosen["early_stopping_patience"]:
            break
    seconds = time.monotonic() - start
    model.load_state_dict(weights)
    return {
        **metrics_of(model, parts["test"]),
        "epochs": epoch + 1,
        "seconds": round(seconds, 1),
        "versions": f"torch {torch.__version__}, torchrec {torchrec.__version__}",
    }


@torch.no_grad()
def metrics_of(model, part):
    _, ids, labels = part
    model.eval()
    probabilities = torch.sigmoid(model(ids)).double().numpy()
    return {
        "auc": float(roc_auc_score(labels, probabilities)),
        "log_loss": float(log_loss(labels, probabilities)),
    }


def record(seed, result):
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[str(seed)] = result
    temporary = RESULTS.with_suffix(".tmp")
    temporary.write_text(json.dumps(results, indent=1) + "\n")
    os.replace(temporary, RESULTS)


if __name__ == "__main__":
    main()
