"""Criteo's raw click logs: tab-separated text in, batches of DLRM's two inputs out."""

import os

import numpy as np
import tensorflow as tf

INT_FEATURE_COUNT = 13
CAT_FEATURE_COUNT = 26
DEFAULT_LABEL_NAME = "label"
DEFAULT_INT_NAMES = [f"int_{i}" for i in range(INT_FEATURE_COUNT)]
DEFAULT_CAT_NAMES = [f"cat_{i}" for i in range(CAT_FEATURE_COUNT)]
DEFAULT_COLUMN_NAMES = [DEFAULT_LABEL_NAME, *DEFAULT_INT_NAMES, *DEFAULT_CAT_NAMES]

# Taken as the minimum of the Kaggle display advertising data. A file that goes lower is refused,
# never clipped, so a wrong guess cannot pass unnoticed.
DEFAULT_DENSE_MIN = -3

_NUM_COLUMNS = len(DEFAULT_COLUMN_NAMES)
_HEX_DIGITS = 8
_NOT_A_DIGIT = 16
# Lines are read, numbered and split this many at a time: line by line is ten times slower.
_BLOCK = 512
_SPLITS = ("all", "train", "test")


def criteo_tsv(
    filenames,
    batch_size,
    num_embeddings,
    *,
    dense_min=DEFAULT_DENSE_MIN,
    split="all",
    test_every=5,
    shuffle_buffer=0,
    cycle_length=1,
    seed=None,
):
    """Reads Criteo's raw tab-separated files as a `tf.data.Dataset` of batches.

    Each line is a label, 13 integers and 26 hexadecimal ids; an empty field is missing and reads
    as 0. Integers and ids become, as in TorchRec's `tsv_to_npys` and `hashes`,

        dense = log(v + 2 - dense_min)
        id    = int(hex, 16) mod num_embeddings of its table

    Everything runs in TensorFlow ops on whole batches of lines, without Python in the loop. Files
    compressed with gzip are recognised by their content; TensorFlow reads one that was cut off as
    far as it goes, without an error, so check downloads with `gzip -t`.

    Args:
        filenames: str, path or list of them: the files, read in this order.
        batch_size: int, rows a batch; the last batch may be smaller.
        num_embeddings: int, or list of 26 ints: rows of each categorical feature's table.
        dense_min: int, the smallest integer the files hold. Defaults to -3, meant for
            Criteo's Kaggle data; `criteo_dense_min` finds it for any files. Training and serving
            must use the same number.
        split: str, one of "all", "train" and "test". "test" is every `test_every`-th row of each
            file, "train" the others. Defaults to "all".
        test_every: int, at least 2. Defaults to 5, which holds out a fifth.
        shuffle_buffer: int, rows to draw the next one from; the order of files is shuffled too,
            differently in each epoch. Defaults to 0, the files' own order.
        cycle_length: int, files to read from in turn, 512 lines at a time. Defaults to 1, one
            file after the other.
        seed: int or None, fixes the shuffling. Defaults to None.

    Returns:
        `tf.data.Dataset` of `({"dense_features": (B, 13) float32, "sparse_features": (B, 26)
        int64}, labels)`, labels `(B,)` float32.

    Raises:
        FileNotFoundError: if a file does not exist.
        ValueError: if an argument is out of range or there are no rows.
        tf.errors.InvalidArgumentError: while iterating, at a line with a wrong number of columns,
            an unreadable number or an integer below `dense_min`; names the file and the line.

    Example:
        >>> import os, tempfile
        >>> from tfrec_models.datasets import criteo_tsv
        >>> path = os.path.join(tempfile.mkdtemp(), "day_0.tsv")
        >>> with open(path, "w") as f:
        ...     _ = f.write("\\t".join(["1"] + ["3"] * 13 + ["0000000b"] * 26) + "\\n")
        >>> for features, labels in criteo_tsv(path, batch_size=2, num_embeddings=10):
        ...     print(labels.numpy(), features["sparse_features"].numpy()[0, :3])
        [1.] [1 1 1]
    """
    num_embeddings = _check_num_embeddings(num_embeddings)
    for name, value, least in (
        ("batch_size", batch_size, 1),
        ("test_every", test_every, 2),
        ("shuffle_buffer", shuffle_buffer, 0),
        ("cycle_length", cycle_length, 1),
    ):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
            raise ValueError(f"`{name}` must be an integer of at least {least}. Received: {value}.")
    if not isinstance(dense_min, int | np.integer) or isinstance(dense_min, bool):
        raise ValueError(
            f"`dense_min` must be an integer. Received: {dense_min}. "
            "`criteo_dense_min(filenames)` finds it."
        )
    if split not in _SPLITS:
        raise ValueError(f"`split` must be one of {_SPLITS}. Received: {split!r}.")

    filenames = _check_files(filenames)
    files = tf.data.Dataset.from_tensor_slices((filenames, [_compression(f) for f in filenames]))
    if shuffle_buffer:
        files = files.shuffle(len(filenames), seed=seed)
    blocks = files.interleave(
        lambda name, compression: _read_blocks(name, compression, split, test_every),
        cycle_length=cycle_length,
    )
    if not any(True for _ in blocks.unbatch().take(1)):
        raise ValueError(
            f"No rows in split {split!r} of {filenames}. Check that the files are not empty"
            + ("." if split == "all" else f" and hold at least `test_every` = {test_every} rows.")
        )
    if shuffle_buffer:
        lines = blocks.unbatch().shuffle(shuffle_buffer, seed=seed).batch(batch_size)
    else:
        lines = blocks.rebatch(batch_size)

    def parse(name, number, text):
        label, dense, ids = _parse_lines(name, number, text, dense_min)
        dense = tf.math.log(tf.cast(dense, tf.float32) + (2.0 - dense_min))
        features = {"dense_features": dense, "sparse_features": ids % num_embeddings}
        return features, tf.cast(label, tf.float32)

    return lines.map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def criteo_dense_min(filenames):
    """Finds the smallest integer in Criteo's raw files, for `criteo_tsv(dense_min=...)`.

    Reads every file once. Missing integers count as 0, as they do in the logarithm.

    Args:
        filenames: str, path or list of them.

    Returns:
        int, at most 0 if any integer is missing.

    Raises:
        FileNotFoundError, ValueError, tf.errors.InvalidArgumentError: as `criteo_tsv`.

    Example:
        >>> import os, tempfile
        >>> from tfrec_models.datasets import criteo_dense_min
        >>> path = os.path.join(tempfile.mkdtemp(), "day_0.tsv")
        >>> with open(path, "w") as f:
        ...     _ = f.write("\\t".join(["1"] + ["-2"] + ["3"] * 12 + ["0000000b"] * 26) + "\\n")
        >>> criteo_dense_min(path)
        -2
    """
    filenames = _check_files(filenames)
    least = None
    for filename in filenames:
        blocks = _read_blocks(filename, _compression(filename))
        smallest = blocks.map(
            lambda *line: tf.reduce_min(_parse_lines(*line, dense_min=tf.int64.min)[1]),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        for value in smallest.as_numpy_iterator():
            least = int(value) if least is None else min(least, int(value))
    if least is None:
        raise ValueError(f"No rows in {filenames}. Check that the files are not empty.")
    return least


def _check_num_embeddings(num_embeddings):
    sizes = np.asarray(num_embeddings)
    if sizes.ndim == 0:
        sizes = np.repeat(sizes, CAT_FEATURE_COUNT)
    if sizes.shape != (CAT_FEATURE_COUNT,) or sizes.dtype.kind not in "iu" or sizes.min() < 1:
        raise ValueError(
            "`num_embeddings` must be one positive integer, or one for each of the "
            f"{CAT_FEATURE_COUNT} categorical features. Received: {num_embeddings}."
        )
    return sizes.astype(np.int64)


def _check_files(filenames):
    if isinstance(filenames, str | os.PathLike):
        filenames = [filenames]
    filenames = [os.fspath(f) for f in filenames]
    if not filenames:
        raise ValueError("`filenames` is empty. Give at least one of Criteo's TSV files.")
    for filename in filenames:
        if not tf.io.gfile.exists(filename):
            raise FileNotFoundError(f"No such file: {filename!r}. Check the path.")
        if tf.io.gfile.isdir(filename):
            raise ValueError(f"{filename!r} is a directory. Give the files in it by name.")
    return filenames


def _compression(filename):
    with tf.io.gfile.GFile(filename, "rb") as f:
        return "GZIP" if f.read(2) == b"\x1f\x8b" else ""


def _read_blocks(filename, compression, split="all", test_every=1):
    """Blocks of one file's lines as (file name, line numbers from 1, lines), each of shape (n,)."""
    text = tf.data.TextLineDataset(filename, compression_type=compression).batch(_BLOCK)
    first = tf.data.Dataset.range(1, tf.int64.max, _BLOCK)

    def number(first, text):
        numbers = first + tf.range(tf.size(text, out_type=tf.int64))
        if split != "all":
            held_out = numbers % test_every == 0
            keep = held_out if split == "test" else ~held_out
            numbers, text = tf.boolean_mask(numbers, keep), tf.boolean_mask(text, keep)
        return tf.fill(tf.shape(text), filename), numbers, text

    return tf.data.Dataset.zip((first, text)).map(number)


def _parse_lines(name, number, text, dense_min):
    """Labels (B,), integers (B, 13) and ids (B, 26) as int64, after checking every field."""
    fields = tf.strings.split(text, "\t")
    columns = fields.row_lengths()
    check = _require(
        columns == _NUM_COLUMNS,
        name,
        number,
        lambda i: (
            tf.strings.as_string(columns[i]),
            f" columns, expected {_NUM_COLUMNS}: a label, {INT_FEATURE_COUNT} integers and "
            f"{CAT_FEATURE_COUNT} hexadecimal ids, separated by tabs. Repair or remove the line "
            "(a file without labels, such as Criteo's test file, cannot be used).",
        ),
    )
    with tf.control_dependencies([check]):
        fields = tf.reshape(fields.flat_values, (-1, _NUM_COLUMNS))
    label, dense, cat = tf.split(fields, (1, INT_FEATURE_COUNT, CAT_FEATURE_COUNT), axis=1)

    label_ok = (label == "0") | (label == "1")
    dense_ok = tf.strings.regex_full_match(dense, r"(-?[0-9]{1,18})?")
    cat, cat_ok = _parse_hex(cat)
    ok = tf.concat([label_ok, dense_ok, cat_ok], axis=1)

    def unreadable(i):
        column = tf.argmin(tf.cast(ok[i], tf.int32))
        return (
            "column ",
            tf.constant(DEFAULT_COLUMN_NAMES)[column],
            " holds '",
            fields[i, column],
            "', expected a label of 0 or 1, a whole number, or a hexadecimal id of at most "
            f"{_HEX_DIGITS} digits; a missing number or id is an empty field. Repair or remove "
            "the line.",
        )

    check = _require(tf.reduce_all(ok, axis=1), name, number, unreadable)
    with tf.control_dependencies([check]):
        dense = tf.where(dense == "", "0", dense)
    dense = tf.strings.to_number(dense, tf.int64)

    def too_small(i):
        column = tf.argmin(dense[i])
        return (
            "column ",
            tf.constant(DEFAULT_INT_NAMES)[column],
            " holds ",
            tf.strings.as_string(dense[i, column]),
            f", below `dense_min` = {dense_min}, so its logarithm is not defined. Pass "
            "`dense_min=criteo_dense_min(filenames)`.",
        )

    check = _require(tf.reduce_min(dense, axis=1) >= dense_min, name, number, too_small)
    with tf.control_dependencies([check]):
        return tf.cast(label[:, 0] == "1", tf.int64), tf.identity(dense), cat


def _parse_hex(text):
    """Reads hexadecimal strings of up to 8 digits, and tells which of them are well formed."""
    digit = np.full(256, _NOT_A_DIGIT, np.int64)
    digit[0] = 0  # Padding of short strings.
    for i, letter in enumerate("0123456789abcdef"):
        digit[[ord(letter), ord(letter.upper())]] = i
    code = tf.io.decode_raw(text, tf.uint8, fixed_length=_HEX_DIGITS)
    digits = tf.gather(digit, tf.cast(code, tf.int32))
    length = tf.strings.length(text)
    # Too long a string, or a zero byte inside it, leaves fewer non-zero codes than its length.
    complete = tf.math.count_nonzero(code, axis=-1, dtype=tf.int32) == length
    well_formed = complete & (tf.reduce_max(digits, axis=-1) < _NOT_A_DIGIT)
    # The string stands at the left of its 8 places; shifting brings its last digit to the right.
    weights = np.array([16**i for i in reversed(range(_HEX_DIGITS))], np.int64)
    shift = 4 * tf.maximum(_HEX_DIGITS - length, 0)
    value = tf.bitwise.right_shift(tf.reduce_sum(digits * weights, -1), tf.cast(shift, tf.int64))
    return value, well_formed


def _require(ok, name, number, explain):
    """An op that fails at the first row that is not `ok`, naming its file and line."""

    def fail():
        i = tf.argmin(tf.cast(ok, tf.int32))
        where = (name[i], ", line ", tf.strings.as_string(number[i]), ": ")
        return tf.debugging.Assert(False, [tf.strings.join([*where, *explain(i)])])

    return tf.cond(tf.reduce_all(ok), tf.no_op, fail)
