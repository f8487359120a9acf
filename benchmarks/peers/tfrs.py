"""TensorFlow Recommenders' experimental `Ranking`, under legacy Keras."""

from peers import workload as w

REQUIRES = (
    ("tensorflow", "tf_keras", "tensorflow_recommenders"),
    "pip install '.[tfrs]'",
)
MODELS = ("dlrm", "dlrm_dcn")
PRECISIONS = ("float32",)
FORWARD = "predict_on_batch"


def make(workload, variant):
    import tensorflow as tf
    import tensorflow_recommenders as tfrs
    import tf_keras

    from peers import tensorflow_jobs as jobs

    jobs.set_threads(workload)
    tf_keras.utils.set_random_seed(0)

    class Tables(tf_keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.tables = [
                tf_keras.layers.Embedding(workload.rows, w.DIM) for _ in range(workload.features)
            ]

        def call(self, ids):
            vectors = []
            for table, bag in zip(self.tables, jobs.split_bags(ids, workload), strict=True):
                rows = table(bag)
                vectors.append(rows if rows.shape.rank == 2 else tf.reduce_sum(rows, 1))
            return dict(zip(workload.names, vectors, strict=True))

    class Crosses(tf_keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.crosses = [
                tfrs.layers.feature_interaction.Cross(w.DCN_RANK) for _ in range(w.DCN_LAYERS)
            ]

        def call(self, vectors):
            first = crossed = tf.concat(vectors, axis=1)
            for cross in self.crosses:
                crossed = cross(first, crossed)
            return crossed

    model = tfrs.experimental.models.Ranking(
        embedding_layer=Tables(),
        bottom_stack=tfrs.layers.blocks.MLP(w.DENSE_ARCH, final_activation="relu"),
        feature_interaction=None if workload.model == "dlrm" else Crosses(),
        top_stack=tfrs.layers.blocks.MLP(w.OVER_ARCH, final_activation="sigmoid"),
        concat_dense=workload.model == "dlrm",
        task=tfrs.tasks.Ranking(loss=tf_keras.losses.BinaryCrossentropy()),
    )
    model.compile(
        tfrs.experimental.optimizers.CompositeOptimizer(
            [
                (
                    tf_keras.optimizers.legacy.Adagrad(w.TABLE_RATE, epsilon=w.EPSILON),
                    lambda: model.embedding_trainable_variables,
                ),
                (
                    tf_keras.optimizers.legacy.SGD(w.DENSE_RATE),
                    lambda: model.dense_trainable_variables,
                ),
            ]
        )
    )
    elements = [
        ({"dense_features": dense, "sparse_features": ids}, labels[:, 0])
        for dense, ids, labels in jobs.side_by_side(workload)
    ]
    settings = {
        "versions": f"tensorflow {tf.__version__}, tensorflow-recommenders {tfrs.__version__}, "
        f"tf-keras {tf_keras.__version__}",
        "tables": f"legacy Adagrad (sparse), rate {w.TABLE_RATE}, epsilon {w.EPSILON}",
        "dense": f"legacy SGD, rate {w.DENSE_RATE}",
        "sparse input": "ids (B, sum of bags), split by feature",
        "training": "model.fit over a tf.data of batches held in memory, verbose=0, no metrics",
    }
    return settings, {
        "train": lambda: jobs.fit_job(model, jobs.as_dataset(elements)),
        "predict_on_batch": lambda: jobs.call_job(
            model.predict_on_batch, [inputs for inputs, _ in elements]
        ),
    }
