"""Names of tables and features."""

import pytest

from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig


@pytest.mark.parametrize("name", ["\udc80", "a\0b"])
def test_names_are_valid_unicode(name):
    """What no graph can hold is refused when the table is described."""
    with pytest.raises(ValueError, match="must be valid Unicode without NUL, received"):
        EmbeddingBagConfig(4, 2, "t", feature_names=[name])
    with pytest.raises(ValueError, match="must be valid Unicode without NUL, received"):
        EmbeddingBagConfig(4, 2, name)


def test_a_feature_called_as_an_output_is_refused():
    """`a` looked up in t and u gives a@t and a@u, which no other feature may be called."""
    tables = [
        EmbeddingBagConfig(4, 2, "t", feature_names=["a", "a@u"]),
        EmbeddingBagConfig(4, 2, "u", feature_names=["a"]),
    ]
    with pytest.raises(ValueError, match=r"received \['a@u'\] more than once.*Rename the feature"):
        EmbeddingBagCollection(tables)
