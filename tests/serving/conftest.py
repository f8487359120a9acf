"""One export of each family, made once."""

import pytest

from tests.support.exports import Exported
from tests.support.serving import FAMILIES


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
            made[family] = Exported(FAMILIES[family], directory)
        return made[family]

    return get
