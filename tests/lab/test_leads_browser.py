"""The pages of leads in a real browser: a screening waited for, leads filtered, decisions and words saved, maps drawn."""

import re

import pytest
from tools import lab_running

from tests.lab.browsing import WAIT_MS, Watch, answered, audit, move, open_all, overflow, settle, told
from tests.lab.test_leads import hostile_store
from thresher.lab.settings import LabSettings
from thresher.records.decisions import decisions_of
from thresher.records.store import judgements_of

PATH = "/leads"
NARROW, WIDE = 400, 1600
SCREENING_MS = 4 * WAIT_MS
"""How long a screening may take on a machine that others use, too."""


@pytest.fixture
def opened(page):
    """Open one of the pages and wait until its screening is there and all is drawn."""

    def opened(path: str = ""):
        page.goto(f"{PATH}{path}")
        page.locator("table.leads, #decision, form.judging").first.wait_for(timeout=SCREENING_MS)
        settle(page)
        return page

    return opened


def rows_of(page) -> int:
    return page.locator("table.leads tbody tr").count()


def test_a_screening_tells_how_far_it_is_and_is_replaced_by_its_leads(page):
    page.goto(f"{PATH}?look_back=364")
    page.locator(".pending", has_text=re.compile("Step [1-8] of 8: ")).wait_for(timeout=SCREENING_MS)
    page.locator("table.leads").wait_for(timeout=SCREENING_MS)
    settle(page)
    assert page.locator("progress").count() == 0
    assert rows_of(page) > 10


def test_a_newer_choice_ends_the_wait_for_the_older(page):
    page.goto(f"{PATH}?look_back=363")
    page.locator("#f-look_back").fill("364")
    page.locator("#f-look_back").blur()
    page.wait_for_url("**look_back=364**")
    page.locator("table.leads").wait_for(timeout=SCREENING_MS)
    settle(page)
    assert "364 days looked back" in page.locator("#answer .verdict").inner_text()


def test_the_prior_moves_probabilities_at_once_and_filters_choose(opened):
    page = opened()
    before, all_rows = page.locator("button.number").first.inner_text(), rows_of(page)
    move(page, "prior", 0.02)
    assert page.locator("button.number").first.inner_text() != before
    assert "prior=" in page.url
    answered(page, lambda: page.locator("#f-text").fill("P-0001"))
    settle(page)
    assert 0 < rows_of(page) < all_rows
    page.go_back()
    page.wait_for_function("() => !document.querySelector('#f-text').value")
    settle(page)
    assert rows_of(page) == all_rows


def test_a_wrong_value_is_told_and_the_list_stays(opened):
    page = opened()
    page.locator("#f-as_of").fill("yesterday")
    page.locator("#f-as_of").blur()
    told(page, "#p-as_of", "a day, as 2026-06-30")
    assert page.locator("#f-as_of").input_value() == "yesterday"
    assert rows_of(page) > 10


def test_a_probability_opens_to_the_sum_behind_it(opened):
    page = opened()
    page.locator("button.number").first.click()
    shown = page.locator(".why:popover-open").inner_text()
    assert "prior" in shown and "log10 odds" in shown
    assert audit(page) == []


def test_a_row_leads_to_the_dossier_and_back(opened):
    page = opened("?least=50")
    name = page.locator("table.leads th a").first.inner_text()
    page.locator("table.leads th a").first.press("Enter")
    page.locator("#decision").wait_for()
    settle(page)
    assert page.locator("h1").inner_text() == name
    page.get_by_role("link", name="All leads").first.click()
    page.wait_for_url(f"**{PATH}?least=50")


def test_the_map_has_countries_and_sites_and_links_of_marks_lead_into_the_dossier(opened):
    page = opened("/1")
    paths = page.locator('#chart-lead-1-map g.mark-shape path[d*="L"]')
    assert paths.count() > 3
    sites = page.locator("#chart-lead-1-map .mark-symbol.role-mark path")
    assert sites.count() >= 2
    sites.last.click(force=True)
    page.wait_for_function("() => location.hash.length > 1")
    assert page.evaluate("() => Boolean(document.getElementById(location.hash.slice(1)))")


