"""Pooled embeddings for many features, from tables that share variables."""

import keras
import tensorflow as tf

from tfrec_models.layers.embedding_configs import EmbeddingBagConfig, PoolingType
from tfrec_models.layers.lookup import pooled_lookup
from tfrec_models.layers.table_stack import stack_tables
from tfrec_models.sparse.features import SparseFeatures
from tfrec_models.sparse.keyed_tensor import KeyedTensor


@keras.saving.register_keras_serializable("tfrec_models")
class EmbeddingBagCollection(keras.layers.Layer):
    """Looks up the ids of each bag and pools their rows into one vector.

    TorchRec's sparse layer. Each table serves one or several features; tables of equal dim,
    pooling and dtype are kept in one variable and looked up in one call of
    `tf.nn.safe_embedding_lookup_sparse` (a plain gather where each bag is one id). An empty bag
    gives zeros.

    For a bag `i_1 .. i_n` with weights `w` (1 where there are none) and a table `W`:

        SUM:   w_1 W[i_1] + .. + w_n W[i_n]
        MEAN:  (W[i_1] + .. + W[i_n]) / n

    Args:
        tables: list of `EmbeddingBagConfig`.
        is_weighted: bool, whether each id comes with a weight. SUM pooling only, as in TorchRec.
        **kwargs: those of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        One of
        - a dict from feature to `tf.RaggedTensor` `(batch, None)` or id tensor `(batch,)` or
          `(batch, length)`,
        - packed in the order of `sparse_feature_names`: a `tf.RaggedTensor`
          `(batch, features, None)`, or an id tensor `(batch, features)` or
          `(batch, features, length)`,
        - a `KeyedJaggedTensor`, whose other keys are ignored.
        With weights, a `KeyedJaggedTensor` that has them or pairs (ids, weights) in place of ids.

    Output shape:
        A `KeyedTensor` with `(batch, embedding_dim)` columns for each of `embedding_names`, table
        by table: the feature's name, or `feature@table` for a feature looked up in several.

    Raises:
        ValueError: on no tables, equal table names, weights with MEAN pooling; at a call on
            missing or unknown features.
        TypeError: at a call on ids that are not integers.
        tf.errors.InvalidArgumentError: at a call on an id outside a table whose id_policy is
            "error".

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig
    >>> ebc = EmbeddingBagCollection(
    ...     tables=[
    ...         EmbeddingBagConfig(
    ...             name="t1", embedding_dim=3, num_embeddings=10, feature_names=["f1"]
    ...         ),
    ...         EmbeddingBagConfig(
    ...             name="t2", embedding_dim=4, num_embeddings=10, feature_names=["f2"]
    ...         ),
    ...     ]
    ... )
    >>> pooled = ebc({"f1": tf.ragged.constant([[0, 1], []]), "f2": tf.constant([3, 4])})
    >>> pooled.keys()
    ['f1', 'f2']
    >>> pooled["f2"].shape
    TensorShape([2, 4])
    >>> ebc.read_table("t1").shape
    TensorShape([10, 3])
    """

    def __init__(self, tables, is_weighted=False, **kwargs):
        super().__init__(**kwargs)
        # XLA has no kernel for ragged lookups; Keras asks this before it compiles a whole model.
        self.supports_jit = False
        self.tables = [_as_config(table) for table in tables]
        self.is_weighted = is_weighted
        _check_tables(self.tables, is_weighted)
        self._stacks = stack_tables(self.tables)
        self._variables = []

    @property
    def embedding_bag_configs(self):
        """The tables' configs, in order."""
        return list(self.tables)

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

    def build(self, input_shape=None):
        for number, stack in enumerate(self._stacks):
            variable = self.add_weight(
                name=f"embedding_table_{number}",
                shape=(stack.num_rows, stack.embedding_dim),
                initializer=stack.initializer(),
                dtype=stack.data_type or self.variable_dtype,
                autocast=False,
            )
            stack.initialize_by_hand(variable)
            self._variables.append(variable)
        self.built = True

    def call(self, features):
        features = SparseFeatures(features, self.sparse_feature_names, self.is_weighted)
        pooled = [
            tf.cast(
                pooled_lookup(variable.value, stack, features.select(stack.feature_names)),
                self.compute_dtype,
            )
            for stack, variable in zip(self._stacks, self._variables, strict=True)
        ]
        if len(pooled) == 1:
            values = tf.reshape(pooled[0], [-1, sum(self.embedding_dims)])
        else:
            values = tf.concat(self._in_table_order(pooled), axis=1)
        return KeyedTensor(self.embedding_names, self.embedding_dims, values)

    def compute_output_spec(self, features):
        values = keras.KerasTensor((None, sum(self.embedding_dims)), self.compute_dtype)
        return KeyedTensor(self.embedding_names, self.embedding_dims, values)

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
            ValueError: on an unknown table or another shape.
        """
        variable, stack = self.stack_of(name)
        stack.write(variable, name, values)

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
            "is_weighted": self.is_weighted,
        }

    @classmethod
    def from_config(cls, config):
        tables = [keras.saving.deserialize_keras_object(table) for table in config["tables"]]
        return super().from_config({**config, "tables": tables})

    def _blocks(self):
        """The (name, table) of each output block, table by table."""
        features = [name for table in self.tables for name in table.feature_names]
        return [
            (f"{name}@{table.name}" if features.count(name) > 1 else name, table)
            for table in self.tables
            for name in table.feature_names
        ]

    def _in_table_order(self, pooled):
        """The (B, dim) blocks of all stacks, in table order."""
        blocks = {
            (name, table.name): embeddings[:, column]
            for stack, embeddings in zip(self._stacks, pooled, strict=True)
            for column, (name, table) in enumerate(stack.columns)
        }
        return [blocks[name, table.name] for table in self.tables for name in table.feature_names]


def _as_config(table):
    if not isinstance(table, EmbeddingBagConfig):
        raise TypeError(
            f"tables must be a list of EmbeddingBagConfig, received an item of type "
            f"{type(table).__name__}."
        )
    return table


def _check_tables(tables, is_weighted):
    if not tables:
        raise ValueError("An EmbeddingBagCollection needs at least one table, received none.")
    names = [table.name for table in tables]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"Tables must have distinct names, received {repeated} more than once. To look several "
            "features up in one table, list them in its feature_names."
        )
    averaged = [table.name for table in tables if table.pooling is PoolingType.MEAN]
    if is_weighted and averaged:
        raise ValueError(
            f"is_weighted=True goes with SUM pooling only, received MEAN for tables {averaged}. "
            "Use SUM with weights that add up to 1."
        )
