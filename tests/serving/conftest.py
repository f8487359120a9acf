"""One export of each family, made once: with both levels where tests ask for them."""

import pytest

from tests.support.exports import Exported
from tests.support.serving import FAMILIES

# What belongs to the request, not in the order of the model.
SHARED, COLUMNS = ["user id", "f1"], [4, 1]
WITH_LEVELS = ("dlrm", "dlrm_weighted_two_outputs", "dlrm_dcn", "deepfm_ranker")


@pytest.fixture(scope="session", params=list(FAMILIES))
def family(request):
    """Each family in turn: of the session, so that all tests of one follow each other."""
    return request.param


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A function from a family to its `Exported`."""
    made = {}

    def get(family):
        if family not in made:
            directory = tmp_path_factory.mktemp("exports") / family
            has_levels = family in WITH_LEVELS
            levels = {"request_features": SHARED, "request_dense": COLUMNS} if has_levels else {}
            made[family] = Exported(FAMILIES[family], directory, **levels)
        return made[family]

    return get
