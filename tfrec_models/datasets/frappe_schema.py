"""Frappe's log of used mobile apps, and its schema."""

import os

import pyarrow as pa
import pyarrow.compute as pc

from tfrec_models.datasets._listing import list_files
from tfrec_models.datasets.schema import Schema
from tfrec_models.datasets.sparse import Sparse

_FEATURES = (
    "user",
    "item",
    "daytime",
    "weekday",
    "isweekend",
    "homework",
    "cost",
    "weather",
    "country",
    "city",
)


def frappe_schema() -> Schema:
    """The schema of Frappe: ten columns of ids and no dense features.

    For the files with a label: the CSV files of the BARS benchmark (`label,user,item,daytime,
    weekday,isweekend,homework,cost,weather,country,city`), which `read` takes as they are, and
    the libFM files of the neural factorization machine, by `frappe_log`. The label is 1 where the
    user used the app in that context and 0 where the pair was drawn at random. The
    original `frappe.csv` has uses alone, hence no label. All ids are vocabularies, learned by
    `Schema.fit`.

    Example:

    >>> from tfrec_models.datasets import frappe_schema
    >>> schema = frappe_schema()
    >>> schema.label, schema.num_dense, len(schema.sparse)
    ('label', 0, 10)
    """
    return Schema("label", sparse=[Sparse(name, ids="vocabulary") for name in _FEATURES])


def frappe_log(paths: str | os.PathLike | list) -> pa.Table:
    """Reads Frappe's libFM files as a table for `frappe_schema`.

    A line is a label of 1 or -1 and an `id:1` for each of the ten columns, in the order of the
    schema; ids are numbered through all columns:

        -1 451:1 4149:1 5041:1 5046:1 5053:1 5055:1 5058:1 5060:1 5069:1 5149:1

    Args:
        paths: a path, glob or list of them, such as "frappe.train.libfm".

    Returns:
        `pa.Table` of `label` (0 or 1) and ten columns of int64.

    Raises:
        FileNotFoundError: on a path that names nothing.
        ValueError: on a line of another form; names the file and the line.

    Example:

    >>> import os, tempfile
    >>> from tfrec_models.datasets import frappe_log
    >>> path = os.path.join(tempfile.mkdtemp(), "frappe.test.libfm")
    >>> with open(path, "w") as file:
    ...     _ = file.write("-1 4:1 49:1 50:1 54:1 55:1 56:1 58:1 60:1 69:1 149:1")
    >>> frappe_log(path).select(["label", "user", "city"]).to_pylist()
    [{'label': 0, 'user': 4, 'city': 149}]
    """
    return pa.concat_tables([_read(file) for file in list_files(paths)])


def _read(file):
    with file.filesystem.open_input_stream(file.path) as stream:
        lines = pa.array(stream.read().decode("utf-8", "replace").splitlines(), pa.large_string())
    lines = pc.utf8_trim_whitespace(lines)
    well_formed = pc.match_substring_regex(lines, r"^(1|-1)( [0-9]{1,18}:1){10}$")
    if not pc.all(well_formed).as_py():
        line = pc.index(well_formed, False).as_py()
        raise ValueError(
            f"{file.path}, line {line + 1}: must be a label of 1 or -1 and ten ids 'id:1', "
            f"separated by single spaces, received {lines[line].as_py()!r}. Repair or remove the "
            "line."
        )
    plain = pc.replace_substring_regex(lines, ":1( |$)", r"\1")
    fields = pc.list_flatten(pc.split_pattern(plain, " "))
    numbers = fields.cast(pa.int64()).to_numpy().reshape(len(lines), 1 + len(_FEATURES))
    columns = {"label": (numbers[:, 0] == 1).astype("int8")}
    columns |= {name: numbers[:, 1 + i] for i, name in enumerate(_FEATURES)}
    return pa.table(columns)
