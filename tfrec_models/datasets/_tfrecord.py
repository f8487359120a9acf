"""TFRecord files of `tf.Example` as blocks of rows."""

import contextlib
import gzip
import zlib

import numpy as np
import pyarrow as pa
import tensorflow as tf
from google.protobuf import message

from tfrec_models.datasets import _listing
from tfrec_models.datasets._columns import Block
from tfrec_models.datasets._names import check_columns
from tfrec_models.datasets._opened import check_not_empty, check_not_packed
from tfrec_models.datasets._parquet import Unit

_BLOCK_ROWS = 8192
_KINDS = {"int64_list": tf.int64, "float_list": tf.float32, "bytes_list": tf.string}
_CHUNK = 1 << 20
# A record has its length and a checksum of it before it, and a checksum after it.
_FRAME = 16


class TFRecordSource:
    """TFRecord files of `tf.Example`, plain or compressed by gzip, one after the other.

    A feature that an example lacks, or that has no value there, is null in a single column and
    an empty list in a list.

    Args:
        files: list of `DataFile`.
        schema: `Schema`.
        columns: list of str, those to read.
    """

    def __init__(self, files, schema, columns):
        self._files = files
        self._columns = columns
        self._partition_types = _listing.partition_types(files)
        self._lists = {column.name for column in schema.sparse if column.is_list}
        self._lists |= {
            column.weights for column in schema.sparse if column.weights and column.is_list
        }
        self.types = {}

    def units(self):
        """The files."""
        return [Unit(i, None) for i in range(len(self._files))]

    def blocks(self, unit):
        """Yields the blocks of a file."""
        file = self._files[unit.number]
        path = _path_for_tensorflow(file)
        first_row = 0
        check_not_empty(file)
        check_not_packed(file, "TFRecord", "plain or compressed by gzip", ["gzip"])
        with _named(file):
            compression, size = _compression(path)
            seen = 0
            records = tf.data.TFRecordDataset(path, compression).batch(_BLOCK_ROWS)
            kinds = {}
            for serialized in records:
                seen += int(tf.reduce_sum(_FRAME + tf.strings.length(serialized)))
                self._find_kinds(file, serialized, kinds)
                batch = self._parse(kinds, serialized)
                batch = _listing.with_partition(batch, file, self._partition_types, self._columns)
                yield Block(batch, file.path, first_row)
                first_row += batch.num_rows
            file.check_unchanged()
            # TensorFlow takes a file that ends within a record's header for one that is complete.
            if seen != size:
                raise EOFError(f"its last record is not whole, at byte {seen} of {size}")

    def _find_kinds(self, file, serialized, kinds):
        """Adds the dtypes of the columns that have none yet, as the first values of them tell."""
        partition = {name for name, _ in file.partition}
        wanted = [name for name in self._columns if name not in partition]
        known = [name for name in wanted if kinds.get(name)]
        if len(known) == len(wanted):
            return
        there = set(known)
        for record in serialized.numpy():
            features = tf.train.Example.FromString(record).features.feature
            there.update(features)
            for name in wanted:
                kind = features[name].WhichOneof("kind") if name in features else None
                if kind is not None and not kinds.get(name):
                    kinds[name] = _KINDS[kind]
                    known.append(name)
            if len(known) == len(wanted):
                return
        check_columns(file.path, [name for name in wanted if name not in kinds], there)
        # A column without a value so far has no dtype; all of it is null.
        kinds.update(dict.fromkeys(set(wanted) - set(known)))

    def _parse(self, kinds, serialized):
        features = {
            name: tf.io.RaggedFeature(kind or tf.float32, row_splits_dtype=tf.int64)
            for name, kind in kinds.items()
        }
        parsed = tf.io.parse_example(serialized, features)
        arrays = [self._array(name, kinds[name], parsed[name]) for name in kinds]
        return pa.record_batch(arrays, names=list(kinds))

    def _array(self, name, kind, ragged):
        values, splits = ragged.values.numpy(), ragged.row_splits.numpy()
        if kind is None:
            values = pa.nulls(0)
        else:
            values = pa.array(values, pa.large_binary() if kind == tf.string else None)
        lengths = np.diff(splits)
        if name in self._lists or lengths.max(initial=0) > 1:
            return pa.LargeListArray.from_arrays(pa.array(splits), values)
        if lengths.min(initial=1) == 1:
            return values
        if kind is None:
            return pa.nulls(len(lengths))
        return values.take(pa.array(splits[:-1], mask=lengths == 0))


def _path_for_tensorflow(file):
    scheme = file.filesystem.type_name
    if scheme == "local":
        return file.path
    if scheme == "gcs":
        return f"gs://{file.path}"
    if scheme == "s3":
        return f"s3://{file.path}"
    raise ValueError(
        f"{file.path}: TFRecord files are read by TensorFlow, from local paths, gs:// and s3://; "
        f"received a filesystem of type {scheme!r}."
    )


def _compression(path):
    """How a file is compressed, and its bytes when unpacked."""
    with tf.io.gfile.GFile(path, "rb") as raw:
        if raw.read(2) != b"\x1f\x8b":
            return "", raw.size()
        raw.seek(0)
        size = 0
        # TensorFlow takes a gzip file that is cut off for a shorter one: see to its end first.
        with gzip.open(raw) as file:
            while chunk := file.read(_CHUNK):
                size += len(chunk)
    return "GZIP", size


@contextlib.contextmanager
def _named(file):
    try:
        yield
    except (tf.errors.DataLossError, EOFError, OSError, zlib.error) as error:
        file.check_unchanged()
        raise ValueError(
            f"{file.path} is cut off, damaged, no TFRecord file or not compressed by gzip: "
            f"{error}. Write or fetch the file again."
        ) from error
    except (tf.errors.InvalidArgumentError, message.DecodeError, ValueError) as error:
        if file.path in str(error):
            raise
        raise ValueError(
            f"{file.path} must hold tf.Examples whose features keep their types: {error}"
        ) from error
