"""What a reviewer's page shows: dossiers without a page around them, rows for charts, pairs; and the store closed again."""

import dataclasses
import json
import re
from types import SimpleNamespace

import pytest

import thresher
from tests.test_dossiers import (
    AS_OF,
    HOSTILE,
    SCREENED,
    Page,
    engine_about,
    hostile,
    lead_about,
)
from tests.test_screen import by_hand
from thresher.errors import InputError
from thresher.records.decisions import decisions_of, histories_of, history_of
from thresher.records.store import judgements_of
from thresher.screening.dossiers import text
from thresher.screening.dossiers.drawn import events_of, ownership_of, sites_of, sum_of
from thresher.screening.dossiers.fragment import dossier_fragment, fragment_css
from thresher.screening.dossiers.page import dossiers_of, lead_page
from thresher.screening.dossiers.rows import CitedRow
from thresher.screening.review import screen_for_review, with_decisions, with_prior
from thresher.screening.verbs import pairs_for_review

LIST = '/leads?regime="x"&top=50'


@pytest.fixture(scope="module")
def dossier():
    return dossiers_of(engine_about(), [lead_about()], AS_OF)[0]


def test_a_fragment_has_the_contents_of_the_page_and_no_page_around_them(dossier):
    inside, page = Page(dossier_fragment(dossier, SCREENED, 3, list_href=LIST)), Page(lead_page(dossier, SCREENED, 3))
    assert inside.tags[0] == ("article", {"class": "dossier"})
    assert {tag for tag, _ in inside.tags}.isdisjoint({"html", "head", "body", "style", "script", "link", "main"})
    assert inside.links[0] == LIST
    assert inside.links[1:] == page.links[2:]
    assert set(inside.ids) == set(page.ids) - {"main"}
    assert {link[1:] for link in inside.links[1:]} <= set(inside.ids)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_fragment_passes_a_strict_policy_whatever_the_records_say(name):
    words = hostile(name)
    found = dossiers_of(engine_about(words), [lead_about(words)], AS_OF)[0]
    parsed = Page(dossier_fragment(found, SCREENED, 1, list_href="/leads"))
    assert {tag for tag, _ in parsed.tags}.isdisjoint({"script", "style", "img", "iframe", "form", "link", "base"})
    for _, attributes in parsed.tags:
        assert not any(one.startswith("on") or one in {"style", "src", "srcset", "action"} for one in attributes)
    assert all(re.fullmatch(r"#[\w-]+|/leads", link) for link in parsed.links)
    assert " ".join(text.visible(name).split()) in parsed.text
    for rows in (sites_of(found), events_of(found), *ownership_of(found).values(), sum_of(found)):
        said = json.dumps(rows, allow_nan=False, ensure_ascii=False)
        assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", said)
        assert all(len(value) < 8 * 200 for row in rows for value in row.values() if isinstance(value, str))


def test_the_style_applies_within_a_fragment_alone():
    css = fragment_css()
    assert css.startswith(".dossier {") and css.count("{") == css.count("}")
    assert not re.search(r"(?<![\w-])(?::root|html|body|main|@page|@import)\b", css)
    assert "--paper: #fff" in css and "prefers-color-scheme: dark" in css
    plain = fragment_css(colours=False)
    assert "--paper:" not in plain and "var(--paper)" in plain and plain.count("{") == plain.count("}")
    assert set(re.findall(r"var\((--\w+)\)", plain)) <= set(re.findall(r"(--\w+):", css))


def placed_at(dossier, latitude, longitude):
    """The dossier with another place for its first site."""
    (row,) = dossier.groups["site", "S-1"].cited.rows
    cells = {"site": "S-1"} | {name: one for name, one in (("latitude", latitude), ("longitude", longitude)) if one}
    rows = {**dossier.rows, row: CitedRow("sites", row[1], None, None, None, cells)}
    return {one["site"]: one for one in sites_of(dataclasses.replace(dossier, rows=rows))}["S-1"]


@pytest.mark.parametrize(("latitude", "longitude"), [("52.53", "13.38"), ("-90", "180"), ("0", "-180.0")])
def test_a_site_in_range_has_a_place(dossier, latitude, longitude):
    one = placed_at(dossier, latitude, longitude)
    assert (one["placed"], one["latitude"], one["longitude"]) == (True, float(latitude), float(longitude))
    assert (one["chips"], one["types"], one["why_not"]) == (12, ["H100-SXM"], None)


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        (None, None),
        ("52", None),
        ("90.1", "0"),
        ("0", "-180.1"),
        ("nan", "0"),
        ("inf", "0"),
        ("x", "0"),
        ("1e999", "1"),
    ],
)
def test_a_site_without_a_place_is_listed_and_not_placed(dossier, latitude, longitude):
    one = placed_at(dossier, latitude, longitude)
    assert (one["placed"], one["latitude"], one["longitude"]) == (False, None, None)
    assert one["chips"] == 12 and "no place on the globe" in one["why_not"]


def test_chips_whose_site_is_not_known_or_not_registered_are_listed():
    lead = lead_about()
    first, second = lead.holdings
    lead = dataclasses.replace(lead, holdings=(first | {"site": None}, second | {"site": "S-unheard-of"}))
    sites = {one["site"]: one for one in sites_of(dossiers_of(engine_about(), [lead], AS_OF)[0])}
    assert "no record says" in sites[None]["why_not"] and sites[None]["anchor"] is None
    assert "does not have it" in sites["S-unheard-of"]["why_not"]


