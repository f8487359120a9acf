"""One export of each family, made once."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.serving.models import FAMILIES, batch
from tfrec_models import xla_disabled
from tfrec_models.serving import RequestWriter, export

TRAINED = ("dlrm", "simple_deepfm_nn")


class Exported:
    """A model, trained for a step where asked, and its export."""

    def __init__(self, make, directory, trained):
        keras.utils.set_random_seed(1)
        self.model = make()
        self.is_weighted = self.model.embedding_bag_collection.is_weighted
        is_probability = type(self.model).__name__ == "SimpleDeepFMNN"
        self.output = "probabilities" if is_probability else "logits"
        if trained:
            loss = keras.losses.BinaryCrossentropy(from_logits=not is_probability)
            self.model.compile("sgd", loss=loss)
            with xla_disabled():
                self.model.train_on_batch(self.batch(8), np.tile([[0.0], [1.0]], [4, 1]))
        self.path = export(self.model, directory)
        self.writer = RequestWriter(self.path)

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
            made[family] = Exported(FAMILIES[family], directory, family in TRAINED)
        return made[family]

    return get
