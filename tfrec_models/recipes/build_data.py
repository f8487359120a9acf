"""A recipe's rows as batches."""

import tensorflow as tf

from tfrec_models.datasets.read import read
from tfrec_models.datasets.schema import Schema
from tfrec_models.recipes.build_schema import missing_files
from tfrec_models.recipes.recipe import Recipe

PARTS = ("train", "validation", "test")


def build_data(recipe: Recipe, schema: Schema, part: str) -> tf.data.Dataset | None:
    """The batches of one part of a recipe's data.

    The training rows are shuffled by the recipe's seed, in another order each epoch, and repeated
    where `data.steps_per_epoch` is set; the others have the order of their files. A label that is
    neither 0 nor 1 is an error while iterating.

    Args:
        recipe: `Recipe`.
        schema: `Schema`, as `build_schema` gives it.
        part: str, "train", "validation" or "test".

    Returns:
        `tf.data.Dataset` of `(features, labels)`, as `datasets.read` gives it; None for a part
        that the recipe has no files for.

    Raises:
        FileNotFoundError: if the files are not there.
        ValueError: on another part, a schema without a label, or files without its columns.

    Example:

    >>> import os, tempfile
    >>> import pyarrow as pa
    >>> import pyarrow.parquet as pq
    >>> from tfrec_models.recipes import Recipe, build_data, build_schema
    >>> path = os.path.join(tempfile.mkdtemp(), "log.parquet")
    >>> pq.write_table(pa.table({"y": [1, 0, 1], "item": ["a", "b", "a"]}), path)
    >>> recipe = Recipe.from_dict({
    ...     "data": {
    ...         "train": path,
    ...         "schema": {"label": "y", "sparse": [{"name": "item", "ids": "vocabulary"}]},
    ...     }
    ... })
    >>> features, labels = next(iter(build_data(recipe, build_schema(recipe), "train")))
    >>> labels.shape
    TensorShape([3])
    """
    if part not in PARTS:
        raise ValueError(f"part must be one of {list(PARTS)}, received {part!r}.")
    data, is_train = recipe.data, part == "train"
    is_shuffled = data.shuffle and is_train
    files = getattr(data, part)
    if files is None:
        return None
    if schema.label is None:
        raise ValueError("data.schema must have a label, received one with label null.")
    try:
        dataset = read(
            files,
            schema,
            data.batch_size if is_train else data.evaluation_batch_size,
            shuffle=is_shuffled,
            seed=recipe.seed if is_shuffled else None,
            shuffle_buffer=data.shuffle_buffer,
            format=data.format,
            delimiter=data.delimiter,
        )
    except FileNotFoundError as error:
        raise missing_files(part, files, error) from error
    checked = dataset.map(_with_checked_labels)
    if is_train and data.steps_per_epoch is not None:
        # Keras takes each epoch from where the last one ended, and as many steps.
        checked = checked.repeat()
    # The model compares it with its own.
    checked.schema = schema
    return checked


def _with_checked_labels(features, labels):
    wrong = labels[(labels != 0) & (labels != 1)]
    check = tf.debugging.Assert(
        tf.equal(tf.size(wrong), 0),
        ["Labels must be 0 or 1, received others; correct the label's column of the log.", wrong],
    )
    with tf.control_dependencies([check]):
        return features, tf.identity(labels)