def test_the_rows_of_charts_agree_with_the_dossier(dossier):
    parsed = Page(dossier_fragment(dossier, SCREENED, 1))
    rows = sum_of(dossier)
    assert rows[-1]["after"] == pytest.approx(dossier.lead.log10_odds)
    assert rows[-1]["probability"] == pytest.approx(dossier.lead.probability)
    ownership = ownership_of(dossier)
    assert all({one["owner"], one["owned"]} <= set(range(len(ownership["nodes"]))) for one in ownership["links"])
    anchors = [one["anchor"] for one in (*rows, *events_of(dossier), *ownership["links"], *sites_of(dossier))]
    assert {one for one in anchors if one} <= set(parsed.ids)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two spellings over the line, and two names that may or may not be one."""
    return by_hand(tmp_path_factory.mktemp("review"))


def test_one_screening_gives_what_the_pages_need(store):
    told = []
    found = screen_for_review(store, progress=told.append)
    assert told[0].startswith("resolve") and told[-1].startswith("charts")
    assert found.result.as_json() == thresher.screen(store, top=50).as_json()
    assert [one.lead.rank for one in found.leads] == [1]
    assert {one["site"]: one["chips"] for one in found.lead(1).sites} == {"S1": 12, "S2": 12}
    assert "Müller Rechenzentrum GmbH" in Page(found.fragment(1, list_href="/leads")).text
    for rank in (0, 2, -1):
        with pytest.raises(InputError, match="a number from 1 to 1"):
            found.lead(rank)


def test_a_decision_can_be_written_at_once_and_shown_without_screening_again(store):
    found = screen_for_review(store)
    made = thresher.decide(store, found.leads[0].lead.owner, "follow-up", reviewer="Ada")
    after = with_decisions(found, decisions_of(store))
    assert after.leads[0].decision == made
    assert after.result.as_json() == thresher.screen(store, top=50).as_json()
    thresher.decide(store, made.owner, "undo", reviewer="Ada")
    assert with_decisions(after, decisions_of(store)) == found
    assert histories_of(store, made.regime) == {made.owner: history_of(store, made.owner, made.regime)}
    assert histories_of(store, "another") == {}


def test_another_prior_gives_what_a_screening_with_it_gives(store):
    found, other = screen_for_review(store), screen_for_review(store, prior_share=0.2)
    moved = with_prior(found, 0.2)
    assert moved == other
    assert moved.result.as_json() == other.result.as_json()
    assert moved.leads[0].lead.probability > found.leads[0].lead.probability
    assert with_prior(moved, found.prior_share) == found
    for share in (0.0, 1.0, -0.1, float("nan")):
        with pytest.raises(InputError, match="a share between 0 and 1"):
            with_prior(found, share)


@pytest.mark.parametrize("step", ["resolve", "leads", "dossiers", "charts"])
def test_what_the_progress_raises_ends_it_and_closes_the_store(store, step):
    def cancel(message):
        if message.startswith(step):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        screen_for_review(store, progress=cancel)
    thresher.decide(store, "P1", "dismiss", reviewer="Ada")
    thresher.decide(store, "P1", "undo", reviewer="Ada")


def test_a_screening_without_leads_has_none_to_show(tmp_path):
    few = [("serial", "event", "at", "from_party", "to_party", "site"), ("V0", "install", "2026-01-10", "", "P3", "S3")]
    found = screen_for_review(by_hand(tmp_path, custody=few))
    assert found.leads == ()
    with pytest.raises(InputError, match="no lead"):
        found.lead(1)


def test_the_pairs_are_those_of_resolve_and_can_be_judged_at_once(tmp_path):
    doubtful = [
        ("party", "name", "kind", "country", "address"),
        *((f"P{at}", name, "company", "DE", address) for at, (name, address) in enumerate((
            ("Müller Rechenzentrum GmbH", "Hauptstr. 5, 10115 Berlin"),
            ("Müller Rechenzentren Süd GmbH", "Hauptstr. 5, 10115 Berlin"),
            ("Mueller Rechencenter", ""),
            ("Adler Logistik AG", "Hauptstr. 5, 10115 Berlin"),
        ), start=1)),
    ]  # fmt: skip
    store = by_hand(tmp_path, parties=doubtful)
    every = thresher.resolve(store).outcomes["for_review"]
    assert every
    assert pairs_for_review(store, most=1) == every[:1]
    found = screen_for_review(store, pairs=len(every))
    assert found.pairs == every
    assert {"left_name", "right_name", "left_address", "right_country"} <= every[0].keys()
    thresher.judge(store, every[0]["left"], every[0]["right"], "no", reviewer="Ada")
    assert every[0] not in pairs_for_review(store)
    (kept,) = judgements_of(store)
    assert (kept["verdict"], kept["reviewer"], kept["note"]) == ("no", "Ada", "")
    assert {kept["left"], kept["right"]} == {every[0]["left"], every[0]["right"]}
    assert {kept["left_name"], kept["right_name"]} == {every[0]["left_name"], every[0]["right_name"]}
    thresher.judge(store, kept["left"], kept["right"], "undo", reviewer="Ada")
    assert judgements_of(store) == []


def test_a_fragment_of_anything_that_says_what_was_screened(dossier):
    other = SimpleNamespace(regime=SCREENED.regime, as_of=AS_OF, look_back_days=30, prior_share=0.5)
    assert "30 days before" in dossier_fragment(dossier, other, 1)
