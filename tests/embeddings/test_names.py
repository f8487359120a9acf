"""Names of tables and features."""

import enum

import pytest
import tensorflow as tf

from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig, PoolingType
from tfrec_models.layers import EmbeddingCollection, EmbeddingConfig


@pytest.mark.parametrize("name", ["\udc80", "a\ud800b"])
def test_names_are_valid_unicode(name):
    """What no graph can hold is refused when the table is described."""
    with pytest.raises(ValueError, match="must be valid Unicode, received"):
        EmbeddingBagConfig(4, 2, "t", feature_names=[name])
    with pytest.raises(ValueError, match="must be valid Unicode, received"):
        EmbeddingBagConfig(4, 2, name)


def test_a_feature_called_as_an_output_is_refused():
    """`a` looked up in t and u gives a@t and a@u, which no other feature may be called."""
    tables = [
        EmbeddingBagConfig(4, 2, "t", feature_names=["a", "a@u"]),
        EmbeddingBagConfig(4, 2, "u", feature_names=["a"]),
    ]
    with pytest.raises(ValueError, match=r"received \['a@u'\] more than once.*Rename the feature"):
        EmbeddingBagCollection(tables)


def test_torchrec_enums_are_taken_by_name():
    """TorchRec's PoolingType and DataType, and a dtype, say what ours say."""
    pooling = enum.Enum("PoolingType", {"SUM": "SUM", "MEAN": "MEAN"})
    data_type = enum.Enum("DataType", {"FP16": "FP16", "BF16": "BF16", "INT8": "INT8"})
    config = EmbeddingBagConfig(4, 2, "t", data_type.BF16, pooling=pooling.MEAN)
    assert (config.data_type, config.pooling) == ("bfloat16", PoolingType.MEAN)
    assert EmbeddingBagConfig(4, 2, "t", tf.float16).data_type == "float16"
    with pytest.raises(ValueError, match="data_type of table 't' must be None, .*received 'INT8'"):
        EmbeddingBagConfig(4, 2, "t", data_type.INT8)


def test_configs_are_called_as_in_torchrec():
    """`embedding_bag_configs()`, `embedding_configs()` and `embedding_dim()` are methods."""
    bags = EmbeddingBagCollection([EmbeddingBagConfig(4, 2, "t")])
    rows = EmbeddingCollection([EmbeddingConfig(4, 3, "t")])
    assert [config.name for config in bags.embedding_bag_configs()] == ["t"]
    assert [config.name for config in rows.embedding_configs()] == ["t"]
    assert rows.embedding_dim() == 3
