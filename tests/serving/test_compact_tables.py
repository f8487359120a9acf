"""Smaller tables: their codes, their errors, and lookups on them."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.exports import ask, predict
from tests.support.serving import DENSE, batch
from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig
from tfrec_models.deepfm import DeepFMRanker
from tfrec_models.serving import Metadata, export
from tfrec_models.serving.quantization import CodedRows, compact_rows, fill_rows

ROWS, DIM = 50, 64


def collection(**table):
    """Two tables in one stack."""
    return EmbeddingBagCollection(
        [
            EmbeddingBagConfig(ROWS, DIM, "t1", feature_names=["f1", "f3"], **table),
            EmbeddingBagConfig(ROWS, DIM, "t2", feature_names=["user id"], **table),
        ]
    )


def make(**table):
    """A small DLRM."""
    return DLRM(collection(**table), DENSE, [DIM], [8, 1])


def coded(values, largest):
    """Values after row-wise quantisation to codes up to `largest`, in NumPy."""
    low = values.min(axis=1, keepdims=True)
    scale = (values.max(axis=1, keepdims=True) - low) / np.float32(largest)
    codes = np.rint((values - low) / np.where(scale == 0, 1, scale))
    return (codes * scale + low).astype(np.float32)


ROUND = {
    "int8": lambda values: coded(values, 255),
    "int4": lambda values: coded(values, 15),
    "bfloat16": lambda values: tf.cast(tf.cast(values, tf.bfloat16), tf.float32).numpy(),
}

LARGEST_RATIO = {"int8": 0.30, "int4": 0.16, "bfloat16": 0.50}


@pytest.mark.parametrize("table_dtype", ["int8", "int4", "bfloat16"])
def test_equals_a_model_with_rounded_tables(tmp_path, table_dtype):
    """What the export gives, what it says of its errors and its size; the model stays as it was."""
    model = make(id_policy="drop")
    inputs = batch(6)
    inputs["sparse_features"]["f1"] = tf.ragged.constant(
        [[], [3, 3, ROWS + 1], [ROWS], [0], [], [-2, 49]], tf.int64
    )
    before = predict(model, inputs)
    path = export(model, tmp_path, table_dtype=table_dtype, sample=inputs)
    model.make_predict_function(force=True)
    np.testing.assert_array_equal(predict(model, inputs), before)
    tables = {
        name: model.embedding_bag_collection.read_table(name).numpy() for name in ("t1", "t2")
    }
    errors = {}
    for name, values in tables.items():
        rounded = ROUND[table_dtype](values)
        errors[name] = np.abs(rounded - values)
        model.embedding_bag_collection.write_table(name, rounded)
    after = predict(model, inputs)
    np.testing.assert_allclose(ask(path, inputs), after, atol=1e-6)
    assert stored_table_bytes(path) / ((2 * ROWS + 1) * DIM * 4) <= LARGEST_RATIO[table_dtype]
    metadata = Metadata.read(path)
    for described in metadata.tables:
        assert described["dtype"] == table_dtype
        np.testing.assert_allclose(
            described["max_abs_error"], errors[described["name"]].max(), rtol=0.01
        )
        rms = np.sqrt(np.square(errors[described["name"]]).mean())
        np.testing.assert_allclose(described["rms_error"], rms, rtol=0.01)
    cost = metadata.accuracy_cost
    assert cost["examples"] == 6
    np.testing.assert_allclose(
        cost["logits"]["max_abs_difference"], np.abs(after - before).max(), atol=1e-6
    )


def stored_table_bytes(path):
    """The bytes of all variables with a row for each of the tables' rows."""
    reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    dtypes = reader.get_variable_to_dtype_map()
    return sum(
        np.prod(shape) * dtypes[name].size
        for name, shape in reader.get_variable_to_shape_map().items()
        if shape and shape[0] == 2 * ROWS + 1
    )


def test_rows_of_one_value_are_exact():
    """A row without a range has a scale of zero; two codes lie in one byte of int4."""
    for num_bits, row_bytes in ((8, 4), (4, 2)):
        rows = CodedRows(3, 4, tf.float32, num_bits)
        values = np.array([[0.1] * 4, [-3.0, 12.0, 5.0, -1.0], [0.0] * 4], np.float32)
        rows.write(0, values)
        assert rows.codes.shape == [3, row_bytes]
        # The range of the second row is 15, so that its values are codes of 4 bits exactly.
        np.testing.assert_allclose(
            rows.read_rows(tf.constant([2, 0, 1])), values[[2, 0, 1]], atol=1e-6
        )


def test_int4_needs_an_even_dim(tmp_path):
    """Two numbers lie in a byte: refused with what to do."""
    tables = [EmbeddingBagConfig(ROWS, 7, "odd", feature_names=["f1"])]
    model = DLRM(EmbeddingBagCollection(tables), DENSE, [7], [8, 1])
    with pytest.raises(ValueError, match=r"even embedding_dim, received 7 of .*Use 'int8', or tra"):
        export(model, tmp_path, table_dtype="int4")
    assert not list(tmp_path.iterdir())


def test_tables_that_would_not_shrink_stay():
    """One column as int8 would grow: the first-order tables of a DeepFM stay float32."""
    model = DeepFMRanker(collection(), DENSE, [8])
    model.build()
    tables = fill_rows(model, compact_rows(model, "int8"))
    stored = {(table["layer"], table["dtype"]) for table in tables}
    assert {dtype for layer, dtype in stored if layer == "first_order"} == {"float32"}
    assert {dtype for layer, dtype in stored if layer != "first_order"} == {"int8"}


def test_values_a_dtype_cannot_hold_are_refused(tmp_path):
    """Rather than exported as infinity, or as a row that one bad value has changed."""
    model = make()
    model.build()
    for table_dtype, value in (
        ("int8", np.inf),
        ("int8", np.nan),
        ("bfloat16", np.nan),
        ("float16", 1e6),
    ):
        values = np.zeros([ROWS, DIM], np.float32)
        values[3, 1] = value
        model.embedding_bag_collection.write_table("t2", values)
        text = f"Table 't2' has values that table_dtype='{table_dtype}' cannot hold: NaN"
        with pytest.raises(ValueError, match=text):
            fill_rows(model, compact_rows(model, table_dtype))
    with pytest.raises(ValueError, match=text):
        export(model, tmp_path, table_dtype="float16")
    assert not list(tmp_path.iterdir())
