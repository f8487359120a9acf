"""A generated click log of Criteo's shape whose best reachable AUC is known."""

import os
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from tfrec_models._compat.generated_dataset import generated_dataset
from tfrec_models._files import atomic_path
from tfrec_models.datasets._packed import splits_of
from tfrec_models.datasets.dense import Dense
from tfrec_models.datasets.planted_model import PlantedModel
from tfrec_models.datasets.schema import Schema
from tfrec_models.datasets.sparse import Sparse
from tfrec_models.metrics import auc

# Rows are drawn in blocks, each from a random stream of its own: row n is the same whatever the
# batch size and wherever reading begins.
_BLOCK = 8192
_SPLITS = ("train", "validation", "test")


class ClickLog:
    """A generated click log: 13 dense and 26 sparse features, labels from a planted model.

    Use it to see a model learn without downloading anything. The labels are drawn from known
    probabilities (see `PlantedModel` for the formula), so no model can rank better than these
    probabilities do: `best_auc` is the ceiling. Ids follow a power law; the last four sparse
    features hold bags of 0 to 4 ids, the others one id.

    Rows are generated when they are read, so a log may have any number of them. A row depends on
    `seed` and its own number alone. The splits are consecutive ranges of rows.

    Args:
        num_train: int, rows for training. Defaults to 400,000.
        num_validation: int, rows for validation. Defaults to 50,000.
        num_test: int, rows held out. Defaults to 100,000.
        seed: int, fixes the planted model and the rows. Defaults to 0.

    Attributes:
        dense_feature_names: list of str, "int_0" to "int_12".
        sparse_feature_names: list of str, "cat_0" to "cat_25".
        table_sizes: dict from sparse feature name to its number of different ids.

    Raises:
        ValueError: if a number of rows or the seed is not an integer of at least 0.

    Example:
        >>> from tfrec_models.datasets import ClickLog
        >>> log = ClickLog(num_train=100)
        >>> features, labels = next(iter(log.dataset("train", batch_size=32)))
        >>> features["dense_features"].shape, features["sparse_features"].shape, labels.shape
        (TensorShape([32, 13]), TensorShape([32, 26, None]), TensorShape([32]))
    """

    def __init__(
        self,
        num_train: int = 400_000,
        num_validation: int = 50_000,
        num_test: int = 100_000,
        seed: int = 0,
    ) -> None:
        numbers = {
            "num_train": num_train,
            "num_validation": num_validation,
            "num_test": num_test,
            "seed": seed,
        }
        for name, value in numbers.items():
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 0:
                raise ValueError(f"{name} must be an integer of at least 0, received {value!r}.")
        ends = np.cumsum([0, num_train, num_validation, num_test]).tolist()
        self._ranges = {s: (ends[i], ends[i + 1]) for i, s in enumerate(_SPLITS)}
        self._seed = seed
        self._model = PlantedModel(seed)
        self.dense_feature_names = [f"int_{i}" for i in range(self._model.NUM_DENSE)]
        self.sparse_feature_names = [f"cat_{i}" for i in range(self._model.NUM_SPARSE)]
        self.table_sizes = dict(
            zip(self.sparse_feature_names, self._model.table_sizes.tolist(), strict=True)
        )

    def dataset(self, split, batch_size):
        """Reads a split in the order of its rows; the last batch may be smaller.

        Args:
            split: str, "train", "validation" or "test".
            batch_size: int, at least 1.

        Returns:
            `tf.data.Dataset` of `({"dense_features": (B, 13) float32, "sparse_features":
            tf.RaggedTensor (B, 26, None) int64}, labels)`, labels `(B,)` float32. Sparse
            features are in the order of `sparse_feature_names`.
        """
        start, stop = self._rows_of(split)
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(
                f"batch_size must be an integer of at least 1, received {batch_size!r}."
            )
        dataset = generated_dataset(
            lambda _: self._batches(start, stop, batch_size),
            tf.data.Dataset.range(1),
            signature=(
                tf.TensorSpec((None, self._model.NUM_DENSE), tf.float32),
                tf.TensorSpec((None,), tf.int64),
                tf.TensorSpec((None, self._model.NUM_SPARSE), tf.int64),
                tf.TensorSpec((None,), tf.float32),
            ),
        )
        num_batches = -(-(stop - start) // batch_size)
        return (
            dataset.map(self._element)
            .apply(tf.data.experimental.assert_cardinality(num_batches))
            .prefetch(tf.data.AUTOTUNE)
        )

    def write(self, folder: str | os.PathLike) -> Schema:
        """Writes the log as a Parquet file for each split and `schema.yaml`, for `read`.

        Args:
            folder: path of a local folder; made where it does not exist. Files of a log that are
                there are replaced.

        Returns:
            `Schema` of "train.parquet", "validation.parquet" and "test.parquet"; a split without
            rows has no file.
        """
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        single = self._model.NUM_SPARSE - self._model.NUM_MULTI_VALUED
        schema = Schema(
            "label",
            [Dense(name) for name in self.dense_feature_names],
            [
                Sparse(name, ids="integer", num_ids=self.table_sizes[name], is_list=i >= single)
                for i, name in enumerate(self.sparse_feature_names)
            ],
        )
        for split, (start, stop) in self._ranges.items():
            if start == stop:
                continue
            tables = (
                self._table(rows, schema).slice(keep.start, keep.stop - keep.start)
                for rows, keep in self._blocks(start, stop)
            )
            first = next(tables)
            with (
                atomic_path(folder / f"{split}.parquet") as path,
                pq.ParquetWriter(path, first.schema) as writer,
            ):
                writer.write_table(first)
                for table in tables:
                    writer.write_table(table)
        schema.save(folder / "schema.yaml")
        return schema

    def labels(self, split):
        """Labels of a split, a float32 array of shape (rows,)."""
        return self._column(split, "label")

    def probabilities(self, split):
        """Planted click probabilities of a split's rows, a float64 array of shape (rows,)."""
        return self._column(split, "probability")

    def best_auc(self, split):
        """AUC of the planted probabilities on a split, in expectation over its labels.

        No scores reach a higher expected AUC on these rows. The labels that were drawn give a
        slightly different number, `auc(log.labels(split), log.probabilities(split))`.

        Returns:
            float.
        """
        probabilities = self.probabilities(split)
        return auc(probabilities, probabilities)

    def _rows_of(self, split):
        if split not in self._ranges:
            raise ValueError(f"split must be one of {_SPLITS}, received {split!r}.")
        start, stop = self._ranges[split]
        if start == stop:
            raise ValueError(f"Split {split!r} has no rows. Give `num_{split}` when constructing.")
        return start, stop

    def _column(self, split, name):
        blocks = self._blocks(*self._rows_of(split))
        return np.concatenate([rows[name][keep] for rows, keep in blocks])

    def _blocks(self, start, stop):
        """Each block that holds rows from `start` to `stop`, and the slice of it they take."""
        for number in range(start // _BLOCK, -(-stop // _BLOCK)):
            first = number * _BLOCK
            rows = self._model.draw(np.random.default_rng([self._seed, 1, number]), _BLOCK)
            yield rows, slice(max(start - first, 0), min(stop - first, _BLOCK))

    def _table(self, rows, schema):
        """A block of rows as an Arrow table."""
        columns = {schema.label: rows["label"].astype(np.int8)}
        columns |= dict(zip(self.dense_feature_names, rows["dense"].T, strict=True))
        begins = splits_of(rows["lengths"].reshape(-1))[:-1].reshape(rows["lengths"].shape)
        for i, column in enumerate(schema.sparse):
            lengths = rows["lengths"][:, i]
            splits = splits_of(lengths)
            ids = rows["ids"][
                np.repeat(begins[:, i] - splits[:-1], lengths) + np.arange(splits[-1])
            ]
            columns[column.name] = (
                pa.ListArray.from_arrays(splits.astype(np.int32), ids) if column.is_list else ids
            )
        return pa.table(columns)

    def _batches(self, start, stop, batch_size):
        """Batches as (dense, ids, lengths, label), cut out of the blocks as slices."""
        parts, missing = [], batch_size
        for rows, keep in self._blocks(start, stop):
            first_id = np.concatenate([[0], np.cumsum(rows["lengths"].sum(axis=1))])
            begin = keep.start
            while begin < keep.stop:
                end = min(begin + missing, keep.stop)
                ids = rows["ids"][first_id[begin] : first_id[end]]
                dense, lengths, label = (
                    rows[name][begin:end] for name in ("dense", "lengths", "label")
                )
                parts.append((dense, ids, lengths, label))
                missing -= end - begin
                begin = end
                if not missing:
                    yield tuple(np.concatenate(column) for column in zip(*parts, strict=True))
                    parts, missing = [], batch_size
        if parts:
            yield tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    def _element(self, dense, ids, lengths, label):
        bags = tf.RaggedTensor.from_row_lengths(ids, tf.reshape(lengths, (-1,)), validate=False)
        packed = tf.RaggedTensor.from_uniform_row_length(
            bags, self._model.NUM_SPARSE, validate=False
        )
        return {"dense_features": dense, "sparse_features": packed}, label
