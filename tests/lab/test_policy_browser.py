"""The policy page in a browser: a moved slider, its intervals, its address, a wrong value, two rules, a number opened."""

from playwright.sync_api import expect

from tests.lab.browsing import WAIT_MS, answered, settle, slider_of


def figure(page):
    return page.locator("#answer table td button.number").first.inner_text()


def test_a_moved_slider_changes_the_answer_and_intervals_follow(page):
    page.goto("/policy?targets=1e25")
    settle(page)
    before = figure(page)
    slider = slider_of(page, "compute")
    slider.focus()
    answered(page, lambda: page.keyboard.press("Home"), "central")
    assert figure(page) != before
    assert "compute=0.5" in page.url
    page.wait_for_selector('#answer [data-answer="intervals"]', timeout=WAIT_MS)
    assert "median" in page.locator("#answer table").first.inner_text()
    assert page.locator("#chart-asurvival svg").count() == 1
    assert slider.get_attribute("aria-valuetext") == "0.5 H100-equivalents"


def test_the_address_brings_the_page_back(page):
    page.goto("/policy?targets=1e25&compute=4&memory=320&actor=lab")
    settle(page)
    shown, state = figure(page), page.locator("#f-actor").input_value()
    page.locator("#f-actor").select_option("major-state")
    page.wait_for_url("**actor=major-state**")
    page.go_back()
    settle(page)
    assert "actor=lab" in page.url and page.locator("#f-actor").input_value() == state == "lab"
    assert figure(page) == shown and page.locator("#f-memory").input_value() == "320"


def test_a_wrong_value_is_told_and_the_answer_stays(page):
    page.goto("/policy?targets=1e24")
    settle(page)
    before = figure(page)
    page.locator("#f-memory").fill("lots")
    expect(page.locator("#p-memory")).to_contain_text("expected a number", timeout=WAIT_MS)
    assert page.locator("#f-memory").get_attribute("aria-invalid") == "true"
    assert figure(page) == before
    answered(page, lambda: page.locator("#f-memory").fill("640"))
    expect(page.locator("#p-memory")).to_have_text("", timeout=WAIT_MS)
    expect(page.locator("#f-memory")).not_to_have_attribute("aria-invalid", "true")


def test_a_number_opens_and_closes_by_keyboard(page):
    page.goto("/policy?targets=1e24")
    settle(page)
    number = page.locator("#answer button.number").first
    number.focus()
    page.keyboard.press("Enter")
    why = page.locator(f"#{number.get_attribute('popovertarget')}")
    assert why.is_visible() and "chips" in why.inner_text() and "Sources" in why.inner_text()
    page.keyboard.press("Escape")
    assert not why.is_visible()


def test_another_rule_beside_it(page):
    page.goto("/policy?targets=1e24")
    settle(page)
    page.get_by_text("Beside it", exact=True).click()
    answered(page, lambda: page.locator("#f-against").select_option("miri-2026-memory"))
    assert page.locator("#answer article").count() == 2
    assert "against=miri-2026-memory" in page.url
    answered(page, lambda: page.locator("#f-compute_2").fill("2"))
    expect(page.locator("#answer article").last).to_contain_text("with compute 2")
    page.locator("#f-against").select_option("")
    expect(page.locator("#f-compute_2")).to_have_count(0)


def test_the_regime_says_what_blank_boxes_stand_for(page):
    page.goto("/policy?targets=1e24")
    settle(page)
    assert page.locator("#f-memory").get_attribute("placeholder") == "none"
    answered(page, lambda: page.locator("#f-regime").select_option("miri-2026-memory"))
    expect(page.locator("#f-memory")).to_have_attribute("placeholder", "1280")
    answered(page, lambda: page.locator("#f-regime").select_option("eu-ai-act"))
    expect(page.locator("#f-bandwidth")).to_be_disabled()
