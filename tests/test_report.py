"""The report and the terminal table: self-contained, honest about what is out of reach, and in the same words."""

import dataclasses
import io
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from rich.console import Console

from thresher.assessment import wording
from thresher.assessment.assess import assess
from thresher.assessment.charts import charts
from thresher.assessment.page import cite
from thresher.assessment.report import html_report
from thresher.assessment.table import print_assessment

FEW = ["A100-SXM-80GB", "MI355X"]
HOSTILE = '<script>alert("x")</script> & $a$ [bold]\' onload="y"'
VOID = {"meta", "br", "link", "img", "hr", "input"}


@pytest.fixture(scope="module")
def answered():
    return assess("miri-2025", chips=FEW, budgets=(5e7,), draws=None)


@pytest.fixture(scope="module")
def page(answered):
    return html_report(answered)


@pytest.fixture(scope="module")
def unbounded():
    return assess("eu-ai-act", chips=FEW, targets=(1e24,), draws=None)


class Page(HTMLParser):
    """Collects tags and text, and checks that every element is closed where it should be."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())


def printed(assessment, width=100):
    out = io.StringIO()
    print_assessment(assessment, Console(file=out, width=width, force_terminal=False))
    return out.getvalue()


def unreachable(answered):
    lost = dataclasses.replace(
        answered.answers[0], plan=None, why_not="more nodes cost more <learning> than they add", by_mode={}, clauses=(),
        run_status=(), capability=None, cost=None,
    )  # fmt: skip
    return dataclasses.replace(answered, answers=(lost,))


def test_the_page_fetches_nothing(page):
    parsed = Page(page)
    assert not parsed.open
    assert {tag for tag, _ in parsed.tags}.isdisjoint({"script", "link", "img", "iframe", "object", "base", "form"})
    for tag, attributes in parsed.tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in {"src", "href", "xlink:href", "srcset", "action", "data"} and tag != "a":
                assert value.startswith("#"), (tag, name, value)
            if tag == "a" and name == "href":
                assert re.match(r"#|https?://", value)
    assert "@import" not in page
    assert not re.search(r"url\(\s*['\"]?(?!#)", page)
    assert "default-src 'none'" in page
    assert len(page.encode()) < 400_000


def test_the_page_is_accessible(page):
    parsed = Page(page)
    assert ("html", {"lang": "en"}) in parsed.tags
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [a["href"][1:] for tag, a in parsed.tags if tag == "a" and a["href"].startswith("#")]
    assert set(targets) <= set(ids)
    assert all("scope" in attributes for tag, attributes in parsed.tags if tag == "th")
    assert [tag for tag, _ in parsed.tags].count("h1") == 1


def test_the_page_says_what_each_target_takes(answered, page):
    text = Page(page).text
    for answer in answered.answers:
        assert answer.plan is not None
        for name, value in wording.rows(answer):
            assert value in text, name
        assert wording.hardware(answer.plan) in text
        assert answer.nearest_clause.id in text
        assert wording.percent(answer.nearest_clause.share) in text
        for item in answer.plan.horizon:
            assert wording.evidence(item) in text
    for sentence in wording.headline(answered):
        assert sentence in text


def test_the_three_accounts_are_kept_apart(answered, page):
    text = Page(page).text
    for answer in answered.answers:
        outcome = answer.plan.outcome
        for account in ("flop", "flop_local", "flop_quality"):
            assert wording.flop(outcome[account]) in text
        assert all(line in text for line in wording.legal_lines(answered.regime, answer))


def test_parameters_come_with_value_range_and_source(page):
    from thresher.simulation import default

    text = Page(page).text
    for row in default.quantities().values():
        assert row.name in text
        assert " ".join(row.source.title.split()) in text
        assert f"{row.value:.6g}" in text


def test_the_terminal_says_the_same_dollars(answered, page):
    text = Page(page).text
    terminal = printed(answered)
    dollars = set(re.findall(r"\$[\d.,]+ (?:million|billion)", terminal))
    assert {wording.dollars(answer.plan.outcome["cost_usd"]) for answer in answered.answers} <= dollars
    assert all(amount in text for amount in dollars)


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_terminal_fits_and_loses_nothing(answered, width):
    terminal = printed(answered, width)
    assert max(map(len, terminal.splitlines())) <= width
    assert "…" not in terminal
    assert "\x1b" not in terminal
    flat = "".join(terminal.split())
    for answer in answered.answers:
        assert "".join(wording.dollars(answer.plan.outcome["cost_usd"]).split()) in flat
        assert wording.flop(answer.plan.outcome["flop_quality"]) in flat


def test_the_same_assessment_gives_the_same_page(answered, page):
    assert html_report(answered) == page


def test_a_target_out_of_reach_says_why(answered):
    lost = unreachable(answered)
    parsed = Page(html_report(lost))
    assert "out of reach" in parsed.text
    assert "more nodes cost more <learning> than they add" in parsed.text
    assert "learning" not in {tag for tag, _ in parsed.tags}
    assert wording.headline(lost)[0].startswith("Not as far as this search went.")
    terminal = " ".join(printed(lost).split())
    assert "out of reach" in terminal
    assert "more nodes cost more <learning> than they add" in terminal


def test_a_target_without_a_declared_way(answered):
    alone = dataclasses.replace(answered.answers[0], declared=None)
    text = Page(html_report(dataclasses.replace(answered, answers=(alone,)))).text
    assert "No declared datacentre of the search reaches the same." in text
    assert "nan" not in text.lower().split()


def test_no_goal_at_all(answered):
    empty = dataclasses.replace(answered, answers=())
    assert "No target and no budget" in Page(html_report(empty)).text
    assert "No target and no budget" in printed(empty)


def test_without_a_clause_on_hardware_the_page_says_so(unbounded):
    parsed = Page(html_report(unbounded))
    assert wording.no_cluster_clause() in parsed.text
    assert "no clause on hardware" in parsed.text
    assert "Yes, on central values" not in parsed.text
    assert "chart-margins" not in {chart.name for chart in charts(unbounded)}
    assert "No clause of this rule looks at hardware" in " ".join(printed(unbounded).split())


def test_the_page_says_what_a_memory_limit_does_not_bound(answered, page):
    text = Page(page).text
    assert "A limit on the memory of a node therefore does not bound the size of the model" in text
    split = [answer for answer in answered.answers if wording.is_split(answer.plan)]
    assert split
    assert all(f"no node holds the model; {answer.plan.outcome['stages']:.0f} nodes" in text for answer in split)


def test_hostile_titles_are_text(answered):
    regime = dataclasses.replace(answered.regime, title=HOSTILE, source_address=f"https://a.example/{HOSTILE}")
    hostile = dataclasses.replace(answered, regime=regime)
    parsed = Page(html_report(hostile))
    assert "script" not in {tag for tag, _ in parsed.tags}
    assert not any(name.startswith("on") for _, attributes in parsed.tags for name in attributes)
    assert " ".join(HOSTILE.split()) in parsed.text
    assert " ".join(HOSTILE.split()) in " ".join(printed(hostile).split())


def test_links_are_made_of_addresses_only():
    linked = str(cite('see arXiv 2605.29359, <b> and https://x.example/a?b=1&c="2".'))
    assert '<a href="https://arxiv.org/abs/2605.29359">arXiv 2605.29359</a>' in linked
    assert '<a href="https://x.example/a?b=1&amp;c=">' in linked
    assert "<b>" not in linked
    assert "javascript" not in re.findall(r'href="([^"]*)"', str(cite("javascript:alert(1)")))


def test_charts_are_valid_and_titled(answered):
    drawn = charts(answered)
    assert [chart.name for chart in drawn] == ["chart-cost", "chart-parts", "chart-evidence", "chart-margins"]
    for chart in drawn:
        root = ElementTree.fromstring(chart.svg)
        assert root.get("role") == "img"
        assert root.get("aria-label") == chart.title
        assert root[0].text == chart.title
        assert chart.caption.endswith(".")
        shown = " ".join("".join(element.itertext()) for element in root.iter() if element.tag.endswith("text"))
        assert len(shown) > 40  # text stays text
        assert {"nan", "inf"}.isdisjoint(re.findall(r"\b(?:nan|inf)\b", chart.svg))
    costs = drawn[0].svg
    assert all(
        wording.dollars(answer.plan.outcome["cost_usd"]) in costs
        for answer in answered.answers
        if answer.target_flop_quality
    )


def test_charts_leave_the_settings_of_others_alone(answered):
    import matplotlib

    before = dict(matplotlib.rcParams)
    charts(answered)
    assert dict(matplotlib.rcParams) == before


def test_charts_of_nothing(answered):
    assert {chart.name for chart in charts(unreachable(answered))} == {"chart-cost"}
    assert charts(dataclasses.replace(unreachable(answered), curves=())) == ()


@pytest.mark.parametrize(
    ("words", "value", "text"),
    [
        (wording.dollars, 55_863_649.4, "$55.9 million"),
        (wording.dollars, 999_960_000, "$1.00 billion"),
        (wording.dollars, 1_308_880_857, "$1.31 billion"),
        (wording.dollars, 370_000, "$370,000"),
        (wording.dollars, float("nan"), "–"),
        (wording.dollars, float("inf"), "–"),
        (wording.round_dollars, 5e7, "$50 million"),
        (wording.round_dollars, 1.25e9, "$1.25 billion"),
        (wording.round_dollars, 1e8, "$100 million"),
        (wording.flop, 1e25, "1.0e25"),
        (wording.flop, float("nan"), "–"),
        (wording.round_flop, 1e25, "1e25"),
        (wording.number, 337.3e9, "337 billion"),
        (wording.number, 1.0e15, "1,000 trillion"),
        (wording.number, 2620, "2,620"),
        (wording.number, 0.0798707, "0.0799"),
        (wording.number, 0, "0"),
        (wording.percent, 0.9904, "99.0%"),
        (wording.percent, 1.0, "100%"),
        (wording.percent, 0.5, "50%"),
        (wording.percent, 0.004994, "0.5%"),
        (wording.times, 2.5067, "2.5 times"),
        (wording.times, 1.0, "1.0 times"),
        (wording.times, 0.9013, "0.9 times"),
        (wording.times, 10.4, "10 times"),
        (wording.times, float("nan"), "–"),
        (wording.power, 0.0967, "96.7 kW"),
        (wording.power, 34.56, "34.6 MW"),
    ],
)
def test_numbers_read_well(words, value, text):
    assert words(value) == text


def test_counts_agree_with_their_noun():
    assert wording.many(1, "node") == "1 node"
    assert wording.many(2225, "node") == "2,225 nodes"
