"""Logs in files or tables as batches of a model's inputs."""

from typing import Any

import tensorflow as tf

from tfrec_models._checks.arguments import check_positive
from tfrec_models.datasets._batches import Batches, Order
from tfrec_models.datasets._dataset import Form, dataset_of
from tfrec_models.datasets._encode import Encoder
from tfrec_models.datasets._sources import check_schema_type, open_source
from tfrec_models.datasets.schema import Schema


def read(
    source: Any,
    schema: Schema,
    batch_size: int,
    *,
    shuffle: bool = False,
    seed: int | None = None,
    shuffle_buffer: int = 131_072,
    drop_remainder: bool = False,
    shard: tuple[int, int] = (0, 1),
    labels: bool = True,
    num_threads: int = 2,
    format: str | None = None,
    delimiter: str | None = None,
    filesystem: Any = None,
) -> tf.data.Dataset:
    """Reads a log as a `tf.data.Dataset` of a model's packed inputs.

    Sources are Parquet files, CSV and TSV files (plain, gzip, bzip2 or Zstandard), TFRecord files
    of `tf.Example`, and tables of Arrow, pandas or polars. Only the schema's columns are read.
    Every row is given exactly once an epoch. Columns are decoded and encoded as a whole, in
    threads; a batch is a slice of them. A folder that `convert` wrote is compared with its
    manifest.

    With `shuffle`, each epoch takes files or row groups in another order, four of them in turn,
    and shuffles the rows that come so, `shuffle_buffer` at a time. With a seed the order is the
    same in each run: that of the n-th epoch depends on the seed and n alone.

    Args:
        source: a path, glob (`**` for any folders), directory (folders named `column=value` give
            columns) or URI such as "s3://bucket/log", or a list of them; or a table.
        schema: `Schema`, fitted where it has something to learn.
        batch_size: int, rows a batch; the last batch may be smaller.
        shuffle: bool.
        seed: int or None, fixes the shuffling.
        shuffle_buffer: int, rows that are shuffled together.
        drop_remainder: bool, whether to leave a smaller last batch out.
        shard: pair of int (index, count): the part of one of `count` workers, which no strategy
            divides again. Parts differ by one row at most. Shuffled parts need a seed, the same
            for all workers.
        labels: bool, whether to read labels; False gives features alone.
        num_threads: int, threads that turn columns into inputs, beside one that reads.
        format: str or None: "parquet", "csv" or "tfrecord"; None to tell by the files' endings.
        delimiter: str or None, of text files; None for a tab where the first line has one, else
            a comma.
        filesystem: `pyarrow.fs.FileSystem` or None, for the paths.

    Returns:
        `tf.data.Dataset` of `(features, labels)`, or of features where there are no labels:
        "dense_features" (B, num_dense) float32, and where there are any "sparse_features": int64
        (B, F) where every bag has one id, else a `tf.RaggedTensor` (B, F, None), with weights a
        pair of them (ids, weights). Labels are (B,) float32. The dataset's attribute `schema`,
        which a dataset made of it by `map` does not have, is the schema: `fit`, `evaluate`
        and `predict` of a ranking model refuse one that is not the model's.

    Raises:
        FileNotFoundError: on a path that names nothing.
        ValueError: on arguments out of range, a missing column, or a schema not fitted.
        tf.errors.InvalidArgumentError: while iterating, on a file that is cut off or damaged and
            on values that are not as declared; names the file, the rows and the column.

    Example:

    >>> import os, tempfile
    >>> import pyarrow as pa
    >>> import pyarrow.parquet as pq
    >>> from tfrec_models.datasets import Dense, Schema, Sparse, read
    >>> path = os.path.join(tempfile.mkdtemp(), "log.parquet")
    >>> pq.write_table(
    ...     pa.table({"y": [1, 0, 1], "age": [7.0, 8.0, 9.0], "seen": [["a", "b"], [], ["b"]]}),
    ...     path,
    ... )
    >>> schema = Schema("y", [Dense("age")], [Sparse("seen", ids="hash", num_ids=100)])
    >>> for features, labels in read(path, schema, batch_size=2):
    ...     print(labels.numpy(), features["sparse_features"].row_lengths(axis=2).to_list())
    [1. 0.] [[2], [0]]
    [1.] [[1]]
    """
    check_schema_type(schema)
    check_positive("batch_size", batch_size)
    check_positive("num_threads", num_threads)
    order = Order.checked(shuffle, seed, shuffle_buffer, shard)
    labels = labels and schema.label is not None
    columns = [name for name in schema.columns if labels or name != schema.label]
    opened = open_source(source, schema, columns, format, delimiter, filesystem)
    encoder = Encoder(schema, opened.types, labels)
    batches = Batches(opened, encoder, batch_size, drop_remainder, order, num_threads)
    form = Form(schema.num_dense, len(schema.sparse), encoder.is_ragged, schema.is_weighted, labels)
    dataset = dataset_of(batches, form)
    dataset.schema = schema
    return dataset
