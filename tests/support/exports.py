"""Models made to be exported, and questions to their exports."""

import functools

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tests.support.serving import batch
from tfrec_models import xla_disabled
from tfrec_models.serving import RequestWriter, export


class Ranker:
    """A model of one family, compiled, and what to train it on."""

    def __init__(self, model):
        self.model = model
        self.is_weighted = model.embedding_bag_collection.is_weighted
        is_probability = type(model).__name__ == "SimpleDeepFMNN"
        self.output = "probabilities" if is_probability else "logits"
        loss = keras.losses.BinaryCrossentropy(from_logits=not is_probability)
        model.compile(keras.optimizers.SGD(0.5), loss=loss)

    def labels(self, examples):
        """Zeros and ones in turn, for every output."""
        return np.tile([[0.0], [1.0]], [examples // 2, self.model.num_outputs])

    def batch(self, examples, **bag_arguments):
        """A batch as the model takes it."""
        return batch(examples, self.is_weighted, **bag_arguments)

    def predict(self, inputs, retrace=False):
        """What `model.predict` gives for one batch; `retrace` for inputs of another form."""
        if retrace:
            self.model.make_predict_function(force=True)
        return self.model.predict(tf.data.Dataset.from_tensors(inputs), verbose=0)


class Exported(Ranker):
    """A model, trained for a step, and its export."""

    def __init__(self, make, directory, **options):
        keras.utils.set_random_seed(1)
        super().__init__(make())
        with xla_disabled():
            self.model.train_on_batch(self.batch(8), self.labels(8))
        self.path = export(self.model, directory, **options)
        self.writer = RequestWriter(self.path)


def graph_of(path):
    """The MetaGraphDef of an export."""
    saved_model = saved_model_pb2.SavedModel()
    saved_model.ParseFromString((path / "saved_model.pb").read_bytes())
    return saved_model.meta_graphs[0]


def signatures_of(path):
    """The functions of an export, loaded once."""
    return _loaded(str(path), (path / "saved_model.pb").stat().st_mtime_ns).signatures


@functools.lru_cache(maxsize=4)
def _loaded(path, written):
    return tf.saved_model.load(path)


def ask(path, inputs, signature="serving_default"):
    """The logits of an export for a batch."""
    arrays = RequestWriter(path).inputs(inputs, signature)
    tensors = {name: tf.constant(array) for name, array in arrays.items()}
    return signatures_of(path)[signature](**tensors)["logits"].numpy()


def predict(model, inputs):
    """What `model.predict` gives."""
    return model.predict(tf.data.Dataset.from_tensors(inputs), verbose=0)
