"""One export of each family, made once."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.serving.models import FAMILIES, batch
from tfrec_models import xla_disabled
from tfrec_models.serving import RequestWriter, export


class Exported:
    """A model, trained for a step, and its export."""

    def __init__(self, make, directory):
        keras.utils.set_random_seed(1)
        self.model = make()
        self.is_weighted = self.model.embedding_bag_collection.is_weighted
        is_probability = type(self.model).__name__ == "SimpleDeepFMNN"
        self.output = "probabilities" if is_probability else "logits"
        self.compile(self.model)
        with xla_disabled():
            self.model.train_on_batch(self.batch(8), self.labels(8))
        self.path = export(self.model, directory)
        self.writer = RequestWriter(self.path)

    def compile(self, model):
        """Compiles a model of this family."""
        loss = keras.losses.BinaryCrossentropy(from_logits=self.output == "logits")
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


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A function from a family to its `Exported`."""
    made = {}

    def get(family):
        if family not in made:
            directory = tmp_path_factory.mktemp("exports") / family
            made[family] = Exported(FAMILIES[family], directory)
        return made[family]

    return get
