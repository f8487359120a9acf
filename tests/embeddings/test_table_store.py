"""Tables in weights files: found by name, and named where they do not fit."""

import keras
import numpy as np
import pytest

from tfrec_models.layers import (
    EmbeddingBagCollection,
    EmbeddingBagConfig,
    EmbeddingCollection,
    EmbeddingConfig,
)


def collection(**rows):
    tables = [EmbeddingBagConfig(count, 3, name) for name, count in rows.items()]
    layer = EmbeddingBagCollection(tables)
    layer.build()
    return layer


class Holder(keras.Model):
    """Only holds a layer."""

    def build(self, input_shape=None):
        self.built = True


def model_of(layer):
    """A model that reaches the layer by two paths."""
    model = Holder()
    model.first, model.second = layer, [layer]
    model.build()
    return model


def saved(tmp_path, layer):
    path = tmp_path / "tables.weights.h5"
    model_of(layer).save_weights(path)
    return path


def read(layer, name):
    return layer.read_table(name).numpy()


def test_a_table_that_grew_is_named_with_both_shapes(tmp_path):
    """The others are loaded, and it keeps its values."""
    file = collection(user=4, item=5, ad=2)
    path = saved(tmp_path, file)
    layer = collection(user=4, item=7, ad=2)
    before = read(layer, "item")
    message = (
        r"received table 'item' of shape \(5, 3\) where the model has \(7, 3\)\. Tables that fit "
        r"were loaded.*skip_mismatch=True"
    )
    with pytest.raises(ValueError, match=message):
        model_of(layer).load_weights(path)
    with pytest.warns(UserWarning, match=message):
        model_of(layer).load_weights(path, skip_mismatch=True)
    for name in ("user", "ad"):
        np.testing.assert_array_equal(read(layer, name), read(file, name))
    np.testing.assert_array_equal(read(layer, "item"), before)


def test_tables_are_found_by_name(tmp_path):
    """In another order; in another variable since the pooling of one changed."""
    file = collection(user=4, item=4)
    path = saved(tmp_path, file)
    reordered = collection(item=4, user=4)
    apart = EmbeddingBagCollection(
        [EmbeddingBagConfig(4, 3, "user"), EmbeddingBagConfig(4, 3, "item", pooling="mean")]
    )
    apart.build()
    for layer in (reordered, apart):
        model_of(layer).load_weights(path)
        for name in ("user", "item"):
            np.testing.assert_array_equal(read(layer, name), read(file, name))


def test_renamed_tables_load_by_their_places(tmp_path):
    """As layers of another name do in Keras."""
    file = collection(user=4, item=5)
    layer = collection(people=4, things=5)
    model_of(layer).load_weights(saved(tmp_path, file))
    np.testing.assert_array_equal(read(layer, "people"), read(file, "user"))
    np.testing.assert_array_equal(read(layer, "things"), read(file, "item"))


def test_missing_and_additional_tables_are_named(tmp_path):
    """Each with its name; what both have is loaded."""
    file = collection(user=4, item=5)
    path = saved(tmp_path, file)
    layer = collection(user=4, ad=2)
    with pytest.raises(
        ValueError, match="table 'item' of 5 rows, unknown to the model; no table 'ad'"
    ):
        model_of(layer).load_weights(path)
    np.testing.assert_array_equal(read(layer, "user"), read(file, "user"))


def test_a_second_file_does_not_inherit_the_error_of_the_first(tmp_path):
    """A file without any table of the layer says that of itself."""
    path = saved(tmp_path, collection(user=4))
    layer = collection(user=5)
    model = model_of(layer)
    with pytest.raises(ValueError, match=r"'user' of shape \(4, 3\)"):
        model.load_weights(path)
    model_of(collection(user=5)).save_weights(tmp_path / "right.weights.h5")
    model.load_weights(tmp_path / "right.weights.h5")


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_names_and_types_of_any_kind(dtype, tmp_path):
    """Names that are no HDF5 names, tables of lower precision, and unpooled ones."""
    names = ["a/b", "table:\u0000 müsli", "plain.name"]

    def new(rows):
        tables = [
            EmbeddingConfig(count, 3, name, data_type=dtype)
            for name, count in zip(names, rows, strict=True)
        ]
        layer = EmbeddingCollection(tables)
        layer.build()
        return layer

    file, layer = new([4, 2, 5]), new([4, 2, 6])
    with pytest.warns(UserWarning, match=r"'plain.name' of shape \(5, 3\)"):
        model_of(layer).load_weights(saved(tmp_path, file), skip_mismatch=True)
    for name in names[:2]:
        ours, theirs = (read(owner, name).astype(float) for owner in (layer, file))
        np.testing.assert_array_equal(ours, theirs)


def test_thousands_of_tables(tmp_path):
    """Where each lies does not fit in one HDF5 attribute."""
    rows = {f"table_of_feature_number_{number}": 1 for number in range(3000)}
    file = collection(**rows)
    path = saved(tmp_path, file)
    last = next(reversed(rows))
    layer = collection(**{**rows, last: 2})
    with pytest.raises(ValueError, match=rf"received table '{last}' of shape \(1, 3\)"):
        model_of(layer).load_weights(path)
    np.testing.assert_array_equal(
        layer.table_variables[0].numpy()[1:3000], file.table_variables[0].numpy()[1:3000]
    )
