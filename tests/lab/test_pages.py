"""Every page as a server answers it."""

import pytest

from thresher.lab.app import create_app
from thresher.lab.pages import PAGES


@pytest.mark.parametrize("path", [one.path for one in PAGES])
def test_every_page_of_the_navigation_is_there(path):
    assert path in {route.path for route in create_app().routes}
