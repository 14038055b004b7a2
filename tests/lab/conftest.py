"""What tests of the lab share: a lab that is served, a browser, and a page that must do nothing wrong."""

import os

import pytest
from playwright.sync_api import expect
from tools import lab_running

from tests.lab.browsing import WAIT_MS, Watch
from thresher.lab.settings import LabSettings

expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """A store of sample records."""
    return lab_running.sample_store(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="session")
def lab(store):
    """The address of a lab that is being served, with the sample store."""
    with lab_running.lab_in_thread(LabSettings(port=0, stores=(store,))) as url:
        yield url


@pytest.fixture(scope="module")  # it leaves before tests in other files want an event loop of their own
def browser():
    """Chromium."""
    if lab_running.chromium() is None:
        sentence = "Chromium is needed for tests of pages: apt-get install chromium"
        (pytest.fail if os.environ.get("THRESHER_NEEDS_BROWSER") else pytest.skip)(sentence)
    with lab_running.browser() as opened:
        yield opened


@pytest.fixture
def watch(lab):
    """What the page of this test does wrong; ``watch.allow(422)`` expects an answer of that status."""
    return Watch(lab)


@pytest.fixture
def page(lab, browser, watch):
    """A page in a context of its own, at the lab's address; whatever it does wrong fails the test at its end."""
    context = browser.new_context(base_url=lab, viewport={"width": 1280, "height": 900}, color_scheme="light")
    context.set_default_timeout(WAIT_MS)
    watch.attach(context)
    yield context.new_page()
    context.close()
    assert not watch.problems, "\n".join(watch.problems)
