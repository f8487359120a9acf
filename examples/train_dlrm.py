"""Trains DLRM on a click log, evaluates it, saves it and checks the saved model.

Without arguments the click log is generated: 13 dense and 26 sparse features of Criteo's shape,
with labels from a planted model, so that the best AUC any model can reach is known and printed
beside DLRM's. It is written as Parquet files with the schema they are read by; your own log goes
the same way. With --criteo FILE... the data are Criteo's raw tab-separated files, plain or
compressed; every fifth row is held out, and DLRM stands beside a logistic regression.

Either way: Keras's progress bar with validation loss and AUC each epoch, the AUC on the held-out
rows, a .keras file, and a fresh process that loads the file and must predict the same to the bit.

A small file gives few steps; with ten thousand rows take --batch-size 128. Rare ids overfit in a
second pass over Criteo's files, so one is the default there.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras  # noqa: E402, the line above must come first
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tfrec_models import DLRM  # noqa: E402
from tfrec_models.datasets import (  # noqa: E402
    DEFAULT_DENSE_MIN,
    ClickLog,
    criteo_schema,
    criteo_tsv,
    read,
)
from tfrec_models.metrics import auc  # noqa: E402
from tfrec_models.optimizers import CompositeOptimizer, LazyAdam  # noqa: E402

EMBEDDING_DIM = 16
EVALUATION_BATCH_SIZE = 8192
# After each epoch the learning rate is multiplied by this: the ids that are rare keep learning
# noise at the first rate.
LEARNING_RATE_DECAY = 0.3
# Rows the logistic regression is fitted on at most; it needs them all in memory.
BASELINE_ROWS = 200_000

LOAD_AND_PREDICT = """
import sys
import keras, numpy, tensorflow, tfrec_models
model_path, data_path, result_path = sys.argv[1:]
model = keras.models.load_model(model_path)
data = tensorflow.data.Dataset.load(data_path)
numpy.save(result_path, model.predict(data, verbose=0))
"""


def main():
    options = parse_arguments()
    keras.utils.set_random_seed(options.seed)
    print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}")
    if options.criteo:
        train_on_criteo(options)
        return
    with tempfile.TemporaryDirectory() as folder:
        train_on_generated(options, folder)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--criteo",
        metavar="FILE",
        nargs="+",
        help="train on these files of Criteo's raw format, such as train.txt of the Kaggle data "
        "or day_0.gz: a label, 13 integers and 26 hexadecimal ids a line, separated by tabs",
    )
    parser.add_argument(
        "--num-embeddings",
        type=int,
        default=10_000,
        metavar="ROWS",
        help="rows of each table; Criteo's ids are hashed into them (default: %(default)s; the "
        "generated log has its own sizes)",
    )
    parser.add_argument(
        "--dense-min",
        type=int,
        default=DEFAULT_DENSE_MIN,
        metavar="MIN",
        help="the smallest integer in Criteo's files (default: %(default)s)",
    )
    parser.add_argument(
        "--train-rows",
        type=int,
        default=400_000,
        metavar="ROWS",
        help="training rows of the generated log (default: %(default)s)",
    )
    parser.add_argument(
        "--epochs",
        type=int,
        help="passes over the training rows (default: 2, and 1 with --criteo)",
    )
    parser.add_argument(
        "--batch-size", type=int, default=1024, help="training rows a step (default: %(default)s)"
    )
    parser.add_argument(
        "--learning-rate",
        type=float,
        default=0.006,
        metavar="RATE",
        help=f"of the first epoch, x {LEARNING_RATE_DECAY} in each one after it "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        default="dlrm.keras",
        metavar="PATH",
        help="where to save the model; must end in .keras (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of weights and data (default: %(default)s)"
    )
    options = parser.parse_args()
    if options.epochs is None:
        options.epochs = 1 if options.criteo else 2
    for name in ("num_embeddings", "train_rows", "epochs", "batch_size"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    if not options.output.endswith(".keras"):
        parser.error(f"--output must end in .keras, not {options.output!r}")
    if not os.path.isdir(os.path.dirname(os.path.abspath(options.output))):
        parser.error(f"the directory of --output {options.output!r} does not exist")
    return options


def train_on_generated(options, folder):
    log = ClickLog(num_train=options.train_rows, seed=options.seed)
    schema = log.write(folder)
    print(f"Generated click log: {options.train_rows:,} training rows")
    train = read(
        f"{folder}/train.parquet", schema, options.batch_size, shuffle=True, seed=options.seed
    )
    validation = read(f"{folder}/validation.parquet", schema, EVALUATION_BATCH_SIZE)
    test = read(f"{folder}/test.parquet", schema, EVALUATION_BATCH_SIZE)

    model = make_model(schema)
    fit(model, train, validation, options)

    labels = log.labels("test")
    reached = auc(labels, predict(model, test))
    best = auc(labels, log.probabilities("test"))
    print(f"Held-out rows: {len(labels):,}")
    print(f"  AUC of DLRM            {reached:.4f}")
    print(f"  best reachable AUC     {best:.4f}  (the planted probabilities on the same rows)")
    print(f"  short of it by         {best - reached:.4f}")
    print(f"  expected best AUC      {log.best_auc('test'):.4f}  (over all draws of the labels)")
    save_and_check(model, test, options.output)


def train_on_criteo(options):
    # Keras says so at the end of the first pass over any data whose length it was not told.
    warnings.filterwarnings("ignore", message="Your input ran out of data")
    arguments = {"num_embeddings": options.num_embeddings, "dense_min": options.dense_min}
    train = criteo_tsv(
        options.criteo,
        options.batch_size,
        split="train",
        shuffle_buffer=100_000,
        seed=options.seed,
        **arguments,
    )
    test = criteo_tsv(options.criteo, EVALUATION_BATCH_SIZE, split="test", **arguments)
    print(f"Criteo: {', '.join(options.criteo)}; every fifth row is held out")

    model = make_model(criteo_schema(options.num_embeddings))
    fit(model, train, test, options)

    labels = np.concatenate([y for _, y in test.as_numpy_iterator()])
    logits = predict(model, test)
    print(f"Held-out rows: {len(labels):,}, {labels.mean():.1%} positive")
    print(f"  DLRM                   AUC {auc(labels, logits):.4f}  log loss "
          f"{log_loss(labels, 1 / (1 + np.exp(-logits))):.4f}")  # fmt: skip
    print_baselines(train, test, options.num_embeddings)
    save_and_check(model, test, options.output)


def make_model(schema):
    return DLRM(
        embedding_bag_collection=schema.collection(EMBEDDING_DIM),
        dense_in_features=schema.num_dense,
        dense_arch_layer_sizes=[64, EMBEDDING_DIM],
        over_arch_layer_sizes=[64, 32, 1],
    )


def fit(model, train, validation, options):
    model.compile(
        CompositeOptimizer(
            LazyAdam(options.learning_rate), keras.optimizers.Adam(options.learning_rate)
        ),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.AUC(from_logits=True, name="auc")],
    )
    decay = keras.callbacks.LearningRateScheduler(
        lambda epoch: options.learning_rate * LEARNING_RATE_DECAY**epoch
    )
    model.fit(
        train,
        validation_data=validation,
        epochs=options.epochs,
        callbacks=[decay],
        shuffle=False,  # The datasets come in the order they are meant to be read in.
    )
    model.summary()


def predict(model, data):
    return model.predict(data, verbose=0)[:, 0].astype(np.float64)


def log_loss(labels, probabilities):
    p = np.clip(probabilities, 1e-7, 1 - 1e-7)
    return -np.mean(labels * np.log(p) + (1 - labels) * np.log(1 - p))


def print_baselines(train, test, num_embeddings):
    """The base rate, and a logistic regression on one-hot hashed ids and log integers."""
    features, labels = in_memory(train, BASELINE_ROWS)
    test_features, test_labels = in_memory(test, math.inf)
    loss = log_loss(test_labels, np.full(len(test_labels), labels.mean()))
    print(f"  base rate              AUC 0.5000  log loss {loss:.4f}")
    try:
        from scipy import sparse
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler
    except ImportError:
        print("  logistic regression    not run: scikit-learn is missing, pip install scikit-learn")
        return

    scaler = StandardScaler().fit(features["dense_features"])

    def matrix(features):
        ids = features["sparse_features"]
        column = ids + num_embeddings * np.arange(ids.shape[1])
        row_starts = np.arange(0, ids.size + 1, ids.shape[1])
        one_hot = sparse.csr_matrix(
            (np.ones(ids.size), column.reshape(-1), row_starts),
            shape=(len(ids), num_embeddings * ids.shape[1]),
        )
        return sparse.hstack([scaler.transform(features["dense_features"]), one_hot]).tocsr()

    regression = LogisticRegression(C=0.1, max_iter=200).fit(matrix(features), labels)
    p = regression.predict_proba(matrix(test_features))[:, 1]
    print(f"  logistic regression    AUC {auc(test_labels, p):.4f}  log loss "
          f"{log_loss(test_labels, p):.4f}  (on {len(labels):,} rows)")  # fmt: skip


def in_memory(data, max_rows):
    batches, rows = [], 0
    for features, labels in data.as_numpy_iterator():
        batches.append((features["dense_features"], features["sparse_features"], labels))
        rows += len(labels)
        if rows >= max_rows:
            break
    dense, ids, labels = (np.concatenate(column) for column in zip(*batches, strict=True))
    return {"dense_features": dense, "sparse_features": ids}, labels


def save_and_check(model, data, path):
    """Saves the model, all of it or nothing, and compares predictions in a fresh process."""
    path = os.path.abspath(path)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path), prefix=".dlrm-") as scratch:
        unfinished = os.path.join(scratch, "model.keras")
        model.save(unfinished)
        os.replace(unfinished, path)

        sample = data.take(1)
        sample_path = os.path.join(scratch, "sample")
        sample.save(sample_path)
        result_path = os.path.join(scratch, "predictions.npy")
        subprocess.run(
            [sys.executable, "-c", LOAD_AND_PREDICT, path, sample_path, result_path], check=True
        )
        reloaded = np.load(result_path)
    expected = model.predict(sample, verbose=0)
    print(f"Model: {path}")
    if not np.array_equal(expected, reloaded):
        difference = np.abs(expected - reloaded).max()
        sys.exit(f"Reloaded in a fresh process it predicts differently, by up to {difference:.2g}.")
    print(f"Reloaded in a fresh process: {len(expected):,} predictions, equal to the bit")


if __name__ == "__main__":
    main()
