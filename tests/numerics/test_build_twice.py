"""build() of what is built does nothing."""

import pytest

from tests.numerics.models import FAMILIES, make


@pytest.mark.parametrize("family", FAMILIES)
def test_models_and_their_layers(family):
    """No weight is added or drawn again."""
    model = make(family)
    model.build()
    weights = [id(weight) for weight in model.weights]
    values = model.get_weights()
    for layer in [model, *model._flatten_layers(include_self=False)]:
        if type(layer).__module__.startswith("tfrec_models"):
            layer.build()
    assert [id(weight) for weight in model.weights] == weights
    for before, after in zip(values, model.get_weights(), strict=True):
        assert (before == after).all()
