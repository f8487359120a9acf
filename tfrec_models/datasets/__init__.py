"""Click logs as `tf.data` pipelines, from files or generated."""

from tfrec_models.datasets._criteo_columns import (
    CAT_FEATURE_COUNT,
    DEFAULT_CAT_NAMES,
    DEFAULT_COLUMN_NAMES,
    DEFAULT_DENSE_MIN,
    DEFAULT_INT_NAMES,
    DEFAULT_LABEL_NAME,
    INT_FEATURE_COUNT,
)
from tfrec_models.datasets.avazu_schema import avazu_schema
from tfrec_models.datasets.click_log import ClickLog
from tfrec_models.datasets.contiguous_ids import sparse_to_contiguous
from tfrec_models.datasets.convert import convert
from tfrec_models.datasets.criteo import criteo_dense_min, criteo_tsv
from tfrec_models.datasets.criteo_npys import criteo_npys
from tfrec_models.datasets.criteo_schema import criteo_schema
from tfrec_models.datasets.dense import Dense
from tfrec_models.datasets.describe import describe
from tfrec_models.datasets.description import Description
from tfrec_models.datasets.frappe_schema import frappe_log, frappe_schema
from tfrec_models.datasets.movielens_schema import movielens_log, movielens_schema
from tfrec_models.datasets.planted_model import PlantedModel
from tfrec_models.datasets.random import RandomRecDataset
from tfrec_models.datasets.read import read
from tfrec_models.datasets.schema import Schema
from tfrec_models.datasets.sparse import Sparse

__all__ = [
    "CAT_FEATURE_COUNT",
    "DEFAULT_CAT_NAMES",
    "DEFAULT_COLUMN_NAMES",
    "DEFAULT_DENSE_MIN",
    "DEFAULT_INT_NAMES",
    "DEFAULT_LABEL_NAME",
    "INT_FEATURE_COUNT",
    "ClickLog",
    "Dense",
    "Description",
    "PlantedModel",
    "RandomRecDataset",
    "Schema",
    "Sparse",
    "avazu_schema",
    "convert",
    "criteo_dense_min",
    "criteo_npys",
    "criteo_schema",
    "criteo_tsv",
    "describe",
    "frappe_log",
    "frappe_schema",
    "movielens_log",
    "movielens_schema",
    "read",
    "sparse_to_contiguous",
]
