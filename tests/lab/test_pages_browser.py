"""Every page in a real browser: quiet, from here alone, at any width, by keyboard, for screen readers, its state kept."""

import csv
import json
import struct
from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import expect

from tests.lab.browsing import audit, form_state, open_all, overflow, settle, slide
from thresher.lab.pages import PAGES

PATHS = [one.path for one in PAGES]
PNG = b"\x89PNG\r\n\x1a\n"
NARROW, WIDE = 400, 1600
LEAST_PIXELS = 100
PACE_MS = 120
"""Between downloads: Chromium drops the eleventh within a second."""

every_page = pytest.mark.parametrize("path", PATHS)


@pytest.fixture
def opened(page):
    """Open a page and wait until all of it is there."""

    def opened(path: str):
        answer = page.goto(path)
        assert answer.status == 200, path
        settle(page)
        return page

    return opened


@every_page
def test_it_loads_without_an_error_and_without_asking_elsewhere(opened, watch, path, record_property):
    page = opened(path)
    assert page.locator("h1").count() == 1
    assert page.title().endswith("Thresher lab")
    assert page.locator('nav [aria-current="page"]').get_attribute("href") == path
    assert watch.requests  # their hosts are looked at when the page closes
    record_property(
        "first_view_ms", round(page.evaluate("() => performance.getEntriesByType('navigation')[0].duration"))
    )


@every_page
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_it_fits_its_window(opened, page, path, width):
    page.set_viewport_size({"width": width, "height": 900})
    opened(path)
    assert overflow(page) == []
    open_all(page)
    page.wait_for_timeout(300)  # charts in what was opened take their width
    assert overflow(page) == []


@every_page
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible(opened, page, path, scheme):
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    opened(path)
    open_all(page)
    page.wait_for_timeout(300)
    assert audit(page) == []


def test_explanations_are_accessible(opened, page):
    opened("/policy")
    page.locator("button.number").first.click()
    assert page.locator(".why:popover-open").count() == 1
    assert audit(page) == []
    page.keyboard.press("Escape")
    assert page.locator(".why:popover-open").count() == 0


@every_page
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_its_colours_follow_the_scheme(opened, page, path, scheme):
    page.emulate_media(color_scheme=scheme)
    opened(path)
    shade = page.evaluate(
        "() => getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).slice(0, 3).map(Number)"
    )
    assert (min(shade) > 200) if scheme == "light" else (max(shade) < 60)


# ---- by keyboard ----

REACHABLE = """() => {
    const shown = (one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest("[popover]")
        && !one.disabled && one.tabIndex >= 0;
    const all = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")].filter(shown);
    const chosen = (one) => document.querySelector(`input[name="${one.name}"]:checked`);
    const found = all.filter((one) => one.type !== "radio" || one.checked || !chosen(one));
    found.forEach((one, at) => { one.dataset.reach = at; });
    return found.map((one) => one.outerHTML.slice(0, 120));
}"""
FOCUSED = """() => {
    const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
    const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== "none";
    const inside = box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight;
    return { at: one.dataset.reach, what: one.outerHTML.slice(0, 120), body: one === document.body, ring, inside };
}"""


@every_page
def test_the_tab_key_reaches_every_control_and_shows_where_it_is(opened, page, path):
    opened(path)
    wanted = page.evaluate(REACHABLE)
    seen, hidden = set(), []
    for _ in range(2 * len(wanted) + 20):
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUSED)
        if focus["body"] or (focus["at"] == "0" and "0" in seen):
            break
        if not (focus["ring"] and focus["inside"]):
            hidden.append(focus)
        seen.add(focus["at"])
    assert hidden == []
    assert [one for at, one in enumerate(wanted) if str(at) not in seen] == []


@every_page
def test_the_first_link_skips_to_the_contents(opened, page, path):
    opened(path)
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "skip"
    assert page.evaluate("() => document.activeElement.getBoundingClientRect().left >= 0")
    page.keyboard.press("Enter")
    assert page.evaluate("() => location.hash") == "#main"
    page.keyboard.press("Tab")
    assert page.evaluate("() => Boolean(document.activeElement.closest('main'))")


@every_page
def test_pages_are_reached_by_keyboard_from_one_another(opened, page, path):
    opened(path)
    following = PATHS[(PATHS.index(path) + 1) % len(PATHS)]
    page.locator(f'nav a[href="{following}"]').focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{following}")
    assert page.locator('nav [aria-current="page"]').get_attribute("href") == following


# ---- the state ----

