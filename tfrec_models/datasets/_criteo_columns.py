"""The columns of Criteo's raw click logs."""

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

# Taken as the minimum of the Kaggle display advertising data. A file that goes lower is refused,
# never clipped, so a wrong guess cannot pass unnoticed.
DEFAULT_DENSE_MIN = -3
"""The smallest number that is expected in a dense column."""
