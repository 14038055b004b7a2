"""The map of the design space in a real browser: it grows, it is coloured anew, it leads to the policy lab."""

from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.lab.browsing import WAIT_MS, answered, audit, move, open_all, overflow, settle

SMALL = "compute=4,16&memory=640,1280&draws=32"
"""Few enough to be worked out in a test."""


@pytest.fixture
def map_page(page):
    page.goto(f"/map?{SMALL}")
    settle(page)
    return page


def letters(page):
    """What stands in the cells of the map."""
    return page.eval_on_selector_all("#chart-map .plot svg .mark-text text", "all => all.map((one) => one.textContent)")


def drawn_words(page):
    return [text for text in letters(page) if text.endswith(("M", "B", "%", "×", "out", "…"))]


def test_it_grows_while_one_looks_and_then_asks_no_more(page, watch):
    page.goto(f"/map?{SMALL}&target=3e24")
    page.wait_for_selector("#map-progress progress")
    assert "of 5 combinations" in page.inner_text("#map-progress")
    page.wait_for_selector("#map-progress", state="detached", timeout=WAIT_MS)
    settle(page)
    asked = len([url for url in watch.requests if "/map/more" in url])
    assert asked >= 2
    assert "…" not in letters(page)
    page.wait_for_timeout(4500)
    assert len([url for url in watch.requests if "/map/more" in url]) == asked


def test_what_is_done_is_shown_before_the_rest(page):
    page.goto("/map?compute=2,3,16&memory=320,640,none&draws=32&target=4e24")
    page.wait_for_function(
        """() => {
            const words = [...document.querySelectorAll("#chart-map .plot svg .mark-text text")].map((one) => one.textContent);
            return words.includes("…") && words.some((one) => /M$/.test(one));
        }""",
        timeout=WAIT_MS,
    )
    assert page.locator("#map-progress progress").count() == 1


def test_another_map_asked_for_takes_the_place_of_the_one_under_way(page):
    page.goto("/map?draws=200")
    page.wait_for_selector("#map-progress progress")
    page.fill("#f-compute", "16")
    page.fill("#f-memory", "1280")
    page.dispatch_event("#f-memory", "change")
    page.wait_for_function(  # the map for the first box alone may come and go between
        """() => document.querySelector("#map-progress")?.textContent.includes("of 2 combinations") ?? true""",
        timeout=WAIT_MS,
    )
    settle(page)
    assert parse_qs(urlsplit(page.url).query)["compute"] == ["16"]


def test_colour_and_budget_follow_the_form_and_the_address(map_page):
    page = map_page
    answered(page, lambda: page.select_option("#f-colour", "chance"))
    settle(page)
    assert all(text.endswith("%") for text in drawn_words(page))
    before = drawn_words(page)
    move(page, "budget", 0.05)
    settle(page)
    assert drawn_words(page) != before
    query = parse_qs(urlsplit(page.url).query)
    assert query["colour"] == ["chance"]
    assert float(query["budget"][0]) < 1e7
    page.go_back()
    settle(page)
    assert "budget" not in parse_qs(urlsplit(page.url).query)


def test_a_click_on_a_cell_loads_it_in_the_policy_lab(map_page):
    page = map_page
    page.locator("#chart-map .plot svg .mark-rect path").first.click(position={"x": 12, "y": 30})  # beside its number
    page.wait_for_url("**/policy?**")
    query = parse_qs(urlsplit(page.url).query)
    assert query["regime"] == ["miri-2025"]
    assert {"compute", "memory"} <= query.keys()
    assert page.locator("#f-compute").input_value() in ("4", "16")


def test_every_combination_can_be_reached_by_keyboard(map_page):
    page = map_page
    page.locator("details summary", has_text="The map as a table of links").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")  # the table scrolls
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')").startswith("/policy?")
    page.keyboard.press("Enter")
    page.wait_for_url("**/policy?**")


def test_numbers_open_to_where_they_come_from(map_page):
    page = map_page
    page.locator("table.named button.number").first.click()
    opened = page.locator(".why:popover-open")
    assert "median over 32 draws" in opened.inner_text()
    assert "nodes of the best plan" in opened.inner_text()


def test_a_wrong_value_is_told_and_the_map_stays(map_page, watch):
    watch.allow(422)
    page = map_page
    before = drawn_words(page)
    page.fill("#f-memory", "everything")
    page.dispatch_event("#f-memory", "change")
    page.wait_for_function("() => document.getElementById('p-memory').textContent.includes('expected LINE')")
    assert drawn_words(page) == before
    page.fill("#f-memory", "640, 1280")
    answered(page, lambda: page.dispatch_event("#f-memory", "change"))
    expect(page.locator("#p-memory")).to_have_text("", timeout=WAIT_MS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
def test_it_fits_and_is_accessible(page, width, scheme):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto(f"/map?{SMALL}")
    settle(page)
    open_all(page)
    page.wait_for_timeout(300)
    assert overflow(page) == []
    assert audit(page) == []
