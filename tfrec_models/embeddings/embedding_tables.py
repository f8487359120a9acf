"""Embedding tables that share variables: what pooled and unpooled lookups have in common."""

import abc

import keras
import tensorflow as tf

from tfrec_models._rows.sharding import filled_by_shard
from tfrec_models._rows.variables import made_once
from tfrec_models._serialization import DeserializesChildren
from tfrec_models.embeddings.id_map import make_id_map, managed_tables
from tfrec_models.embeddings.lookup import pooled_lookup
from tfrec_models.embeddings.table_stack import stack_tables
from tfrec_models.embeddings.table_store import TableStore
from tfrec_models.sparse.bag_batch import BagBatch


class EmbeddingTables(TableStore, DeserializesChildren, keras.layers.Layer, abc.ABC):
    """Base of layers that own embedding tables.

    A subclass gives `config_class` and `call`.

    Args:
        tables: list of `config_class`.
        **kwargs: those of `keras.layers.Layer`.
    """

    config_class: type

    def __init__(self, tables, **kwargs):
        super().__init__(**kwargs)
        # XLA has no kernel for ragged lookups; Keras asks this before it compiles a whole model.
        self.supports_jit = False
        self.tables = list(tables)
        self._check_tables()
        self._stacks = stack_tables(self.tables)
        self._variables = []
        self._id_maps = []

    @abc.abstractmethod
    def call(self, features):
        """Returns the embeddings of one batch, named by `embedding_names`."""

    @property
    def sparse_feature_names(self):
        """The features looked up, table by table: the order of packed input."""
        return list(dict.fromkeys(name for table in self.tables for name in table.feature_names))

    @property
    def embedding_names(self):
        """The names of the output blocks, table by table."""
        return [name for name, _ in self._blocks()]

    @property
    def embedding_dims(self):
        """The number of columns of each output block."""
        return [table.embedding_dim for _, table in self._blocks()]

    @property
    def table_variables(self):
        """The variables that hold the tables, one for each dim, pooling and dtype."""
        return list(self._variables)

    @property
    def table_stacks(self):
        """Where in each of `table_variables` the tables lie."""
        return list(self._stacks)

    def build(self, input_shape=None):
        if self.built:
            return
        for number, stack in enumerate(self._stacks):
            shape = (stack.num_rows, stack.embedding_dim)
            dtype = stack.data_type or self.variable_dtype
            initializer = stack.initializer()
            with made_once(), filled_by_shard(initializer, shape, dtype):
                variable = self.add_weight(
                    name=f"embedding_table_{number}",
                    shape=shape,
                    initializer=initializer,
                    dtype=dtype,
                    autocast=False,
                )
            # Optimizers save the state of a table by it.
            variable.table_stack = stack
            if managed_tables(stack):
                stack.id_map = make_id_map(stack, initializer, f"id_map_{number}")
                self._id_maps.append(stack.id_map)
                # Of rows that change their id optimizers reset the state.
                variable.reused_rows = stack.id_map.reused
            self._variables.append(variable)
        self.built = True

    def read_table(self, name):
        """Returns the rows of one table, without copying the others.

        Args:
            name: str, the table's name.

        Returns:
            Tensor of shape `(num_embeddings, embedding_dim)`; with the "oov" id policy one row
            more, the last.
        """
        variable, stack = self.stack_of(name)
        return stack.read(variable, name)

    def write_table(self, name, values):
        """Replaces the rows of one table in place, without copying the others.

        Args:
            name: str, the table's name.
            values: tensor or array of the shape that `read_table` returns.

        Raises:
            TypeError: on values that are no real numbers.
            ValueError: on an unknown table or another shape.
        """
        variable, stack = self.stack_of(name)
        stack.write(variable, name, values)

    def ids_of(self, name):
        """Returns the ids that have a row in a table with managed ids.

        Args:
            name: str, the table's name.

        Returns:
            (ids, rows), NumPy arrays of int64: each id, and the number of its row in what
            `read_table` returns.

        Raises:
            ValueError: on an unknown table, or one whose ids are its rows' numbers.
        """
        _, stack = self.stack_of(name)
        if stack.id_map is None or name not in stack.id_map.layout.names:
            raise ValueError(
                f"ids_of takes a table with id_policy=ManagedIds(...), received {name!r}, whose "
                "ids are the numbers of its rows."
            )
        return stack.id_map.ids_of(name)

    def read_rows(self, name, ids):
        """Returns the embeddings of some ids of a table, as a lookup outside training reads them.

        Args:
            name: str, the table's name.
            ids: int tensor or array of shape `(n,)`.

        Returns:
            Tensor of shape `(n, embedding_dim)`. Of an id that the table leaves out of bags the
            row is zeros.

        Raises:
            ValueError: on an unknown table, or ids that are no vector of integers.
            tf.errors.InvalidArgumentError: on an id that a table with the "error" policy refuses.
        """
        variable, stack = self.stack_of(name)
        ids = tf.convert_to_tensor(ids)
        if not ids.dtype.is_integer or ids.shape.rank != 1:
            raise ValueError(
                f"ids must be a vector of integers, received {ids.dtype.name} of shape {ids.shape}."
            )
        column = next(column for column in stack.columns if column[1].name == name)
        bags = BagBatch.of_one_id(ids[:, tf.newaxis])
        return pooled_lookup(variable.value, stack.with_columns([column]), bags)[:, 0]

    def stack_of(self, name):
        """Returns the variable a table lies in, and the `TableStack` that says where.

        Raises:
            ValueError: on an unknown table.
        """
        if not self.built:
            self.build()
        for stack, variable in zip(self._stacks, self._variables, strict=True):
            if name in stack.first_rows:
                return variable, stack
        raise ValueError(f"No table {name!r}; there are {[table.name for table in self.tables]}.")

    def get_config(self):
        return {
            **super().get_config(),
            "tables": [keras.saving.serialize_keras_object(table) for table in self.tables],
        }

    def _training_of(self, stack, training):
        """Whether a lookup is one of training: frozen tables give no rows to new ids."""
        return training if self.trainable or stack.id_map is None else None

    def _blocks(self):
        """The (name, table) of each output block, table by table."""
        features = [name for table in self.tables for name in table.feature_names]
        return [
            (f"{name}@{table.name}" if features.count(name) > 1 else name, table)
            for table in self.tables
            for name in table.feature_names
        ]

    def _in_table_order(self, by_stack):
        """The outputs of all stacks, each a list with one for each column, in table order."""
        blocks = {
            (name, table.name): output
            for stack, outputs in zip(self._stacks, by_stack, strict=True)
            for (name, table), output in zip(stack.columns, outputs, strict=True)
        }
        return [blocks[name, table.name] for table in self.tables for name in table.feature_names]

    def _check_tables(self):
        for table in self.tables:
            if not isinstance(table, self.config_class):
                raise TypeError(
                    f"tables must be a list of {self.config_class.__name__}, received an item of "
                    f"type {type(table).__name__}."
                )
        if not self.tables:
            raise ValueError(f"{type(self).__name__} needs at least one table, received none.")
        names = [table.name for table in self.tables]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(
                f"Tables must have distinct names, received {repeated} more than once. To look "
                "several features up in one table, list them in its feature_names."
            )
        outputs = self.embedding_names
        repeated = sorted({name for name in outputs if outputs.count(name) > 1})
        if repeated:
            raise ValueError(
                f"Outputs must have distinct names, received {repeated} more than once: a feature "
                "looked up in several tables is called feature@table there. Rename the feature "
                "whose own name is this."
            )
