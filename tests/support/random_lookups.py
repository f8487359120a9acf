"""Random tables and bags, every form they may come in, and what a lookup of them gives in NumPy."""

import dataclasses
import functools
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from hypothesis import strategies as st

from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig, KeyedJaggedTensor
from tfrec_models.embeddings.table_stack import TableStack
from tfrec_models.layers import EmbeddingCollection, EmbeddingConfig

POLICIES = ["error", "clip", "hash", "oov", "drop"]
FORMS = ["ragged", "dense", "mixed", "packed_ragged", "packed_ids", "kjt"]


@dataclasses.dataclass
class Lookup:
    """Tables and one batch of bags.

    Args:
        tables: list of the tables' configs.
        bags: dict from feature to a list of bags, each a list of ids.
        is_weighted: bool.
        form: one of `FORMS`.
        id_dtype: str.
        seed: int, of the numbers in tables, weights and gradients.
    """

    tables: list
    bags: dict
    is_weighted: bool
    form: str
    id_dtype: str
    seed: int

    @property
    def batch_size(self):
        return len(next(iter(self.bags.values())))

    @property
    def in_graph(self):
        """Whether the lookup runs in a `tf.function`: seldom, for tracing is most of the time."""
        return self.seed % 16 == 1

    @property
    def features(self):
        """The features in table order."""
        return list(dict.fromkeys(name for table in self.tables for name in table.feature_names))

    @property
    def columns(self):
        """The table and the feature of each output block, table by table."""
        return [(table, name) for table in self.tables for name in table.feature_names]

    def numbers(self, what, *shape):
        """Random numbers that sum to no zero by chance; `what` they are for tells them apart."""
        return np.random.default_rng([self.seed, *what.encode()]).normal(size=shape)

    def weights(self):
        """A dict from feature to a list of bags of weights, all 1 where the lookup has none."""
        return self._weights

    @functools.cached_property
    def _weights(self):
        # Seeding a generator takes longer than all that is drawn from it.
        weights = {}
        for name, bags in self.bags.items():
            ends = np.cumsum([len(bag) for bag in bags], dtype=int)
            flat = self.numbers(f"weights {name}", ends[-1] if bags else 0)
            flat = flat if self.is_weighted else np.ones_like(flat)
            starts = ends - [len(bag) for bag in bags]
            weights[name] = [
                np.float32(flat[start:end]) for start, end in zip(starts, ends, strict=True)
            ]
        return weights

    def layer(self):
        """The layer, its tables filled."""
        layer = (
            EmbeddingBagCollection(self.tables, is_weighted=self.is_weighted)
            if isinstance(self.tables[0], EmbeddingBagConfig)
            else EmbeddingCollection(self.tables)
        )
        # Random rows are traced for every shape, most of an example's time, and written over.
        with mock.patch.object(TableStack, "initializer", lambda stack: keras.initializers.Zeros()):
            layer.build()
        for name, rows in self.start().items():
            layer.write_table(name, rows)
        return layer

    def start(self):
        """The first rows of each table."""
        return {
            table.name: self.numbers(table.name, table.num_rows, table.embedding_dim)
            for table in self.tables
        }

    def occurrences(self, table, feature):
        """The example, row and weight of each id that counts, in order."""
        found = []
        for example, (bag, weights) in enumerate(
            zip(self.bags[feature], self.weights()[feature], strict=True)
        ):
            for number, weight in zip(bag, weights, strict=True):
                row = resolve(number, table)
                if row is not None:
                    found.append((example, row, weight))
        return found

    def pooled(self, rows):
        """The pooled embeddings of all blocks side by side, from a dict of each table's rows."""
        blocks = []
        for table, feature in self.columns:
            block = np.zeros((self.batch_size, table.embedding_dim))
            for example, row, weight in self.scaled(table, feature):
                block[example] += weight * rows[table.name][row]
            blocks.append(block)
        return np.concatenate(blocks, axis=1)

    def scaled(self, table, feature):
        """The occurrences of a feature with the weights that pooling gives them."""
        found = self.occurrences(table, feature)
        if str(getattr(table, "pooling", "")).rpartition(".")[2] != "MEAN":
            return found
        lengths = np.bincount([example for example, *_ in found], minlength=self.batch_size)
        return [(example, row, weight / lengths[example]) for example, row, weight in found]

    def row_gradients(self, upstream):
        """A dict from table to what each occurrence adds to which row: `(gradients, rows)`.

        Args:
            upstream: array of the shape of `pooled`, the gradient of its numbers.
        """
        gradients = {table.name: ([], []) for table in self.tables}
        first = 0
        for table, feature in self.columns:
            block = upstream[:, first : first + table.embedding_dim]
            first += table.embedding_dim
            for example, row, weight in self.scaled(table, feature):
                gradients[table.name][0].append(weight * block[example])
                gradients[table.name][1].append(row)
        return gradients

    def inputs(self):
        """The batch as the layer takes it."""
        ids = {name: self._ragged(bags, self.id_dtype) for name, bags in self.bags.items()}
        weights = {name: self._ragged(bags, "float32") for name, bags in self.weights().items()}
        if self.form == "kjt":
            return self._keyed_jagged(ids, weights)
        parts = [ids, weights] if self.is_weighted else [ids]
        parts = [self._formed(part) for part in parts]
        if not self.is_weighted:
            return parts[0]
        if self.form.startswith("packed"):
            return tuple(parts)
        return {name: (parts[0][name], parts[1][name]) for name in parts[0]}

    def _formed(self, ragged):
        """A part of the input, ids or weights, in the form it is to have."""
        if self.form == "packed_ragged":
            return tf.stack([ragged[name] for name in self.features], axis=1)
        if self.form == "packed_ids":
            return tf.stack([self._dense(ragged[name]) for name in self.features], axis=1)
        dense = {
            name: self.form == "dense" or (self.form == "mixed" and number % 2 == 0)
            for number, name in enumerate(ragged)
        }
        return {name: self._dense(each) if dense[name] else each for name, each in ragged.items()}

    def _dense(self, ragged):
        """Ids of equally long bags: `(batch, length)`, or `(batch,)` for single ids."""
        lengths = {len(row) for row in ragged.to_list()}
        length = lengths.pop() if lengths else 1
        matrix = tf.reshape(ragged.values, [self.batch_size, length])
        return matrix[:, 0] if length == 1 and self.seed % 2 else matrix

    def _keyed_jagged(self, ids, weights):
        """With the keys in another order, and one that no table has."""
        ids["unused"] = self._ragged([[7]] * self.batch_size, self.id_dtype)
        weights["unused"] = self._ragged([[1.0]] * self.batch_size, "float32")
        order = sorted(ids, reverse=bool(self.seed % 2))
        ids = {name: ids[name] for name in order}
        weights = {name: weights[name] for name in order}
        return KeyedJaggedTensor.from_dict(ids, weights if self.is_weighted else None)

    @staticmethod
    def _ragged(bags, dtype):
        flat = [number for bag in bags for number in bag]
        lengths = tf.constant([len(bag) for bag in bags], tf.int64, [len(bags)])
        return tf.RaggedTensor.from_row_lengths(tf.constant(flat, dtype, [len(flat)]), lengths)


