"""The pages about the model in the browser: choosing, going back, placing a plan, finding a number; every width, both themes."""

import csv
import io
import json

import pytest
from playwright.sync_api import expect

from tests.lab.browsing import WAIT_MS, answered, audit, open_all, overflow, settle
from thresher.validation import validate
from thresher.validation.standing import key_of

PLACED = "/model?params=7e11&replicas=300"


def place_shown(page, words):
    page.wait_for_function(
        "(words) => document.getElementById('evidence').textContent.includes(words)", arg=words, timeout=WAIT_MS
    )


@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", [PLACED, "/model/parameters?find=mfu"])
def test_nothing_is_cut_and_nobody_is_shut_out(page, width, scheme, path):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto(path)
    settle(page)
    assert overflow(page) == []
    open_all(page)
    assert overflow(page) == []
    assert audit(page) == []


def test_every_chart_is_drawn_with_what_it_holds(page):
    page.goto("/model")
    settle(page)
    assert page.locator("figure.chart").count() == 5
    assert page.locator("figure.chart .plot svg").count() == 5
    for figure in page.locator("figure.chart").all():
        rows = len(json.loads(figure.locator("template.data").evaluate("(one) => one.content.textContent"))["rows"])
        assert figure.locator("[role='graphics-symbol']").count() >= min(rows, 10)


def test_another_comparison_is_one_choice_and_the_way_back_leads_to_the_first(page):
    page.goto("/model")
    settle(page)
    answered(page, lambda: page.select_option("#f-table", "real_runs.sync_seconds"))
    settle(page)
    assert page.url.endswith("/model?table=real_runs.sync_seconds")
    assert page.locator("#answer h3").first.inner_text() == "Synchronisations of INTELLECT-1"
    page.go_back()
    page.wait_for_function(
        "() => document.querySelector('#answer [data-for]')?.dataset.for === 'measured_utilisation.utilisation'"
    )
    settle(page)
    assert page.locator("#f-table").input_value() == "measured_utilisation.utilisation"


def test_every_comparison_can_be_drawn(page):
    page.goto("/model")
    settle(page)
    for one in validate()[1:]:
        key = key_of(one)
        answered(page, lambda key=key: page.select_option("#f-table", key))
        settle(page)
        assert page.locator("#answer .plot svg").count() == 2, key
        assert page.locator("#answer [data-for]").get_attribute("data-for") == key


def test_a_plan_s_place_is_marked_told_and_kept_when_the_comparison_changes(page):
    page.goto("/model")
    settle(page)
    page.fill("#f-params", "7e11")
    place_shown(page, "needs both")
    page.fill("#f-replicas", "300")
    place_shown(page, "15 times beyond the evidence")
    settle(page)
    assert page.locator("#chart-model-evidence svg text", has_text="the plan").count() == 1
    assert "params=7e11&replicas=300" in page.url
    answered(page, lambda: page.select_option("#f-table", "published_mfu.mfu"))
    assert page.url.endswith("/model?table=published_mfu.mfu&params=7e11&replicas=300")
    page.reload()
    settle(page)
    assert page.locator("#f-params").input_value() == "7e11"
    assert "15 times beyond" in page.locator("#evidence").inner_text()


def test_a_wrong_value_is_told_beside_the_field_and_the_answer_stays(page, watch):
    watch.allow(422)
    page.goto(PLACED)
    settle(page)
    page.fill("#f-replicas", "-3")
    page.wait_for_function("() => document.getElementById('p-replicas').textContent.includes('expected')")
    assert page.locator("#f-replicas").get_attribute("aria-invalid") == "true"
    assert "15 times beyond" in page.locator("#evidence").inner_text()
    page.fill("#f-replicas", "8")
    place_shown(page, "8 here")
    expect(page.locator("#p-replicas")).to_have_text("", timeout=WAIT_MS)


def test_a_number_opens_to_the_rows_behind_it_by_keyboard(page):
    page.goto("/model")
    settle(page)
    number = page.locator("#errors button.number").first
    number.focus()
    page.keyboard.press("Enter")
    opened = page.locator("#errors [popover]:popover-open")
    assert "furthest off" in opened.inner_text() and "Sources" in opened.inner_text()
    page.keyboard.press("Escape")
    assert page.locator("[popover]:popover-open").count() == 0


def test_a_weakness_leads_to_its_number(page):
    page.goto("/model")
    settle(page)
    page.locator("#weak-model a", has_text="coordination_round_trips").click()
    page.wait_for_url("**/model/parameters#parameter-coordination_round_trips")
    settle(page)
    target = page.locator(".parameter:target")
    assert target.locator("code").first.inner_text() == "coordination_round_trips"
    assert target.evaluate("(one) => one.getBoundingClientRect().top") < 900
    assert "ft-diloco" in target.inner_text()


def test_words_find_numbers_and_stand_in_the_address(page):
    page.goto("/model/parameters")
    settle(page)
    everything = page.locator("article.parameter").count()
    answered(page, lambda: page.fill("#f-find", "coordination"))
    found = page.locator("article.parameter").count()
    assert 0 < found < everything and page.url.endswith("?find=coordination")
    answered(page, lambda: page.select_option("#f-how", "judgement"))
    assert 0 < page.locator("article.parameter").count() < found
    assert page.url.endswith("?find=coordination&how=judgement")
    assert page.locator("#f-find").input_value() == "coordination"


@pytest.mark.parametrize("form", ["svg", "png", "csv"])
def test_a_chart_can_be_taken_along(page, form):
    page.goto("/model?table=real_runs.sync_seconds")
    settle(page)
    figure = page.locator("#answer figure.chart").first
    with page.expect_download() as taken:
        figure.locator(f"[data-take={form}]").click()
    assert taken.value.suggested_filename == f"model-scatter-real_runs.sync_seconds.{form}"
    content = taken.value.path().read_bytes()
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(content.decode())))
        assert len(rows) == 6 and {row["by"] for row in rows} == {"Thresher", "published calculator"}
        assert {"row", "measured", "predicted", "source"} <= rows[0].keys()
    else:
        assert content.startswith(b"<svg" if form == "svg" else b"\x89PNG") and len(content) > 2000


def test_the_page_is_there_without_script(browser, lab):
    context = browser.new_context(base_url=lab, java_script_enabled=False)
    page = context.new_page()
    page.goto(PLACED)
    page.select_option("#f-table", "real_runs.mfu")
    page.locator("#controls button.main").click()
    assert "table=real_runs.mfu" in page.url and "params=7e11" in page.url
    assert "15 times beyond" in page.locator("#evidence").inner_text()
    context.close()
