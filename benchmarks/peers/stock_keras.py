"""DLRM from Keras 3's own layers and its Adagrad."""

from peers import workload as w

REQUIRES = (("tensorflow", "keras"), "pip install tensorflow keras")
MODELS = ("dlrm",)
PRECISIONS = ("float32",)
FORWARD = "predict_on_batch"


def make(workload, variant):
    import keras
    import numpy as np

    from peers import tensorflow_jobs as jobs

    jobs.set_threads(workload)
    keras.utils.set_random_seed(0)
    rows, columns = np.triu_indices(workload.features + 1, k=1)
    pairs = rows * (workload.features + 1) + columns

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.tables = [
                keras.layers.Embedding(workload.rows, w.DIM) for _ in range(workload.features)
            ]
            self.dense_arch = mlp(w.DENSE_ARCH, "relu")
            self.over_arch = mlp(w.OVER_ARCH, None)

        def call(self, inputs):
            dense, ids = inputs
            vectors = [self.dense_arch(dense)]
            for table, bag in zip(self.tables, jobs.split_bags(ids, workload), strict=True):
                rows = table(bag)
                vectors.append(rows if len(rows.shape) == 2 else keras.ops.sum(rows, 1))
            stacked = keras.ops.stack(vectors, axis=1)
            products = keras.ops.matmul(stacked, keras.ops.transpose(stacked, (0, 2, 1)))
            flat = keras.ops.reshape(products, (-1, (workload.features + 1) ** 2))
            crossed = keras.ops.take(flat, pairs, axis=1)
            return self.over_arch(keras.ops.concatenate([vectors[0], crossed], axis=1))

    return keras_peer(Model(), workload, "keras.layers.Embedding, Dense and ops")


def mlp(sizes, last):
    """Dense layers with ReLU, but for the last."""
    import keras

    return keras.Sequential(
        [keras.layers.Dense(size, activation="relu") for size in sizes[:-1]]
        + [keras.layers.Dense(sizes[-1], activation=last)]
    )


def keras_peer(model, workload, made_of):
    """Settings and jobs of a Keras 3 model over (dense, ids)."""
    import keras
    import tensorflow as tf

    from peers import tensorflow_jobs as jobs

    model.compile(
        keras.optimizers.Adagrad(w.TABLE_RATE, initial_accumulator_value=0.1, epsilon=w.EPSILON),
        keras.losses.BinaryCrossentropy(from_logits=True),
    )
    batches = jobs.side_by_side(workload)
    elements = [((dense, ids), labels) for dense, ids, labels in batches]
    settings = {
        "versions": f"tensorflow {tf.__version__}, keras {keras.__version__}",
        "made of": made_of,
        "optimizer": f"Keras Adagrad for all weights, rate {w.TABLE_RATE}, epsilon {w.EPSILON}",
        "sparse input": "ids (B, sum of bags), split by feature",
        "training": "model.fit over a tf.data of batches held in memory, verbose=0, no metrics",
    }
    return settings, {
        "train": lambda: jobs.fit_job(model, jobs.as_dataset(elements)),
        "predict_on_batch": lambda: jobs.call_job(
            model.predict_on_batch, [inputs for inputs, _ in elements]
        ),
    }
