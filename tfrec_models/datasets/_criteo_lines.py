"""Lines of Criteo's raw click logs, read in blocks and parsed in TensorFlow ops."""

import numpy as np
import tensorflow as tf

from tfrec_models.datasets._files import blocks_of_lines, damage, is_compressed

INT_FEATURE_COUNT = 13
"""The number of dense features of Criteo's logs."""
CAT_FEATURE_COUNT = 26
"""The number of sparse features of Criteo's logs."""
DEFAULT_LABEL_NAME = "label"
"""The name of the label's column."""
DEFAULT_INT_NAMES = [f"int_{i}" for i in range(INT_FEATURE_COUNT)]
"""The names of the dense features, "int_0" to "int_12"."""
DEFAULT_CAT_NAMES = [f"cat_{i}" for i in range(CAT_FEATURE_COUNT)]
"""The names of the sparse features, "cat_0" to "cat_25"."""
DEFAULT_COLUMN_NAMES = [DEFAULT_LABEL_NAME, *DEFAULT_INT_NAMES, *DEFAULT_CAT_NAMES]
"""The names of all columns, in the order of the files."""

_HEX_DIGITS = 8
_NOT_A_DIGIT = 16
# Lines are read, numbered and split this many at a time: line by line is ten times slower.
_BLOCK = 512


def first_line(filenames):
    """The first line of the first file that has one, as bytes, or None."""
    for filename in filenames:
        for lines in blocks_of_lines(filename, 1):
            return lines[0]
    return None


def read_blocks(filenames, shuffle=False, seed=None, split="all", test_every=1, cycle_length=1):
    """Blocks of lines as (file name, line numbers from 1, lines), each of shape (n,).

    Args:
        filenames: list of str.
        shuffle: bool, whether the files are read in another order in each epoch.
        seed: int or None, fixes that order.
        split: str, "all", "train" or "test".
        test_every: int, every so many-th row of a file is in split "test".
        cycle_length: int, files to read from in turn.

    Raises:
        ValueError: on a compression that is not read.
    """
    # TensorFlow's reader takes a gzip file that is cut off for a shorter one.
    text_of = _read_checked if any_compressed(filenames) else _read_plain
    files = tf.data.Dataset.from_tensor_slices(filenames)
    if shuffle:
        files = files.shuffle(len(filenames), seed=seed)
    return files.interleave(
        lambda name: _number(name, text_of(name), split, test_every), cycle_length=cycle_length
    )


def any_compressed(filenames):
    """Whether one of some files is compressed; each is looked at, for others are refused."""
    compressed = [name for name in filenames if is_compressed(name)]
    return bool(compressed)


def _read_plain(filename):
    return tf.data.TextLineDataset(filename).batch(_BLOCK)


def _read_checked(filename):
    return tf.data.Dataset.from_generator(
        lambda name: blocks_of_lines(name.decode(), _BLOCK),
        output_signature=tf.TensorSpec((None,), tf.string),
        args=(filename,),
    )


def _number(filename, text, split, test_every):
    first = tf.data.Dataset.range(1, tf.int64.max, _BLOCK)

    def number(first, text):
        numbers = first + tf.range(tf.size(text, out_type=tf.int64))
        if split != "all":
            held_out = numbers % test_every == 0
            keep = held_out if split == "test" else ~held_out
            numbers, text = tf.boolean_mask(numbers, keep), tf.boolean_mask(text, keep)
        return tf.fill(tf.shape(text), filename), numbers, text

    return tf.data.Dataset.zip((first, text)).map(number)


def parse_lines(name, number, text, labels, compressed=False):
    """Labels (B,), integers (B, 13) and ids (B, 26) as int64, after checking every field.

    Args:
        name, number, text: a block of `read_blocks`.
        labels: bool, whether the lines begin with one; without, labels are None.
        compressed: bool, whether a file is looked at as a whole before a line of it is blamed.
    """
    column_names = DEFAULT_COLUMN_NAMES if labels else DEFAULT_COLUMN_NAMES[1:]
    fields = tf.strings.split(text, "\t")
    columns = fields.row_lengths()
    check = _require(
        columns == len(column_names),
        name,
        number,
        lambda i: (
            tf.strings.as_string(columns[i]),
            f" columns, expected {len(column_names)}: {'a label' if labels else 'no label'}, "
            f"{INT_FEATURE_COUNT} integers and {CAT_FEATURE_COUNT} hexadecimal ids, separated by "
            "tabs. Repair or remove the line; read files without labels, such as Criteo's test "
            "file, apart from the others.",
        ),
        compressed,
    )
    with tf.control_dependencies([check]):
        fields = tf.reshape(fields.flat_values, (-1, len(column_names)))
    label, dense, cat = tf.split(
        fields, (int(labels), INT_FEATURE_COUNT, CAT_FEATURE_COUNT), axis=1
    )

    label_ok = (label == "0") | (label == "1")
    dense_ok = tf.strings.regex_full_match(dense, r"(-?[0-9]{1,18})?")
    cat, cat_ok = _parse_hex(cat)
    ok = tf.concat([label_ok, dense_ok, cat_ok], axis=1)

    def unreadable(i):
        column = tf.argmin(tf.cast(ok[i], tf.int32))
        return (
            "column ",
            tf.constant(column_names)[column],
            " holds '",
            fields[i, column],
            "', expected a label of 0 or 1, a whole number, or a hexadecimal id of at most "
            f"{_HEX_DIGITS} digits; a missing number or id is an empty field. Repair or remove "
            "the line.",
        )

    check = _require(tf.reduce_all(ok, axis=1), name, number, unreadable, compressed)
    with tf.control_dependencies([check]):
        dense = tf.where(dense == "", "0", dense)
    dense = tf.strings.to_number(dense, tf.int64)
    return tf.cast(label[:, 0] == "1", tf.int64) if labels else None, dense, cat


def check_dense_min(name, number, dense, dense_min, compressed=False):
    """The integers, once none of them is below `dense_min`."""

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

    check = _require(tf.reduce_min(dense, axis=1) >= dense_min, name, number, too_small, compressed)
    with tf.control_dependencies([check]):
        return tf.identity(dense)


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
    # The string stands at the left of its 8 places; shifting moves its last digit to the right.
    weights = np.array([16**i for i in reversed(range(_HEX_DIGITS))], np.int64)
    shift = 4 * tf.maximum(_HEX_DIGITS - length, 0)
    value = tf.bitwise.right_shift(tf.reduce_sum(digits * weights, -1), tf.cast(shift, tf.int64))
    return value, well_formed


def _damage(filename):
    return damage(filename.decode())


def _require(ok, name, number, explain, compressed):
    """An op that fails at the first row that is not `ok`, naming its file and line.

    Of a compressed file that is damaged, no line is named. Files of text stay without this look,
    as TensorFlow saves no position in data that calls Python.
    """

    def fail():
        i = tf.argmin(tf.cast(ok, tf.int32))
        where = (name[i], ", line ", tf.strings.as_string(number[i]), ": ")
        message = tf.strings.join([*where, *explain(i)])
        if compressed:
            damaged = tf.numpy_function(_damage, [name[i]], tf.string)
            message = tf.where(damaged == "", message, damaged)
        return tf.debugging.Assert(False, [message])

    return tf.cond(tf.reduce_all(ok), tf.no_op, fail)
