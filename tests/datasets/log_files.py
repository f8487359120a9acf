"""Rows of a log written in each format, and what they must read as, in plain Python."""

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf


def fingerprint(text):
    """TensorFlow's own fingerprint of one string, as an int."""
    data = text.encode() if isinstance(text, str) else text
    return int.from_bytes(tf.fingerprint([data]).numpy().tobytes(), "little")


def expected_ids(schema, rows):
    """For each row a list of bags of ids, in the order of `schema.sparse_feature_names`."""
    return [
        [_bag(schema, schema.sparse_column(name), row) for name in schema.sparse_feature_names]
        for row in rows
    ]


def _bag(schema, column, row):
    if column.cross:
        both = b"".join(fingerprint(str(row[name])).to_bytes(8, "little") for name in column.cross)
        return [fingerprint(both) % column.num_ids]
    values = row[column.name]
    if not isinstance(values, list):
        values = [values] if column.is_list is not True or values is not None else []
    if column.missing == "drop":
        values = [value for value in values if value is not None]
    if column.max_length is not None:
        values = values[-column.max_length :]
    return [_id(schema, column, value) for value in values]


def _id(schema, column, value):
    if value is None:
        return column.missing
    owner = schema.sparse_column(column.like or column.name)
    if owner.ids == "integer":
        return value
    if owner.ids == "hash":
        return fingerprint(str(value)) % owner.num_ids
    if owner.ids == "hex":
        return int(value, 16) % owner.num_ids
    vocabulary = schema.learned["vocabularies"][owner.name]
    return vocabulary.index(str(value)) + 1 if str(value) in vocabulary else 0


def read_rows(dataset):
    """Dense rows, bags of ids and labels of a dataset, in lists."""
    dense, bags, labels = [], [], []
    for features, of_batch in dataset:
        if "dense_features" in features:
            dense += features["dense_features"].numpy().tolist()
        ids = features.get("sparse_features")
        if isinstance(ids, tf.RaggedTensor):
            bags += ids.to_list()
        elif ids is not None:
            bags += ids.numpy()[:, :, np.newaxis].tolist()
        labels += of_batch.numpy().tolist()
    return dense, bags, labels


def table(rows, types):
    """An Arrow table of rows, dicts from column to value."""
    return pa.table(
        {name: pa.array([row[name] for row in rows], kind) for name, kind in types.items()}
    )


def write_parquet(path, rows, types, row_group_size=3):
    """One Parquet file."""
    pq.write_table(table(rows, types), path, row_group_size=row_group_size)
    return str(path)


def write_csv(path, rows, names, delimiter=",", header=True):
    """One text file; lists are joined by "|", a null is an empty field, gzip by the ending."""
    with (gzip.open if str(path).endswith(".gz") else open)(
        path, "wt", encoding="utf-8", newline=""
    ) as file:
        if header:
            file.write(delimiter.join(names) + "\n")
        for row in rows:
            file.write(delimiter.join(_field(row[name]) for name in names) + "\n")
    return str(path)


def _field(value):
    if value is None:
        return ""
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    return "|".join(map(str, value)) if isinstance(value, list) else repr(value)


def write_tfrecord(path, rows, names, compression=""):
    """One file of `tf.Example`; a null or no value is a feature without a kind."""
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for row in rows:
            features = {name: _feature(row[name]) for name in names}
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())
    return str(path)


def _feature(value):
    if value is None or value == []:
        return tf.train.Feature()
    values = value if isinstance(value, list) else [value]
    if values and isinstance(values[0], str):
        data = tf.train.BytesList(value=[text.encode() for text in values])
        return tf.train.Feature(bytes_list=data)
    if values and isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
