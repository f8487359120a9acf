"""Retrieves with tensorflow-recommenders, ranks with a DLRM: two Keras versions, one SavedModel.

    pip install '.[tfrs]'
    python examples/rank_tfrs_candidates.py

tensorflow-recommenders needs legacy Keras, which cannot live in one process with Keras 3. So this
script runs in two processes. The first, on Keras 3, trains a DLRM on generated clicks and exports
it. The second, on legacy Keras, trains a two-tower model of tensorflow-recommenders on the same
clicks, retrieves 50 items for each user from its BruteForce index, and ranks them with the export.
It prints the planted click probability of the first 5 items, by retrieval alone and after ranking.

If tensorflow-recommenders lives in another environment, name its Python with --tfrs-python.
"""

import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

USERS, ITEMS, TASTES = 200, 500, 4
CANDIDATES, SHOWN = 50, 5


class Clicks:
    """Clicks that depend on a user's taste, an item's kind, the hour and the price."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.taste = rng.standard_normal((USERS, TASTES))
        self.kind = rng.standard_normal((ITEMS, TASTES))
        self.price = rng.standard_normal(ITEMS).astype(np.float32)
        self.thrift = rng.standard_normal(USERS)

    def probability(self, users, items, hours):
        """The click probability; at late hours the price counts more."""
        affinity = np.sum(self.taste[users] * self.kind[items], axis=-1)
        price = self.thrift[users] * self.price[items] * (1 + hours)
        return 1 / (1 + np.exp(1 - affinity + price))

    def draw(self, rows, seed=1):
        """Users, items and hours (in [0, 1]) seen, and whether they clicked."""
        rng = np.random.default_rng(seed)
        users, items = rng.integers(0, USERS, rows), rng.integers(0, ITEMS, rows)
        hours = rng.uniform(0, 1, rows).astype(np.float32)
        return users, items, hours, rng.random(rows) < self.probability(users, items, hours)


def export_ranker(directory, rows):
    """Trains a DLRM and exports it. Runs on Keras 3."""
    import keras
    import tensorflow as tf

    from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig
    from tfrec_models.optimizers import RowWiseAdagrad
    from tfrec_models.serving import export

    keras.utils.set_random_seed(0)
    clicks = Clicks()
    users, items, hours, labels = clicks.draw(rows)
    features = {
        "dense_features": np.stack([hours, clicks.price[items]], axis=1),
        "sparse_features": {"user": users, "item": items},
    }
    model = DLRM(
        embedding_bag_collection=EmbeddingBagCollection(
            [
                EmbeddingBagConfig(USERS, 8, "t_user", feature_names=["user"]),
                EmbeddingBagConfig(ITEMS, 8, "t_item", feature_names=["item"]),
            ]
        ),
        dense_in_features=2,
        dense_arch_layer_sizes=[16, 8],
        over_arch_layer_sizes=[32, 1],
    )
    model.compile(RowWiseAdagrad(0.05), loss=keras.losses.BinaryCrossentropy(from_logits=True))
    data = tf.data.Dataset.from_tensor_slices((features, labels.astype(np.float32)))
    model.fit(data.batch(512), epochs=3, verbose=0)
    return export(model, directory)


def retrieve_and_rank(version_path, rows):
    """Retrieves with tensorflow-recommenders and ranks with the export. Runs on legacy Keras."""
    import tensorflow as tf
    import tensorflow_recommenders as tfrs

    clicks = Clicks()
    users, items, _, labels = clicks.draw(rows)
    positives = {"user": users[labels], "item": items[labels]}

    class TwoTowers(tfrs.Model):
        def __init__(self):
            super().__init__()
            self.user = tf.keras.layers.Embedding(USERS, 8)
            self.item = tf.keras.layers.Embedding(ITEMS, 8)
            self.task = tfrs.tasks.Retrieval()

        def compute_loss(self, batch, training=False):
            users, items = self.user(batch["user"]), self.item(batch["item"])
            return self.task(users, items, compute_metrics=False)

    tf.keras.utils.set_random_seed(0)
    towers = TwoTowers()
    towers.compile(tf.keras.optimizers.Adagrad(0.5))
    towers.fit(tf.data.Dataset.from_tensor_slices(positives).batch(512), epochs=10, verbose=0)
    index = tfrs.layers.factorized_top_k.BruteForce(towers.user, k=CANDIDATES)
    index.index(towers.item(tf.range(ITEMS)), tf.range(ITEMS, dtype=tf.int64))

    rank = tf.saved_model.load(version_path).signatures["serving_default"]
    hour = np.float32(0.9)
    before, after = [], []
    for user in range(USERS):
        _, found = index(tf.constant([user]))
        candidates = found.numpy()[0]
        scores = rank(
            dense_features=tf.stack(
                [tf.fill([CANDIDATES], hour), tf.constant(clicks.price[candidates])], axis=1
            ),
            user_values=tf.fill([CANDIDATES], tf.constant(user, tf.int64)),
            user_lengths=tf.ones([CANDIDATES], tf.int64),
            item_values=tf.constant(candidates),
            item_lengths=tf.ones([CANDIDATES], tf.int64),
        )["probabilities"].numpy()[:, 0]
        ranked = candidates[np.argsort(-scores)]
        for shown, means in ((candidates, before), (ranked, after)):
            means.append(clicks.probability(user, shown[:SHOWN], hour).mean())
    everything = clicks.probability(np.arange(USERS)[:, None], np.arange(ITEMS)[None, :], hour)
    best = np.sort(everything, axis=1)[:, -SHOWN:].mean()
    print(f"Click probability of the {SHOWN} items shown, mean of {USERS} users:")
    print(f"  any items                {everything.mean():.3f}")
    print(f"  retrieval alone          {np.mean(before):.3f}")
    print(f"  retrieval, then ranking  {np.mean(after):.3f}")
    print(f"  the best there are       {best:.3f}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=200_000, help="impressions (%(default)s)")
    parser.add_argument("--tfrs-python", default=sys.executable, help="Python with tfrs")
    parser.add_argument("--rank-with", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.rank_with:
        retrieve_and_rank(arguments.rank_with, arguments.rows)
        return
    with tempfile.TemporaryDirectory() as directory:
        path = export_ranker(directory, arguments.rows)
        command = [arguments.tfrs_python, __file__, "--rank-with", str(path)]
        subprocess.run(
            [*command, "--rows", str(arguments.rows)],
            check=True,
            env={**os.environ, "TF_USE_LEGACY_KERAS": "1"},
        )


if __name__ == "__main__":
    main()
