"""What a log's columns mean and what was learned from them, as plain data."""

import dataclasses
import os

from tfrec_models._checks.names import nearest
from tfrec_models._config_files import load_config, save_config
from tfrec_models.datasets._prepared import prepared_schema
from tfrec_models.datasets._schema_dict import (
    check_column_names,
    check_fields,
    check_learned,
    columns_of,
)
from tfrec_models.datasets._schema_differences import differences_of
from tfrec_models.datasets.dense import Dense
from tfrec_models.datasets.sparse import Sparse
from tfrec_models.embeddings.embedding_bag_collection import EmbeddingBagCollection
from tfrec_models.embeddings.embedding_bag_config import EmbeddingBagConfig

_VERSION = 1


@dataclasses.dataclass
class Schema:
    """The columns of a log: its label, dense features and sparse features.

    Declares how a log becomes a model's inputs, for `read`, and keeps what `fit` learns from the
    data: vocabularies, means, quantiles, sizes of tables. It is plain data: two schemas are equal
    if they say the same, and `save` writes all of it.

    Packed inputs have their sparse features in the order of `sparse_feature_names`, table by
    table, which is that of the collection.

    Args:
        label: str or None, the column with the labels; None for a log without.
        dense: list of `Dense`.
        sparse: list of `Sparse`.
        column_names: list of str or None, the columns of text files that have no header.
        learned: dict, what `fit` learned; plain data.

    Raises:
        ValueError: on names given twice, a `like` or `cross` of a feature that is not there.

    Example:

    >>> import os, tempfile
    >>> import pyarrow as pa
    >>> from tfrec_models.datasets import Dense, Schema, Sparse
    >>> schema = Schema(
    ...     label="clicked",
    ...     dense=[Dense("price", transform="log1p")],
    ...     sparse=[
    ...         Sparse("user_id", ids="hash", num_ids=1000),
    ...         Sparse("item_id", ids="vocabulary"),
    ...         Sparse("seen_items", like="item_id", max_length=50),
    ...     ],
    ... )
    >>> log = pa.table({
    ...     "clicked": [1, 0], "price": [3.0, 9.5], "user_id": ["u7", "u8"],
    ...     "item_id": ["apple", "pear"], "seen_items": [["pear", "fig"], []],
    ... })
    >>> schema.fit(log, progress=False)
    >>> schema.learned["vocabularies"]["item_id"]
    ['pear', 'apple', 'fig']
    >>> schema.collection(embedding_dim=16).sparse_feature_names
    ['user_id', 'item_id', 'seen_items']
    >>> path = os.path.join(tempfile.mkdtemp(), "schema.yaml")
    >>> schema.save(path)
    >>> Schema.load(path) == schema
    True
    """

    label: str | None = None
    dense: list[Dense] = dataclasses.field(default_factory=list)
    sparse: list[Sparse] = dataclasses.field(default_factory=list)
    column_names: list[str] | None = None
    learned: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        self.dense, self.sparse = list(self.dense), list(self.sparse)
        for what, kind, items in (("dense", Dense, self.dense), ("sparse", Sparse, self.sparse)):
            wrong = [type(item).__name__ for item in items if not isinstance(item, kind)]
            if wrong:
                raise ValueError(f"{what} must be a list of {kind.__name__}, received {wrong}.")
        if self.label is not None and (not isinstance(self.label, str) or not self.label):
            raise ValueError(f"label must be a non-empty str or None, received {self.label!r}.")
        check_column_names(self.column_names)
        for what, names in (
            ("dense", [column.name for column in self.dense]),
            ("sparse", [column.name for column in self.sparse]),
            ("column_names", self.column_names or []),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{what} must have distinct names, received {twice} twice.")
        for column in self.sparse:
            self._check_references(column)
        if self.column_names is not None:
            self.column_names = list(self.column_names)
            for name in self.columns:
                if name not in self.column_names:
                    raise ValueError(
                        f"column {name!r} is not in column_names{nearest(name, self.column_names)}"
                    )
        self.learned = {"vocabularies": {}, "statistics": {}, "num_ids": {}} | self.learned

    def _check_references(self, column):
        by_name = {other.name: other for other in self.sparse}
        for other in (*(column.cross or ()), *([column.like] if column.like else ())):
            if other not in by_name:
                raise ValueError(
                    f"Sparse {column.name!r} names {other!r}, which is not a sparse feature"
                    + nearest(other, by_name)
                )
            if column.like and (by_name[other].like or other == column.name):
                raise ValueError(
                    f"Sparse {column.name!r}: like must name a feature with a table of its own, "
                    f"received {other!r}; name {by_name[other].like or 'another'!r}."
                )
            if column.like and by_name[other].cross:
                raise ValueError(
                    f"Sparse {column.name!r}: like must name a feature with ids of single values, "
                    f"received {other!r}, which is a cross of two; hash {column.name!r} by itself."
                )
            if column.cross and (by_name[other].cross or by_name[other].is_list):
                raise ValueError(
                    f"Sparse {column.name!r}: cross must name single-valued columns, received "
                    f"{other!r}."
                )

    @property
    def columns(self) -> list[str]:
        """The columns of the log that are read, each once."""
        names = [] if self.label is None else [self.label]
        names += [column.name for column in self.dense]
        for column in self.sparse:
            names += [] if column.cross else [column.name]
            names += [column.weights] if column.weights else []
        return list(dict.fromkeys(names))

    @property
    def num_dense(self) -> int:
        """The number of dense features."""
        return len(self.dense)

    @property
    def sparse_feature_names(self) -> list[str]:
        """The sparse features, table by table: the order of packed inputs."""
        return [name for names in self.tables().values() for name in names]

    @property
    def is_weighted(self) -> bool:
        """Whether some ids have weights; those of the other features are 1."""
        return any(column.weights for column in self.sparse)

    def sparse_column(self, name: str) -> Sparse:
        """The sparse column of a name."""
        return next(column for column in self.sparse if column.name == name)

    def num_ids(self, name: str) -> int:
        """Rows of the table of a sparse feature.

        Raises:
            ValueError: where they are learned, before `fit`.
        """
        column = self.sparse_column(name)
        if column.like:
            return self.num_ids(column.like)
        if column.num_ids is not None:
            return column.num_ids
        if column.ids == "vocabulary" and name in self.learned["vocabularies"]:
            return len(self.learned["vocabularies"][name]) + 1
        if name in self.learned["num_ids"]:
            return self.learned["num_ids"][name]
        raise ValueError(
            f"The ids of sparse feature {name!r} are learned from the data, and are not yet; call "
            "schema.fit(source) first."
        )

    def collection(self, embedding_dim: int, **kwargs) -> EmbeddingBagCollection:
        """An `EmbeddingBagCollection` with a table for each sparse column but those `like` another.

        Args:
            embedding_dim: int, columns of each table.
            **kwargs: further arguments of each `EmbeddingBagConfig`, such as `pooling`.
        """
        return EmbeddingBagCollection(
            tables=[
                EmbeddingBagConfig(
                    name=table,
                    num_embeddings=self.num_ids(table),
                    embedding_dim=embedding_dim,
                    feature_names=features,
                    **kwargs,
                )
                for table, features in self.tables().items()
            ],
            is_weighted=self.is_weighted,
        )

    def check_model(self, model):
        """Raises ValueError unless a model's tables and dense inputs are those of this schema.

        Args:
            model: a model with an `embedding_bag_collection`, such as `DLRM`.
        """
        differences = differences_of(self, model)
        if differences:
            raise ValueError(
                "The model was made for another schema. " + "; ".join(differences) + ". Load the "
                "schema the model was made with."
            )

    def fit(self, source, progress: bool = True, **options):
        """Learns vocabularies, statistics and sizes in one pass over a log.

        What was learned before stays: values already in a vocabulary keep their ids and new ones
        follow, means and deviations are those of all data so far, and quantiles stay the first.

        Args:
            source: what `read` takes: files or a table.
            progress: bool, whether to show rows and rows per second on stderr.
            **options: `format`, `delimiter` and `filesystem`, as for `read`.
        """
        # The reader knows the schema; the schema knows the reader here alone.
        from tfrec_models.datasets._learn import learn

        self.learned = learn(self, source, progress, options)

    def prepared(self) -> "Schema":
        """The schema of what `convert` writes: numbers and ids that are ready, to be read as is.

        The model of it is that of this schema: it has the same features and tables. A dense column
        or label of the name of a sparse one is renamed, with "_" at its end.

        Raises:
            ValueError: where ids are learned, before `fit`.
        """
        return prepared_schema(self)

    def to_dict(self) -> dict:
        """Plain dicts, lists, strings and numbers, for JSON and YAML."""

        def fields(column):
            values = {
                field.name: getattr(column, field.name)
                for field in dataclasses.fields(column)
                if getattr(column, field.name) != field.default
            }
            return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}

        return {
            "version": _VERSION,
            "label": self.label,
            "dense": [fields(column) for column in self.dense],
            "sparse": [fields(column) for column in self.sparse],
            "column_names": self.column_names,
            "learned": self.learned,
        }

    @classmethod
    def from_dict(cls, config: dict) -> "Schema":
        """The schema that `to_dict` wrote.

        Raises:
            ValueError: on an unknown version or field, and on learned values `fit` does not write.
        """
        if not isinstance(config, dict) or config.get("version") != _VERSION:
            version = config.get("version") if isinstance(config, dict) else config
            raise ValueError(f"A schema must have version {_VERSION}, received {version!r}.")
        config = {name: value for name, value in config.items() if name != "version"}
        check_fields(cls, config)
        for what, kind in (("dense", Dense), ("sparse", Sparse)):
            config[what] = columns_of(what, kind, config.get(what))
        check_learned(config.get("learned", {}), config["dense"], config["sparse"])
        return cls(**config)

    def save(self, path: str | os.PathLike):
        """Writes the schema, as YAML or JSON by the ending of the path; whole or not at all."""
        save_config(self.to_dict(), path)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Schema":
        """The schema that `save` wrote, or that was written by hand."""
        return cls.from_dict(load_config(path))

    def tables(self) -> dict[str, list[str]]:
        """The features of each table, tables in the order of their first features."""
        tables: dict[str, list[str]] = {c.name: [] for c in self.sparse if not c.like}
        for column in self.sparse:
            tables[column.like or column.name].append(column.name)
        return tables
