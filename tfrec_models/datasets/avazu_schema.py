"""The schema of Avazu's click log."""

from tfrec_models.datasets.schema import Schema
from tfrec_models.datasets.sparse import Sparse

_FEATURES = (
    "hour",
    "C1",
    "banner_pos",
    "site_id",
    "site_domain",
    "site_category",
    "app_id",
    "app_domain",
    "app_category",
    "device_id",
    "device_ip",
    "device_model",
    "device_type",
    "device_conn_type",
    *(f"C{number}" for number in range(14, 22)),
)


def avazu_schema(num_ids: int | None = None, *, min_count: int = 2, labels: bool = True) -> Schema:
    """The schema of Avazu's click log: Kaggle's `train.csv`, and `test.csv` without labels.

    The files have a header and are separated by commas; 22 columns are ids and none is a number,
    so that models take no dense features. `id`, which is another one in each row, is not read.
    `hour` (YYMMDDHH, such as 14102100) is an id as it stands, and the test file's hours are not
    among those of the training file; for the hour of the day, add a column of it to the log and a
    `Sparse` to the schema's `sparse`.

    Args:
        num_ids: int or None. An int hashes each column to as many ids; None gives each a
            vocabulary, learned by `Schema.fit`.
        min_count: int, how often a value must be seen to be in a vocabulary.
        labels: bool, whether there is a column `click`; False for `test.csv`.

    Example:

    >>> from tfrec_models.datasets import avazu_schema
    >>> schema = avazu_schema(num_ids=100_000)
    >>> schema.label, schema.num_dense, len(schema.sparse)
    ('click', 0, 22)
    """
    if num_ids is None:
        sparse = [Sparse(name, ids="vocabulary", min_count=min_count) for name in _FEATURES]
    else:
        sparse = [Sparse(name, ids="hash", num_ids=num_ids) for name in _FEATURES]
    return Schema("click" if labels else None, sparse=sparse)
