"""DLRM and DLRM_DCN from keras-rs's layers."""

from peers import workload as w
from peers.stock_keras import keras_peer, mlp

REQUIRES = (("tensorflow", "keras", "keras_rs"), "pip install keras-rs")
MODELS = ("dlrm", "dlrm_dcn")
PRECISIONS = ("float32",)
FORWARD = "predict_on_batch"


def make(workload, variant):
    import keras
    import keras_rs

    from peers import tensorflow_jobs as jobs

    jobs.set_threads(workload)
    keras.utils.set_random_seed(0)

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.tables = [
                keras_rs.layers.EmbedReduce(workload.rows, w.DIM, combiner="sum")
                for _ in range(workload.features)
            ]
            self.dense_arch = mlp(w.DENSE_ARCH, "relu")
            self.over_arch = mlp(w.OVER_ARCH, None)
            if workload.model == "dlrm":
                self.dots = keras_rs.layers.DotInteraction()
            else:
                self.crosses = [
                    keras_rs.layers.FeatureCross(w.DCN_RANK) for _ in range(w.DCN_LAYERS)
                ]

        def call(self, inputs):
            dense, ids = inputs
            bags = jobs.split_bags(ids, workload)
            vectors = [self.dense_arch(dense)]
            vectors += [table(bag) for table, bag in zip(self.tables, bags, strict=True)]
            if workload.model == "dlrm":
                crossed = keras.ops.concatenate([vectors[0], self.dots(vectors)], axis=1)
            else:
                first = crossed = keras.ops.concatenate(vectors, axis=1)
                for cross in self.crosses:
                    crossed = cross(first, crossed)
            return self.over_arch(crossed)

    settings, jobs_ = keras_peer(
        Model(), workload, "EmbedReduce, DotInteraction or FeatureCross, and Dense"
    )
    return {"keras-rs": keras_rs.__version__} | settings, jobs_
