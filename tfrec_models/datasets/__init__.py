"""Click logs as `tf.data` pipelines."""

from tfrec_models.datasets._criteo_lines import (
    CAT_FEATURE_COUNT,
    DEFAULT_CAT_NAMES,
    DEFAULT_COLUMN_NAMES,
    DEFAULT_INT_NAMES,
    DEFAULT_LABEL_NAME,
    INT_FEATURE_COUNT,
)
from tfrec_models.datasets.click_log import ClickLog
from tfrec_models.datasets.contiguous_ids import sparse_to_contiguous
from tfrec_models.datasets.criteo import DEFAULT_DENSE_MIN, criteo_dense_min, criteo_tsv
from tfrec_models.datasets.planted_model import PlantedModel
from tfrec_models.datasets.random import RandomRecDataset

__all__ = [
    "CAT_FEATURE_COUNT",
    "DEFAULT_CAT_NAMES",
    "DEFAULT_COLUMN_NAMES",
    "DEFAULT_DENSE_MIN",
    "DEFAULT_INT_NAMES",
    "DEFAULT_LABEL_NAME",
    "INT_FEATURE_COUNT",
    "ClickLog",
    "PlantedModel",
    "RandomRecDataset",
    "criteo_dense_min",
    "criteo_tsv",
    "sparse_to_contiguous",
]