@pytest.mark.parametrize("path", ["/1", "/pairs"])
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_it_fits_its_window_and_is_accessible(opened, page, path, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if width == WIDE else "light")
    opened(path)
    assert overflow(page) == []
    open_all(page)
    page.wait_for_timeout(300)
    assert overflow(page) == []
    assert audit(page) == []
    assert page.locator("h1").count() == 1


def test_a_decision_is_made_refused_saved_and_withdrawn_by_keyboard(opened, store):
    page = opened("/2")
    page.locator("#d-note").fill("two halls")
    page.locator("#d-dismiss").focus()
    page.keyboard.press("Space")
    page.locator("#d-save").press("Enter")
    told(page, "#p-decider", "a name that is not blank")
    assert page.locator("#d-note").input_value() == "two halls"
    assert page.locator("#d-dismiss").is_checked()
    page.locator("#d-reviewer").fill("Ada")
    page.locator("#d-save").press("Enter")
    told(page, ".saved", "Saved: dismiss.")
    assert [(one.decision, one.note) for one in decisions_of(store)] == [("dismiss", "two halls")]
    assert page.url.endswith("/2?reviewer=Ada")
    assert page.get_by_role("link", name="All leads").first.get_attribute("href") == f"{PATH}?reviewer=Ada"
    page.reload()
    settle(page)
    assert page.locator(".history li").first.inner_text().startswith("dismiss")
    page.get_by_role("link", name="All leads").first.click()
    settle(page)
    assert "dismiss" in page.locator("table.leads tbody tr").nth(1).inner_text()
    page.go_back()
    settle(page)
    page.locator("#d-undo").press("Enter")
    told(page, ".saved", "Withdrawn.")
    assert decisions_of(store) == []


def test_a_word_on_a_pair_is_saved_and_withdrawn_by_keyboard(opened, store):
    page = opened("/pairs")
    yes, undo = page.locator(".pairs button[id$=-yes]").first, page.locator(".pairs button[id$=-undo]").first
    yes.press("Enter")
    told(page, "#p-judge", "a name that is not blank")
    page.locator("#j-reviewer").fill("Ada")
    yes.press("Enter")
    told(page, ".saved", "Saved: one.")
    assert [one["verdict"] for one in judgements_of(store)] == ["yes"]
    assert yes.get_attribute("aria-pressed") == "true"
    assert page.evaluate("() => document.activeElement.id.endsWith('-yes')")
    assert page.locator("form.again", has_text="1 pair of mentions was judged").count() == 1
    undo.press("Enter")
    told(page, ".saved", "Withdrawn.")
    assert judgements_of(store) == []
    assert page.locator("form.again").count() == 0


def test_without_script_the_leads_are_waited_for_and_decided(opened, browser, lab):
    opened()
    context = browser.new_context(base_url=lab, java_script_enabled=False)
    context.set_default_timeout(SCREENING_MS)
    plain = context.new_page()
    plain.goto(f"{PATH}?look_back=362")
    plain.get_by_role("button", name="Wait for it").click()
    plain.locator("table.leads").wait_for()
    plain.goto(f"{PATH}/3")
    plain.locator("#d-save").click()
    assert "expected a name that is not blank" in plain.locator("#p-decider").inner_text()
    context.close()


def test_hostile_records_are_shown_as_text(browser, tmp_path):
    with lab_running.lab_in_thread(LabSettings(port=0, stores=(hostile_store(tmp_path),))) as url:
        context, watch = browser.new_context(base_url=url), Watch(url)
        watch.attach(context)
        page = context.new_page()
        page.on("dialog", lambda dialog: watch.problems.append(f"dialog: {dialog.message}"))
        for path in ("", "/1", "/pairs"):
            page.goto(f"{PATH}{path}")
            page.locator("table.leads, #decision, form.judging").first.wait_for(timeout=SCREENING_MS)
            settle(page)
            open_all(page)
            page.wait_for_timeout(200)
            assert "alert(1)" in page.locator("#answer").inner_text()
            assert page.locator("#answer script, #answer img, .plot script, .plot img").count() == 0
        context.close()
    assert watch.problems == []