CHANGE = """(name) => {
    const form = document.getElementById("controls");
    const select = [...form.querySelectorAll("select")].find((one) => one.options.length > 1 && !one.disabled);
    const slider = form.querySelector("input[type=range]:not(:disabled)");
    const box = form.querySelector("input[type=checkbox]:not(:disabled)");
    const change = {
        slider: slider && (() => { slider.value = String(Number(slider.value) > 500 ? 300 : 700); return slider; }),
        select: select && (() => { select.selectedIndex = select.selectedIndex ? 0 : 1; return select; }),
        box: box && (() => { box.checked = !box.checked; return box; }),
    }[name];
    if (!change) return false;
    const changed = change();
    for (const event of ["input", "change"]) changed.dispatchEvent(new Event(event, { bubbles: true }));
    return true;
}"""
ADDRESS = "() => location.search"


def changed(page, what: str) -> str:
    """Change a control; gives the address that follows, or nothing where there is no such control."""
    before = page.evaluate(ADDRESS)
    if not page.evaluate(CHANGE, what):
        return ""
    page.wait_for_function(f"(before) => ({ADDRESS})() !== before", arg=before)
    settle(page)
    return page.evaluate(ADDRESS)


@every_page
def test_a_reload_and_the_way_back_and_forward_keep_the_state(opened, page, path):
    opened(path)
    if page.locator("#controls").count() == 0:
        pytest.skip(f"{path} has nothing to set")
    states = [(page.evaluate(ADDRESS), form_state(page))]
    for what in ("slider", "select", "box"):
        address = changed(page, what)
        if address:
            states.append((address, form_state(page)))
            page.reload()
            settle(page)
            assert form_state(page) == states[-1][1]
    assert len(states) > 1
    for step, seen in ((page.go_back, states[-2::-1]), (page.go_forward, states[1:])):
        for address, state in seen:
            step()
            page.wait_for_function(f"(wanted) => ({ADDRESS})() === wanted", arg=address)
            settle(page)
            assert form_state(page) == state


# ---- taking things along ----


@every_page
def test_every_chart_is_had_as_svg_png_and_csv(opened, page, path):
    opened(path)
    open_all(page)
    for figure in page.locator("figure.chart").all():
        for form, check in (("svg", _is_svg), ("png", _is_png), ("csv", _is_csv)):
            page.wait_for_timeout(PACE_MS)
            with page.expect_download() as begun:
                figure.locator(f'[data-take="{form}"]').click()
            assert begun.value.suggested_filename == f"{figure.get_attribute('data-name')}.{form}"
            check(Path(begun.value.path()).read_bytes())
        assert figure.locator(".scroll tr").count() > 1
        assert figure.locator(".plot svg[aria-label], .plot svg [aria-label], .plot [aria-label]").count() > 0


def _is_svg(content: bytes) -> None:
    root = ElementTree.fromstring(content)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(list(root.iter())) > 10
    assert min(float(root.get("width")), float(root.get("height"))) > LEAST_PIXELS


def _is_png(content: bytes) -> None:
    assert content.startswith(PNG)
    assert min(struct.unpack(">II", content[16:24])) > LEAST_PIXELS


def _is_csv(content: bytes) -> None:
    rows = list(csv.reader(content.decode("utf-8").splitlines()))
    assert len(rows) > 1
    assert rows[0]
    assert {len(row) for row in rows} == {len(rows[0])}


@every_page
def test_every_result_is_had_as_json_and_as_a_command(opened, page, path):
    opened(path)
    links = page.locator('a[href*=".json"]').all()
    for link in links:
        answer = page.request.get(link.get_attribute("href"))
        assert answer.status == 200, link.get_attribute("href")
        assert answer.headers["content-type"].startswith("application/json")
        assert json.loads(answer.text())
    for command in page.locator("[data-copy]").all():
        assert command.get_attribute("data-copy").startswith("thresher ")
    if page.locator("#controls").count():
        assert links


# ---- when something is wrong ----


@pytest.mark.parametrize(
    ("status", "text", "kind", "said"),
    [
        (422, "miri-2025: expected a <b>line</b>", "text/plain", "miri-2025: expected a <b>line</b>"),
        (500, "The lab failed at this.", "text/plain", "The lab failed at this."),
        (404, "<h1>No such page</h1>", "text/html", "The lab answered 404."),
    ],
)
def test_a_refusal_is_said_and_leaves_the_answer_as_it_is(opened, page, watch, status, text, kind, said):
    watch.allow(status)
    opened("/policy")
    before = page.locator("#answer").inner_text()
    page.route(
        "**/policy?*",
        lambda route: route.fulfill(status=status, content_type=kind, body=text, headers={"HX-Reswap": "none"}),
    )
    slide(page, "compute", 0.31, "input")
    expect(page.locator("#said")).to_have_text(said)
    assert page.locator("#answer").inner_text() == before


def test_a_lab_that_has_ended_is_said(opened, page, watch):
    opened("/policy")
    page.route("**/policy?*", lambda route: route.abort("connectionrefused"))
    slide(page, "compute", 0.31, "input")
    expect(page.locator("#said")).to_contain_text("does not answer")
    assert watch.problems
    watch.problems.clear()  # they are what was wanted
