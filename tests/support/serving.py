"""One tiny model of each family, and batches in every form."""

import numpy as np
import tensorflow as tf

from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig, KeyedJaggedTensor
from tfrec_models.deepfm import DeepFMRanker, SimpleDeepFMNN
from tfrec_models.dlrm import DLRM_DCN, DLRM_Projection
from tfrec_models.experimental import DLRM_Transformer

ROWS = 20
DIM = 4
DENSE = 5
FEATURES = ["f1", "f3", "user id"]


def collection(is_weighted=False, **table):
    """f1 and f3 in one table; a feature with a name no graph takes, and another pooling."""
    second = "SUM" if is_weighted else "MEAN"
    return EmbeddingBagCollection(
        [
            EmbeddingBagConfig(ROWS, DIM, "t1", feature_names=["f1", "f3"], **table),
            EmbeddingBagConfig(ROWS, DIM, "t2", feature_names=["user id"], pooling=second, **table),
        ],
        is_weighted=is_weighted,
    )


FAMILIES = {
    "dlrm": lambda: DLRM(collection(), DENSE, [6, DIM], [8, 1]),
    "dlrm_weighted_two_outputs": lambda: DLRM(
        collection(is_weighted=True), DENSE, [6, DIM], [8, 2]
    ),
    "dlrm_dcn": lambda: DLRM_DCN(collection(), DENSE, [6, DIM], [8, 1], 2, 3),
    "dlrm_projection": lambda: DLRM_Projection(
        collection(), DENSE, [6, DIM], [8, 1], [5, 2 * DIM], [5, 3 * DIM]
    ),
    "dlrm_transformer": lambda: DLRM_Transformer(collection(), DENSE, [6, DIM], [8, 1], 2, 1),
    "simple_deepfm_nn": lambda: SimpleDeepFMNN(DENSE, collection(), 6, 3),
    "deepfm_ranker": lambda: DeepFMRanker(collection(), DENSE, [8, 6]),
}


def bags(examples, seed=0, longest=3):
    """Ragged ids of each feature, 0 to `longest` a bag."""
    rng = np.random.default_rng(seed)
    sparse = {}
    for name in FEATURES:
        lengths = rng.integers(0, longest + 1, examples)
        ids = tf.constant(rng.integers(0, ROWS, lengths.sum()), tf.int64)
        sparse[name] = tf.RaggedTensor.from_row_lengths(ids, lengths)
    return sparse


def batch(examples, is_weighted=False, **bag_arguments):
    """Dense features, and ragged bags by name; with weights, pairs."""
    rng = np.random.default_rng(examples)
    sparse = bags(examples, **bag_arguments)
    if is_weighted:
        for name, ids in sparse.items():
            weights = rng.uniform(0.5, 2.0, ids.values.shape).astype(np.float32)
            sparse[name] = (ids, ids.with_values(tf.constant(weights)))
    dense = tf.constant(rng.normal(size=(examples, DENSE)), tf.float32)
    return {"dense_features": dense, "sparse_features": sparse}


def forms(examples, is_weighted=False):
    """The same bags in every form a model takes, and single ids in every form.

    With weights each form carries them: pairs, or a KeyedJaggedTensor that has them.
    """
    ragged = batch(examples, is_weighted)
    sparse = ragged["sparse_features"]
    rng = np.random.default_rng(1)
    ids = tf.constant(rng.integers(0, ROWS, (examples, len(FEATURES))))
    weights = tf.constant(rng.uniform(0.5, 2.0, ids.shape), tf.float32)
    single = (ids, weights) if is_weighted else ids

    def of_both(function, *parts):
        if not is_weighted:
            return function(*parts)
        return tuple(function(*one) for one in zip(*parts, strict=True))

    parts = [sparse]
    if is_weighted:
        parts = [{name: pair[part] for name, pair in sparse.items()} for part in (0, 1)]
    by_name = {
        name: of_both(lambda packed, column=column: packed[:, column], single)
        for column, name in enumerate(FEATURES)
    }
    sparse_forms = {
        "ragged": sparse,
        "packed": of_both(lambda *bags: tf.stack(bags, axis=1), *sparse.values()),
        "keyed_jagged_tensor": KeyedJaggedTensor.from_dict(*parts),
        "single_by_name": by_name,
        "single_packed": single,
        "lengths_of_two": {
            name: of_both(lambda flat: tf.stack([flat, flat[::-1]], 1), flat)
            for name, flat in by_name.items()
        },
    }
    return {
        form: {"dense_features": ragged["dense_features"], "sparse_features": sparse}
        for form, sparse in sparse_forms.items()
    }
