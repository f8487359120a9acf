"""Sends random requests to an export, good ones and bad ones, and checks every answer.

    python benchmarks/fuzz_requests.py [--requests 1000000] [--seed 0] [--json FILE]

A small DLRM with a schema and two levels is exported, so that it has every signature, and asked
through TensorFlow's C API in a process without Python TensorFlow, which checks no shape or type
beforehand. Requests are of 0 to 6 of 600 known rows. A good one must score as `model.predict` does.
Of the bad ones, NaN and infinity, other widths, lengths and ids that do not fit, other types and
wrong numbers of candidates must be refused; inputs of another rank refused or scored as those of
the right one; `tf.Example`s that are cut off, changed or noise refused or, where they still say
something, answered for each example. Refusals whose message names no input and no feature are
counted by their kind. A wrong answer or a crash ends the script.
"""

import argparse
import collections
import json
import pathlib
import pickle
import subprocess
import sys
import tempfile

import numpy as np

from c_api import ServingError, Session, signature_tensors  # isort: skip

USERS, ITEMS = 24, 25
NAMES = {"user id": "user_id", "seen": "seen", "größe/item": "gr__e_item"}
REQUEST = ["user id", "seen"]
MOST = 6


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=1_000_000, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--json", metavar="FILE", help="write the results here as well")
    parser.add_argument("--ask", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ask:
        print(json.dumps(fuzz(pathlib.Path(arguments.ask), arguments.requests, arguments.seed)))
        return
    with tempfile.TemporaryDirectory() as folder:
        prepare(pathlib.Path(folder))
        command = [sys.executable, __file__, "--ask", folder, "--seed", str(arguments.seed)]
        command += ["--requests", str(arguments.requests)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    results = json.loads(done.stdout)
    print(json.dumps(results, indent=2))
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(results, indent=2) + "\n")


def prepare(folder):
    """Exports a model, and writes its rows in every form with what it predicts for them."""
    import keras
    import pyarrow as pa
    import tensorflow as tf

    from tfrec_models import DLRM
    from tfrec_models.datasets import Dense, Schema, Sparse, read
    from tfrec_models.serving import RequestWriter, export
    from tfrec_models.serving.packed_bags import PackedBags

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    users = [f"u{number}" for number in range(USERS)]
    seen = [[str(i) for i in rng.integers(0, 30, rng.integers(0, 5))] for _ in users]
    of_user, of_item = np.repeat(np.arange(USERS), ITEMS), np.tile(np.arange(ITEMS), USERS)
    log = {
        "clicked": rng.integers(0, 2, len(of_user)).astype(np.float32),
        "age": rng.integers(1, 90, USERS)[of_user].astype(np.float64),
        "price": (rng.integers(-80, 80, ITEMS) / 8)[of_item],
        "user id": [users[user] for user in of_user],
        "seen": [seen[user] for user in of_user],
        "größe/item": of_item * 7,
    }
    schema = Schema(
        label="clicked",
        dense=[Dense("age", transform="log1p"), Dense("price")],
        sparse=[
            Sparse("user id", ids="vocabulary"),
            Sparse("seen", ids="hash", num_ids=40, is_list=True),
            Sparse("größe/item", ids="integer", num_ids=ITEMS * 7),
        ],
    )
    table = pa.table(log)
    schema.fit(table, progress=False)
    model = DLRM(schema.collection(8), 2, [16, 8], [16, 1])
    path = export(
        model, folder / "models", schema=schema, request_features=REQUEST, request_dense=[0]
    )
    batch = next(iter(read(table, schema, batch_size=len(of_user))))[0]
    writer = RequestWriter(path)
    bags = PackedBags.of(batch["sparse_features"], list(NAMES), False)
    rows = {
        "dense": np.asarray(batch["dense_features"], np.float32),
        "bags": {
            name: np.split(ids, np.cumsum(lengths)[:-1])
            for name, ids, lengths, _ in bags.by_feature(NAMES)
        },
        "examples": [example.SerializeToString() for example in writer.examples(batch)],
        "raw": {name: log[name] for name in log if name != "clicked"},
        "raw_examples": list(writer.inputs(table, "serving_raw_examples")["examples"]),
        "expected": model.predict(tf.data.Dataset.from_tensors(batch), verbose=0),
        "tensors": signature_tensors(path),
        "columns": writer.metadata.raw_columns,
        "path": str(path),
    }
    (folder / "rows.pickle").write_bytes(pickle.dumps(rows))


def fuzz(folder, number, seed):
    """Sends the requests; returns what was counted.

    Raises:
        AssertionError: on a wrong answer, or a bad request that was not refused.
    """
    rows = pickle.loads((folder / "rows.pickle").read_bytes())
    session = Session(rows["path"], rows["tensors"])
    rng = np.random.default_rng(seed)
    counts, unnamed, codes = (collections.Counter() for _ in range(3))
    signatures = list(SENDERS)
    for turn in range(number):
        signature = signatures[turn % len(signatures)]
        chosen, inputs = SENDERS[signature](rows, rng)
        kind = None
        if turn // len(signatures) % 2:
            kind = spoil(signature, inputs, rng)
        counts["bad" if kind else "good"] += 1
        try:
            logits = session.run(signature, inputs)["logits"]
        except ServingError as error:
            check(kind, turn, signature, kind, str(error))
            codes[f"{kind}: {error.code}"] += 1
            if not any(name in str(error) for name in known_names(rows, signature)):
                unnamed[kind] += 1
            continue
        if kind is None or kind in MAY_ANSWER_RIGHT:
            same = logits.shape == (len(chosen), 1) and np.allclose(
                logits, rows["expected"][chosen], atol=1e-5
            )
            check(same, turn, signature, kind, logits.tolist(), chosen.tolist())
        else:
            check(kind in MAY_ANSWER, turn, signature, kind, "was not refused")
            check(len(logits) == len(chosen), turn, signature, kind, logits.shape)
        counts["bad, but answered"] += kind is not None
    refused = {"refused, by kind and code": codes, "without a name, by kind": unnamed}
    return {**counts, **{name: dict(sorted(found.items())) for name, found in refused.items()}}


def check(condition, *what):
    """Ends the script unless a condition holds."""
    if not condition:
        raise AssertionError(f"request, signature, kind, ..: {what}")


def known_names(rows, signature):
    """What a message may name: inputs and features."""
    return [*rows["tensors"][signature]["inputs"], *NAMES, *(c["name"] for c in rows["columns"])]


def some_rows(rng):
    """Numbers of 0 to `MOST` rows."""
    return rng.integers(0, USERS * ITEMS, rng.integers(0, MOST + 1))


def bags_of(rows, names, chosen):
    """Ids and lengths of each feature."""
    for name in names:
        bags = [rows["bags"][name][row] for row in chosen]
        ids = np.concatenate([*bags, np.zeros(0, np.int64)]).astype(np.int64)
        yield name, ids, np.array([len(bag) for bag in bags], np.int64)


def packed(rows, names, chosen, prefix=""):
    """Ids and lengths of all features, one after the other."""
    parts = list(bags_of(rows, names, chosen))
    return {
        f"{prefix}values": np.concatenate([ids for _, ids, _ in parts]),
        f"{prefix}lengths": np.concatenate([lengths for *_, lengths in parts]),
    }


def send_default(rows, rng):
    chosen = some_rows(rng)
    inputs = {"dense_features": rows["dense"][chosen]}
    for name, ids, lengths in bags_of(rows, NAMES, chosen):
        inputs |= {f"{NAMES[name]}_values": ids, f"{NAMES[name]}_lengths": lengths}
    return chosen, inputs


def send_packed(rows, rng):
    chosen = some_rows(rng)
    return chosen, {"dense_features": rows["dense"][chosen], **packed(rows, NAMES, chosen)}


def send_rows(rows, rng):
    chosen = some_rows(rng)
    inputs = {"dense_features": rows["dense"][chosen]}
    for name, ids, lengths in bags_of(rows, NAMES, chosen):
        is_filled = np.arange(1 + lengths.max(initial=0)) < lengths[:, np.newaxis]
        inputs[NAMES[name]] = np.full(is_filled.shape, -1, np.int64)
        inputs[NAMES[name]][is_filled] = ids
    return chosen, inputs


def send_examples(rows, rng, which="examples"):
    chosen = some_rows(rng)
    return chosen, {"examples": np.array([rows[which][row] for row in chosen], object)}


def send_raw_examples(rows, rng):
    return send_examples(rows, rng, "raw_examples")


def send_raw(rows, rng):
    chosen = some_rows(rng)
    inputs = {}
    dtypes = {"number": np.float64, "integer": np.int64, "text": object}
    for column in rows["columns"]:
        values = [rows["raw"][column["name"]][row] for row in chosen]
        if column["is_bag"]:
            inputs[f"{column['input']}_lengths"] = np.array([len(bag) for bag in values], np.int64)
            values = [value for bag in values for value in bag]
        values = [value.encode() if isinstance(value, str) else value for value in values]
        name = f"{column['input']}_values" if column["is_bag"] else column["input"]
        inputs[name] = np.array(values, dtypes[column["kind"]])
    return chosen, inputs


def send_candidates(rows, rng):
    users = rng.integers(0, USERS, rng.integers(0, 4))
    counts = rng.integers(0, MOST, len(users))
    of_user = np.repeat(users, counts)
    chosen = of_user * ITEMS + rng.integers(0, ITEMS, len(of_user))
    others = [name for name in NAMES if name not in REQUEST]
    return chosen, {
        "num_candidates": counts.astype(np.int64),
        "request_dense_features": rows["dense"][users * ITEMS][:, :1],
        "candidate_dense_features": rows["dense"][chosen][:, 1:],
        **packed(rows, REQUEST, users * ITEMS, "request_"),
        **packed(rows, others, chosen, "candidate_"),
    }


SENDERS = {
    "serving_default": send_default,
    "serving_packed": send_packed,
    "serving_rows": send_rows,
    "serving_examples": send_examples,
    "serving_candidates": send_candidates,
    "serving_raw": send_raw,
    "serving_raw_examples": send_raw_examples,
}
MAY_ANSWER = ("cut", "flipped", "noise")
MAY_ANSWER_RIGHT = ("rank",)


def spoil(signature, inputs, rng):
    """Makes a request a bad one; returns what is bad, or None where nothing was found to change."""
    name = rng.choice(sorted(inputs))
    array = inputs[name]
    kinds = ["rank", "dtype"]
    if name == "examples":
        kinds = ["rank", "cut", "flipped", "noise"] if array.size else ["rank"]
    elif "dense_features" in name:
        kinds += ["width"] * (len(array) > 0) + ["not finite"] * (array.size > 0)
    elif name.endswith("lengths") or name == "num_candidates":
        kinds += ["sum", "negative", "huge", "entry"] if array.size else ["entry"]
    elif name.endswith("values") or array.dtype == object:
        kinds += ["count"]
        kinds += ["id"] * (array.dtype == np.int64 and array.size > 0)
    elif array.dtype == np.int64 and array.size:
        kinds += ["id"]
    kind = str(rng.choice(kinds))
    place = tuple(rng.integers(0, size) for size in array.shape) if array.size else ()
    array = array.copy()
    if kind == "rank":
        shapes = [(*array.shape, 1), (1, *array.shape)] + [()] * (array.size == 1)
        array = array.reshape(shapes[rng.integers(len(shapes))])
    elif kind == "dtype":
        other = {
            "int64": np.int32,
            "float32": np.float64,
            "float64": np.float32,
            "object": np.int64,
        }
        array = np.zeros(array.shape, other[array.dtype.name])
    elif kind == "width":
        array = np.repeat(array, 2, 1) if rng.random() < 0.5 else array[:, :-1]
    elif kind == "not finite":
        array[place] = rng.choice([np.nan, np.inf, -np.inf])
    elif kind == "sum":
        array[place] += rng.integers(1, 9)
    elif kind == "negative":
        array[place] = -rng.integers(1, 2**40)
    elif kind == "huge":
        array[place] = rng.integers(2**62, 2**63 - 1)
    elif kind == "entry":
        array = np.append(array, rng.integers(1, 4))
    elif kind == "count":
        filler = np.array([b"x"], object) if array.dtype == object else np.zeros(1, array.dtype)
        array = np.append(array, filler)
    elif kind == "id":
        array[place] = rng.choice([-2, -(2**62), 10**6, 2**62])
    elif kind == "cut":
        array[place] = array[place][: rng.integers(0, len(array[place]))]
    elif kind == "flipped":
        changed = bytearray(array[place])
        changed[rng.integers(len(changed))] ^= 1 << rng.integers(8)
        array[place] = bytes(changed)
    elif kind == "noise":
        array[place] = rng.bytes(rng.integers(0, 60))
    inputs[name] = array
    return kind


if __name__ == "__main__":
    main()
