"""AUC on the last of ten days of a log whose ids change, for each way to map ids to rows.

The log of `examples/train_daily.py`: a third of the ids are new each day, and the tables have rows
for a quarter of all ids. Each model is trained once through nine days and four fifths of the tenth,
and judged on the rest of it.

    python benchmarks/daily.py [--seeds 1] [--out benchmarks/results/daily.json]
"""

import argparse
import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "examples"))

import keras  # noqa: E402
import numpy as np  # noqa: E402
import train_daily  # noqa: E402

from tfrec_models.layers import ManagedIds  # noqa: E402

DAYS = 10
ALL = train_daily.num_ids(DAYS + 1)
ROWS = ALL // 4
TTL = train_daily.EXAMPLES // train_daily.BATCH
# What is done, rows of a table, id policy, and how numbers become ids.
WAYS = {
    "a row for every id": (ALL, ManagedIds(), train_daily.id_of),
    "managed, evict lru": (ROWS, ManagedIds(admit_after=2), train_daily.id_of),
    "managed, evict lfu": (ROWS, ManagedIds(admit_after=2, evict="lfu"), train_daily.id_of),
    "managed, evict ttl": (
        ROWS,
        ManagedIds(admit_after=2, evict="ttl", ttl=TTL),
        train_daily.id_of,
    ),
    "hash": (ROWS, "hash", lambda numbers: train_daily.id_of(numbers) >> 16),
    # Numbered in the order of first appearance, as a vocabulary of the first days is.
    "oov": (ROWS, "oov", lambda numbers: numbers - train_daily.NEW_A_DAY),
}


def last_day_auc(rows, policy, to_ids, seed):
    keras.utils.set_random_seed(seed)
    model = train_daily.make_model(rows, policy)
    for day in range(1, DAYS):
        model.fit(train_daily.dataset(day, to_ids), verbose=0)
    last = train_daily.dataset(DAYS, to_ids)
    begin = TTL * 4 // 5
    model.fit(last.take(begin), verbose=0)
    return model.evaluate(last.skip(begin), verbose=0, return_dict=True)["auc"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=pathlib.Path, help="write the figures there, as JSON")
    options = parser.parse_args()
    print("| ids | rows a table | AUC on the last day |\n|---|---|---|")
    results = []
    for name, (rows, *way) in WAYS.items():
        aucs = [last_day_auc(rows, *way, seed) for seed in range(options.seeds)]
        results.append({"ids": name, "rows": rows, "auc": float(np.mean(aucs)), "runs": aucs})
        print(f"| {name} | {rows:,} | {np.mean(aucs):.4f} |", flush=True)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps({"days": DAYS, "ids": ALL, "results": results}, indent=1))


if __name__ == "__main__":
    main()
