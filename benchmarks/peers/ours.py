"""tfrec_models through its public API."""

import functools
import tempfile
import time

from peers import workload as w

REQUIRES = (("tensorflow", "keras", "tfrec_models"), "pip install .")
MODELS = w.MODELS
PRECISIONS = w.PRECISIONS
FORWARD = "saved_model"
# Of sparse features, beside the fast one of `packed`.
FORMS = ("dict of ragged", "packed ragged")


def make(workload, variant):
    import keras
    import tensorflow as tf

    from peers import tensorflow_jobs as jobs
    from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig
    from tfrec_models.deepfm import SimpleDeepFMNN
    from tfrec_models.dlrm import DLRM, DLRM_DCN
    from tfrec_models.optimizers import CompositeOptimizer, RowWiseAdagrad

    jobs.set_threads(workload)
    keras.utils.set_random_seed(0)
    if workload.precision == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    collection = EmbeddingBagCollection(
        [
            EmbeddingBagConfig(workload.rows, w.DIM, f"t_{name}", feature_names=[name])
            for name in workload.names
        ]
    )
    if workload.model == "dlrm":
        model = DLRM(collection, w.DENSE, w.DENSE_ARCH, w.OVER_ARCH)
    elif workload.model == "dlrm_dcn":
        sizes = w.DENSE, w.DENSE_ARCH, w.OVER_ARCH, w.DCN_LAYERS, w.DCN_RANK
        model = DLRM_DCN(collection, *sizes)
    else:
        model = SimpleDeepFMNN(w.DENSE, collection, w.HIDDEN, w.DEEP_FM)
    model.compile(
        CompositeOptimizer(
            RowWiseAdagrad(w.TABLE_RATE, epsilon=w.EPSILON), keras.optimizers.SGD(w.DENSE_RATE)
        ),
        keras.losses.BinaryCrossentropy(from_logits=model.gives_logits),
    )
    batches = workload.batches()

    def features(dense, values):
        return {"dense_features": dense, "sparse_features": packed(values, workload)}

    def elements(form="fast"):
        flat = jobs.as_dataset(
            [(tf.constant(b.dense), flat_ids(b), tf.constant(b.labels)) for b in batches]
        )

        def element(dense, ids, labels):
            inputs = features(dense, ids)
            if form != "fast":
                inputs["sparse_features"] = as_form(form, ids, workload)
            return inputs, labels

        return flat.map(element)

    def inputs():
        return [features(tf.constant(b.dense), flat_ids(b)) for b in batches]

    def fit(form="fast"):
        return jobs.fit_job(model, elements(form))

    def answers(call, form):
        """Of a trained model, whose tables are no longer in one piece of fresh memory."""
        model.fit(elements(form), steps_per_epoch=1, verbose=0)
        return jobs.answer_job(model, call, elements(form))

    def bare_loop():
        """The step that `fit` runs, in a loop over a dataset and nothing else."""
        step = tf.function(model.train_step)
        dataset = jobs.in_memory(elements())

        def run(steps):
            start = time.perf_counter()
            for batch in dataset.take(steps):
                logs = step(batch)
            logs["loss"].numpy()
            return [(time.perf_counter() - start) / steps]

        return run

    def dense_half():
        """A DLRM step without lookups and without updates: embeddings come in as a tensor."""
        variables = [
            v for layer in (model.dense_arch, model.over_arch) for v in layer.trainable_variables
        ]
        pooled = tf.random.normal((workload.batch, workload.features, w.DIM), stddev=0.01)

        @tf.function
        def step(dense, labels):
            with tf.GradientTape() as tape:
                tape.watch(pooled)
                hidden = model.inter_arch(model.dense_arch(dense), pooled)
                loss = model.compute_loss(y=labels, y_pred=model.over_arch(hidden))
            return loss, tape.gradient(loss, [pooled, *(v.value for v in variables)])

        tensors = [(tf.constant(b.dense), tf.constant(b.labels)) for b in batches]
        return jobs.call_job(lambda batch: step(*batch)[0], tensors)

    def saved_model():
        # Here, so that training alone is measured without it and needs no extra of the package.
        from tfrec_models.serving import RequestWriter, export

        with tempfile.TemporaryDirectory() as folder:
            path = export(model, folder)
            loaded = tf.saved_model.load(str(path))
            writer = RequestWriter(path)
        rank = loaded.signatures["serving_packed"]
        requests = [
            {
                name: tf.constant(array)
                for name, array in writer.inputs(batch, "serving_packed").items()
            }
            for batch in inputs()
        ]
        # The signature lives as long as what it was loaded with.
        return jobs.call_job(lambda batch, _keep=loaded: rank(**batch)["logits"], requests)

    def predict():
        return jobs.call_job(model.predict_on_batch, inputs())

    def sgemm():
        shapes = (2048, 512), (512, 512)
        left, right = (tf.cast(tf.random.normal(shape), workload.precision) for shape in shapes)
        product = tf.function(lambda: tf.matmul(left, right))
        return jobs.call_job(lambda _: product(), batches)

    settings = {
        "versions": f"tensorflow {tf.__version__}, keras {keras.__version__}",
        "tables": f"row-wise Adagrad, rate {w.TABLE_RATE}, epsilon {w.EPSILON}",
        "dense": f"SGD, rate {w.DENSE_RATE}",
        "sparse input": "ids (B, F)" if workload.bag == "1" else "packed ragged (B, F, None)",
        "training": "model.fit over a tf.data of batches held in memory, verbose=0, no metrics",
        "kernels": variant,
        "precision": keras.config.dtype_policy().name,
    }
    return settings, {
        "train": fit,
        **{f"train, {form}": functools.partial(fit, form) for form in FORMS},
        **{
            f"{call}, {form}": functools.partial(answers, call, form)
            for call in ("evaluate", "predict")
            for form in ("fast", *FORMS)
        },
        "bare_loop": bare_loop,
        "dense_half": dense_half,
        "saved_model": saved_model,
        "predict_on_batch": predict,
        "sgemm": sgemm,
    }


def flat_ids(batch):
    """All ids of a batch, example by example."""
    import numpy as np

    return np.concatenate(batch.ids, axis=1).reshape(-1)


def packed(values, workload):
    """The library's fast form: ids (B, F) for bags of one, else ragged (B, F, None)."""
    import tensorflow as tf

    if workload.bag == "1":
        return tf.reshape(values, (workload.batch, workload.features))
    return packed_ragged(values, workload)


def as_form(form, values, workload):
    """The ids in one of `FORMS`."""
    import numpy as np
    import tensorflow as tf

    if form == "packed ragged":
        return packed_ragged(values, workload)
    columns = tf.split(tf.reshape(values, [workload.batch, -1]), workload.bags, axis=1)
    return {
        name: tf.RaggedTensor.from_row_splits(
            tf.reshape(ids, [-1]), bag * np.arange(workload.batch + 1), validate=False
        )
        for name, ids, bag in zip(workload.names, columns, workload.bags, strict=True)
    }


def packed_ragged(values, workload):
    """Ragged (B, F, None)."""
    import numpy as np
    import tensorflow as tf

    splits = np.concatenate([[0], np.cumsum(np.tile(workload.bags, workload.batch))])
    bags = tf.RaggedTensor.from_row_splits(values, splits, validate=False)
    return tf.RaggedTensor.from_uniform_row_length(
        bags, tf.constant(workload.features, tf.int64), validate=False
    )
