"""The plan page in a browser: a moved slider, boxes of which one is given, a profile, a wrong value, a file both ways."""

import json
import tomllib
from pathlib import Path

from click.testing import CliRunner
from playwright.sync_api import expect

from tests.lab.browsing import WAIT_MS, answered, audit, open_all, overflow, settle, slider_of
from thresher.cli import main


def opened(page, address="/plan"):
    page.goto(address)
    settle(page)


def days(page):
    return page.locator("#answer .card button.number").first.inner_text()


def test_a_moved_slider_changes_numbers_charts_and_address(page):
    opened(page)
    before, rows = days(page), page.locator("#chart-plan-rounds template.data").inner_html()
    slider = slider_of(page, "nodes")
    slider.focus()
    answered(page, lambda: page.keyboard.press("End"))
    settle(page)
    assert days(page) != before
    assert page.locator("#chart-plan-rounds template.data").inner_html() != rows
    assert "nodes=10000" in page.url
    assert slider.get_attribute("aria-valuetext").startswith("10000")
    assert page.locator("#chart-plan-rounds .plot svg").count() == 1


def test_a_chart_goes_on_in_the_next_answer(page):
    """It is the same drawing with newer rows, so nothing flickers; a chart that one answer has not comes and goes."""
    opened(page)
    page.evaluate("() => { document.querySelector('#chart-plan-rounds svg').dataset.mine = '1'; }")
    words = page.locator("#chart-plan-rounds .plot").inner_text()
    answered(page, lambda: page.locator("#f-mode").select_option("hierarchical"))
    settle(page)
    assert page.locator("#chart-plan-rounds .plot").inner_text() != words
    assert page.locator("#chart-plan-traffic-regional svg").count() == 1
    answered(page, lambda: page.locator("#f-mode").select_option("flat"))
    settle(page)
    assert page.locator("#chart-plan-traffic-regional").count() == 0
    with page.expect_download() as begun:
        page.locator('#chart-plan-rounds [data-take="csv"]').click()
    assert "inner steps" in Path(begun.value.path()).read_text("utf-8")


def test_tokens_and_days_give_way_to_each_other(page):
    opened(page)
    answered(page, lambda: page.locator("#f-duration_days").fill("60"))
    assert page.locator("#f-tokens").input_value() == ""
    assert float(page.locator("#f-tokens").get_attribute("placeholder")) > 1.1e12
    page.wait_for_function("() => location.search === '?duration_days=60'")
    answered(page, lambda: page.locator("#f-tokens").fill("2e12"))
    assert page.locator("#f-duration_days").input_value() == ""
    page.wait_for_function("() => location.search.startsWith('?tokens=2')")


def test_a_profile_says_what_blank_boxes_stand_for(page):
    opened(page)
    assert page.locator("#f-upload_mbps").get_attribute("placeholder") == "856"
    answered(page, lambda: page.locator("#f-profile").select_option("residential"))
    expect(page.locator("#f-upload_mbps")).to_have_attribute("placeholder", "21.6")
    inner = page.locator("#f-inner_steps").get_attribute("placeholder")
    answered(page, lambda: page.locator("#f-upload_mbps").fill("1000"))
    expect(page.locator("#f-inner_steps")).not_to_have_attribute("placeholder", inner)


def test_a_wrong_value_is_told_and_the_answer_stays(page, watch):
    watch.allow(422)
    opened(page)
    before = days(page)
    page.locator("#f-compression").fill("lots")
    expect(page.locator("#p-compression")).to_contain_text("expected a number", timeout=WAIT_MS)
    assert page.locator("#f-compression").get_attribute("aria-invalid") == "true"
    assert days(page) == before
    answered(page, lambda: page.locator("#f-compression").fill("146"))
    expect(page.locator("#p-compression")).to_have_text("", timeout=WAIT_MS)


def test_a_plan_that_cannot_run_says_why_and_the_form_stays(page):
    opened(page)
    answered(page, lambda: page.locator("#f-params").fill("1e13"))
    expect(page.locator("#answer .verdict")).to_contain_text("does not fit in the nodes' memory")
    expect(page.locator("#answer .card")).to_have_count(0)
    settle(page)
    assert page.locator("#chart-plan-memory svg").count() == 1
    answered(page, lambda: page.locator("#f-mode").select_option("pipeline"))
    answered(page, lambda: page.locator("#f-nodes").fill("3000"))
    expect(page.locator("#answer .card")).to_have_count(8)


def test_everything_opens_and_stays_open(page):
    opened(page)
    page.locator("#everything > summary").click()
    page.wait_for_selector("#everything-rows table", timeout=WAIT_MS)
    first = page.locator("#everything-rows button.number").first.inner_text()
    answered(page, lambda: page.locator("#f-nodes").fill("40"))
    page.wait_for_selector("#everything[open] table", timeout=WAIT_MS)
    assert page.locator("#everything-rows button.number").first.inner_text() != first
    page.locator("#everything-rows button.number").first.press("Enter")
    assert "rounds a day" in page.locator(".why:popover-open").inner_text()
    assert audit(page) == []


def test_the_file_taken_along_gives_the_same_numbers_and_opens_again(page, tmp_path):
    opened(page, "/plan?nodes=33&overlap=yes&profile=none&upload_mbps=250&download_mbps=250&latency_ms=40")
    with page.expect_download() as begun:
        page.locator("#answer a.button", has_text="plan.toml").click()
    assert begun.value.suggested_filename == "plan.toml"
    path = tmp_path / "plan.toml"
    path.write_bytes(Path(begun.value.path()).read_bytes())
    assert tomllib.loads(path.read_text("utf-8"))["plan"]["nodes"] == 33
    page.locator("#reproduce > summary").click()
    assert page.locator("#plan-file").inner_text().strip() == path.read_text("utf-8").strip()
    done = CliRunner().invoke(main, ["simulate", str(path), "--json", "-"])
    twin = page.request.get(page.locator("#answer a.button", has_text="JSON").get_attribute("href"))
    assert json.loads(done.stdout) == twin.json()
    shown = days(page)
    opened(page)
    page.locator("#file").set_input_files(path)
    page.get_by_role("button", name="Open", exact=True).click()
    page.wait_for_url("**nodes=33**")
    settle(page)
    assert days(page) == shown
    assert page.locator("#f-overlap").input_value() == "yes"


def test_a_wrong_file_is_told_and_nothing_is_lost(page, watch, tmp_path):
    watch.allow(422)
    opened(page)
    (tmp_path / "plan.toml").write_text("[plan]\nnodez = 3\n", "utf-8")
    page.locator("#file").set_input_files(tmp_path / "plan.toml")
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.locator("#p-file")).to_contain_text("did you mean nodes")
    settle(page)
    assert page.locator("#answer .card").count() == 8


def test_it_fits_a_telephone_whatever_the_mode(page):
    page.set_viewport_size({"width": 400, "height": 800})
    for address in (
        "mode=hierarchical&nodes=64",
        "mode=pipeline&nodes=200&chips_per_node=2",
        "params=1e13",
        "mode=datacenter",
    ):
        opened(page, f"/plan?{address}")
        open_all(page)
        settle(page)
        assert overflow(page) == [], address
