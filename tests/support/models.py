"""The small models and tables that most tests use."""

import keras

from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig

FEATURES = ["f1", "f2", "f3"]
ROWS = 20


def two_tables(**second):
    """f1 and f3 in one table, f2 in another."""
    return EmbeddingBagCollection(
        [
            EmbeddingBagConfig(ROWS, 4, "t1", feature_names=["f1", "f3"]),
            EmbeddingBagConfig(
                **{
                    "num_embeddings": ROWS,
                    "embedding_dim": 4,
                    "name": "t2",
                    "feature_names": ["f2"],
                    **second,
                }
            ),
        ]
    )


def make_dlrm(**second):
    """A small DLRM."""
    return DLRM(two_tables(**second), 5, [6, 4], [8, 1])


def compiled(model, optimizer="sgd"):
    """Compiled as a user would."""
    model.compile(
        optimizer,
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.AUC(from_logits=True, name="auc")],
    )
    return model


def feature_in_two_tables():
    """Two tables over two features, one of which is in both."""
    return EmbeddingBagCollection(
        tables=[
            EmbeddingBagConfig(7, 4, "t1", feature_names=["f1"]),
            EmbeddingBagConfig(9, 4, "t2", feature_names=["f2", "f1"]),
        ]
    )


def unequal_dims():
    """Tables of dims 4 and 3."""
    tables = [EmbeddingBagConfig(7, 4, "t1"), EmbeddingBagConfig(7, 3, "t2")]
    return EmbeddingBagCollection(tables=tables)
