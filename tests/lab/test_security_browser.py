"""The guard before a real browser: another site's page, a name pointed here, and the token."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from tools import lab_running

from tests.lab.browsing import Watch, settle
from thresher.lab.settings import LabSettings

TOKEN = "correct-horse-battery"


@contextmanager
def site(text: str):
    """Another site on this machine, with one page."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def stranger(browser):
    """A page that may go wrong."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


ASKS = {
    "an image": '<img src="{lab}/healthz">',
    "a frame": '<iframe src="{lab}/healthz"></iframe>',
    "a script": '<script src="{lab}/static/lab.js"></script>',
    "a request": '<script>fetch("{lab}/policy.json", {{ mode: "no-cors", credentials: "include" }})</script>',
    "a form": '<form method="post" action="{lab}/healthz"></form><script>document.forms[0].submit()</script>',
}


@pytest.mark.parametrize("what", ASKS)
def test_another_site_s_page_gets_nothing_from_the_lab(lab, stranger, what):
    with site(ASKS[what].format(lab=lab)) as elsewhere:
        ended = []
        for event in ("requestfinished", "requestfailed"):
            stranger.on(event, lambda request: request.url.startswith(lab) and ended.append(request))
        stranger.goto(elsewhere)
        stranger.wait_for_timeout(500)
        (request,) = ended
        # the guard refuses it; and what it says in every answer keeps the browser from showing even the refusal
        assert (request.failure or "").startswith("net::ERR_BLOCKED_BY_") or request.response().status == 403


def test_a_link_from_another_site_is_followed(lab, stranger):
    with site(f'<a href="{lab}/healthz">see</a>') as elsewhere:
        stranger.goto(elsewhere)
        with stranger.expect_response(f"{lab}/healthz") as asked:
            stranger.locator("a").click()
        assert asked.value.status == 200


def test_the_lab_s_own_form_may_be_sent_without_script(lab, page, watch):
    watch.allow(405)  # there is nothing at that address that takes it; what matters is that the guard lets it by
    page.goto("/policy")
    settle(page)
    page.evaluate(
        """() => { const form = Object.assign(document.createElement("form"), { method: "post", action: "/healthz", id: "own" });
                   document.body.append(form); }"""
    )
    with page.expect_response(f"{lab}/healthz") as asked:
        page.evaluate("() => { document.getElementById('own').submit(); }")
    assert asked.value.status == 405
    assert asked.value.request.headers["origin"] == lab


def test_a_name_that_is_pointed_here_is_refused(lab, browser):
    port = urlsplit(lab).port
    rule = "--host-resolver-rules=MAP evil.example 127.0.0.1"
    with_rule = browser.browser_type.launch(executable_path=lab_running.chromium(), args=[*lab_running.QUIET, rule])
    opened = with_rule.new_page()
    answer = opened.goto(f"http://evil.example:{port}/policy")
    assert answer.status == 421
    assert opened.evaluate("() => fetch('/policy.json').then((answer) => answer.status)") == 421
    with_rule.close()


def test_a_lab_with_a_token_is_opened_by_its_address_alone(browser):
    with lab_running.lab_in_thread(LabSettings(port=0, token=TOKEN)) as lab:
        context, watch = browser.new_context(base_url=lab), Watch(lab)
        page = context.new_page()
        assert page.goto("/policy").status == 401
        watch.attach(context)
        page.goto(f"/policy?compute=20&token={TOKEN}")
        settle(page)
        assert page.url == f"{lab}/policy?compute=20"
        assert TOKEN not in page.content()
        assert watch.problems == []
        context.close()