def resolve(number, table):
    """The row of an id, or None where it is left out."""
    rows = table.num_embeddings
    if 0 <= number < rows:
        return number
    return {
        "clip": min(max(number, 0), rows - 1),
        "hash": number % rows,
        "oov": rows,
        "drop": None,
    }[table.id_policy]


@st.composite
def lookups(draw, pooled=True, dtypes=("float32",)):
    """Draws a `Lookup`.

    Args:
        pooled: bool, for an EmbeddingBagCollection; else for an EmbeddingCollection.
        dtypes: the dtypes that tables may have.
    """
    is_weighted = pooled and draw(st.booleans())
    names = ["f0", "f1", "f2"]
    dim = draw(st.integers(1, 5))
    tables = []
    for number in range(draw(st.integers(1, 3))):
        arguments = {
            "num_embeddings": draw(st.integers(1, 6)),
            "embedding_dim": draw(st.sampled_from([dim, 4])) if pooled else dim,
            "name": f"t{number}",
            "feature_names": draw(st.lists(st.sampled_from(names), min_size=1, unique=True)),
            "id_policy": draw(st.sampled_from(POLICIES)),
            "data_type": draw(st.sampled_from(dtypes)),
        }
        if not pooled:
            # An EmbeddingCollection's tables lie in one variable.
            arguments["data_type"] = dtypes[0]
            tables.append(EmbeddingConfig(**arguments))
            continue
        pooling = "SUM" if is_weighted else draw(st.sampled_from(["SUM", "MEAN"]))
        tables.append(EmbeddingBagConfig(**arguments, pooling=pooling))
    form = draw(st.sampled_from(FORMS))
    batch = draw(st.integers(0, 4))
    used = list(dict.fromkeys(name for table in tables for name in table.feature_names))
    lengths = _draw_lengths(draw, form, used, batch)
    bags = {name: [_draw_bag(draw, name, tables, n) for n in lengths[name]] for name in used}
    return Lookup(
        tables=tables,
        bags=bags,
        is_weighted=is_weighted,
        form=form,
        id_dtype=draw(st.sampled_from(["int32", "int64"])),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


def _draw_lengths(draw, form, features, batch):
    """The number of ids in each bag of each feature, as the form allows."""
    any_length = st.integers(0, 4)
    of_all = draw(st.integers(1, 3))
    lengths = {}
    for number, name in enumerate(features):
        if form == "packed_ids":
            lengths[name] = [of_all] * batch
        elif form == "dense" or (form == "mixed" and number % 2 == 0):
            lengths[name] = [draw(st.integers(1, 3))] * batch
        else:
            lengths[name] = draw(st.lists(any_length, min_size=batch, max_size=batch))
    return lengths


def _draw_bag(draw, feature, tables, length):
    """Ids that every table of the feature takes; outside of them where all have a policy."""
    limits = [t.num_embeddings for t in tables if feature in t.feature_names]
    strict = [
        t.num_embeddings for t in tables if feature in t.feature_names and t.id_policy == "error"
    ]
    inside = st.integers(0, (min(strict) if strict else max(limits)) - 1)
    anywhere = inside if strict else st.one_of(inside, st.integers(-(2**31), 2**31 - 1))
    return draw(st.lists(anywhere, min_size=length, max_size=length))
