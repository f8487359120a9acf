"""Trains the recipe frappe_dlrm_cat in TorchRec, with its settings and files.

    python benchmarks/recipes_torchrec.py frappe --seeds 0 1 2 --machine "AMD EPYC, 2 cores"

TorchRec's EmbeddingBagCollection looks up; the layers, their dropout and batch normalization are
PyTorch's, since TorchRec's MLP has neither. PyTorch has no Adam for some rows with L2: the formula
of `LazyAdam` is applied to the rows of a batch. What each seed reaches is written to
benchmarks/results/recipes_torchrec.json, beside which the means of benchmarks/results/recipes
stand. It needs torch, torchrec and fbgemm-gpu-cpu, pyarrow, PyYAML and scikit-learn, and nothing of
TensorFlow.
"""

import argparse
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


class LazyAdam:
    """Adam over the rows of a batch, with L2 of these rows."""

    def __init__(self, tables, l2, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
        self.slots = [(torch.zeros_like(t), torch.zeros_like(t)) for t in tables]
        self.tables, self.l2, self.steps = tables, l2, 0
        self.betas, self.epsilon = (beta_1, beta_2), epsilon

    @torch.no_grad()
    def step(self, ids, rate):
        self.steps += 1
        beta_1, beta_2 = self.betas
        rate *= (1 - beta_2**self.steps) ** 0.5 / (1 - beta_1**self.steps)
        for column, (table, (first, second)) in enumerate(
            zip(self.tables, self.slots, strict=True)
        ):
            rows = torch.unique(ids[:, column])
            gradient = table.grad[rows] + self.l2 * table[rows]
            first[rows] += (1 - beta_1) * (gradient - first[rows])
            second[rows] += (1 - beta_2) * (gradient**2 - second[rows])
            table[rows] -= rate * first[rows] / (second[rows].sqrt() + self.epsilon)
            table.grad = None


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
    num_rows = [int(max(part[1][:, i].max() for part in parts.values())) + 1 for i in range(10)]
    model = Model(recipe, features, num_rows)
    tables, dense = recipe["optimizer"]["tables"], recipe["optimizer"]["dense"]
    rows = LazyAdam(
        list(model.tables.parameters()),
        recipe["regularization"]["embedding_l2"],
        **tables.get("arguments", {}),
    )
    others = torch.optim.Adam(model.over.parameters(), dense["learning_rate"])
    factor_of = factors(recipe)
    step, start = 0, time.monotonic()
    for _ in range(recipe["training"]["epochs"]):
        model.train()
        for batch in torch.randperm(len(labels)).split(recipe["data"]["batch_size"]):
            others.param_groups[0]["lr"] = dense["learning_rate"] * factor_of(step)
            logits = model(ids[batch])
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels[batch])
            others.zero_grad()
            loss.backward()
            others.step()
            rows.step(ids[batch], tables["learning_rate"] * factor_of(step))
            step += 1
    seconds = time.monotonic() - start
    model.eval()
    with torch.no_grad():
        probabilities = torch.sigmoid(model(parts["test"][1])).double().numpy()
    test = parts["test"][2].numpy()
    return {
        "auc": roc_auc_score(test, probabilities),
        "log_loss": log_loss(test, probabilities),
        "seconds": round(seconds, 1),
        "versions": f"torch {torch.__version__}, torchrec {torchrec.__version__}",
    }


def factors(recipe):
    """The learning rates' factor as a function of the step: held, then falling to the end."""
    schedule = recipe["schedule"]
    hold, decay = schedule.get("hold_steps", 0), schedule["decay_steps"]
    end = schedule.get("end_factor", 0.0)
    return lambda step: end + (1 - end) * (1 - min(max(step - hold, 0) / decay, 1))


def record(seed, result):
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[str(seed)] = result
    temporary = RESULTS.with_suffix(".tmp")
    temporary.write_text(json.dumps(results, indent=1) + "\n")
    os.replace(temporary, RESULTS)


if __name__ == "__main__":
    main()
