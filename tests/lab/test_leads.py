"""The pages of leads as a server answers them: the same leads as the command, decisions kept, nothing of a record as markup."""

import csv
import hashlib
import io
import json
import re
import threading
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

import pytest
from click.testing import CliRunner
from starlette.datastructures import QueryParams
from starlette.testclient import TestClient

from tests.test_screen import by_hand
from thresher.cli import main
from thresher.errors import InputError
from thresher.lab.app import create_app
from thresher.lab.leads import asked as asking
from thresher.lab.leads import evidence as keeping
from thresher.lab.leads import reviewing
from thresher.lab.leads.asked import PATH, TOP, Asked, read
from thresher.lab.leads.dossier import view_of
from thresher.lab.leads.evidence import Evidence
from thresher.lab.settings import LabSettings
from thresher.records import decisions
from thresher.records.decisions import DECISIONS, add_decision, decisions_of, history_of
from thresher.records.store import create_store, judgements_of
from thresher.screening import decisions as deciding
from thresher.screening import review, screen

HOME = "http://127.0.0.1:8765"
OWN = {"Origin": HOME}
PARTS = {"HX-Request": "true"}
SCRIPT, IMAGE = "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'
RULE = screen.DEFAULT_REGIME


def hostile_store(folder: Path) -> Path:
    """An owner over the line whose every text is markup, and others who may be one."""
    serials = [f"SN{number}" for number in range(24)]
    place = "Hauptstr. 5, 10115 Berlin"
    return by_hand(
        folder,
        parties=[
            ("party", "name", "kind", "country", "address"),
            ("P1", SCRIPT, "company", "DE", IMAGE),
            ("P2", f"{IMAGE} Rechenzentrum GmbH", "company", "DE", place),
            ("P3", f"{IMAGE} Rechenzentren Süd GmbH", "company", "DE", place),
            ("P4", "=1+1", "company", "RU", "ул. Ленина 1, Москва"),
            ("P5", "Müller Rechenzentrum GmbH", "company", "DE", place),
            ("P6", "Müller Rechenzentren Süd GmbH", "company", "DE", place),
            ("P7", "Mueller Rechencenter", "company", "DE", ""),
        ],
        sites=[
            ("site", "operator", "address", "interconnect_gbit_s", "latitude", "longitude"),
            ("S1", "P1", "Hauptstr. 5, 10115 Berlin", 1, 52.5, 13.4),
            (SCRIPT, "P1", IMAGE, 1, 52.6, 13.5),
            ("S3", "P4", "ул. Ленина 1, Москва", 1, "", ""),
        ],
        chips=[("serial", "chip"), *((serial, "H100-SXM") for serial in serials), *((f"V{n}", "H100-SXM") for n in range(40))],
        custody=[
            ("serial", "event", "at", "from_party", "to_party", "site"),
            *((one, "install", "2026-01-10", "", "P1", ("S1", SCRIPT)[at % 2]) for at, one in enumerate(serials)),
            *((f"V{n}", "install", "2026-01-10", "", "P4", "S3") for n in range(40)),
        ],
    )  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return hostile_store(tmp_path_factory.mktemp("leads"))


@pytest.fixture(scope="module")
def client(store):
    """A client of a lab with the store, which it has screened."""
    with TestClient(create_app(LabSettings(stores=(store,))), base_url=HOME, follow_redirects=False) as opened:
        assert "<progress" in opened.get(PATH).text
        assert opened.get(f"{PATH}/answer").status_code == 200
        yield opened


@pytest.fixture(scope="module")
def pairs(client):
    """The pairs for review, as the page names them."""
    found = list(dict.fromkeys(re.findall(r'value="(\w{16}) yes"', client.get(f"{PATH}/pairs").text)))
    assert found
    return found


class Page(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def hash_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rank_of(client, owner):
    leads = client.get(f"{PATH}.json").json()["outcomes"]["leads"]
    return next(one["rank"] for one in leads if one["owner"] == owner)


def about(client, rank):
    return re.search(r'name="about" value="(\w+)"', client.get(f"{PATH}/{rank}").text)[1]


# ---- without a store, and with one ----


def test_a_lab_without_a_store_says_how_to_make_one():
    with TestClient(create_app(LabSettings()), base_url=HOME) as client:
        for path in (PATH, f"{PATH}/1", f"{PATH}/pairs", f"{PATH}.csv"):
            answer = client.get(path)
            assert answer.status_code == 200
            for words in ("thresher sample-records", "thresher import", "thresher lab --store"):
                assert words in answer.text
        assert client.get(f"{PATH}.json").status_code == 404
        assert client.post(f"{PATH}/1/decide", headers=OWN).status_code == 404


def test_a_lab_without_the_modules_says_what_to_install(monkeypatch, tmp_path):
    from thresher.lab.leads import views

    monkeypatch.setattr(views, "lacking", lambda: "duckdb")
    (tmp_path / "s").touch()
    with TestClient(create_app(LabSettings(stores=(tmp_path / "s",))), base_url=HOME) as client:
        assert "pip install 'thresher[screen]'" in Page(client.get(PATH).text).text


def test_a_store_that_cannot_be_read_is_told_in_words(tmp_path):
    (tmp_path / "none").write_text("no store")
    with TestClient(create_app(LabSettings(stores=(tmp_path / "none",))), base_url=HOME) as client:
        assert client.get(PATH).status_code == 200
        answer = client.get(f"{PATH}/answer", headers=PARTS)
        assert answer.status_code == 200
        assert "a store that `thresher import` made" in answer.text
        assert client.get(f"{PATH}.json").status_code == 422


@pytest.mark.parametrize("path", ["/answer", "/1/answer", "/pairs/answer"])
def test_an_error_nobody_thought_of_ends_the_wait_for_a_screening(empty, monkeypatch, caplog, path):
    def failing(*_arguments, **_choices):
        raise ZeroDivisionError("secret path")

    monkeypatch.setattr(review, "screen_for_review", failing)
    with TestClient(create_app(LabSettings(stores=(empty,))), base_url=HOME) as client:
        answer = client.get(f"{PATH}{path}", headers=PARTS)
    assert answer.status_code == 200
    assert "could not be screened" in answer.text
    assert "Try again" in answer.text
    assert "hx-trigger" not in answer.text
    assert "secret path" not in answer.text
    assert "ZeroDivisionError" in caplog.text


def test_the_defaults_are_those_of_the_command(store):
    question = read(QueryParams(), LabSettings(stores=(store,)))
    assert (asking.DEFAULT_REGIME, asking.LOOK_BACK_DAYS) == (screen.DEFAULT_REGIME, screen.LOOK_BACK_DAYS)
    assert question.command == ["thresher", "screen", str(store), f"--top={TOP}"]
    assert question.form.query == []


def test_stores_are_chosen_by_name(tmp_path):
    one, other, same = tmp_path / "a.store", tmp_path / "b.store", tmp_path / "c" / "a.store"
    lab = LabSettings(stores=(one, other))
    assert read(QueryParams("store=b.store"), lab).asked.store == other
    assert "store" in read(QueryParams("store=/etc/passwd"), lab).form.problems
    assert "store" in read(QueryParams("store=b.store"), LabSettings(stores=(one,))).form.problems
    assert read(QueryParams("store=a.store"), LabSettings(stores=(one,))).form.query == []
    assert read(QueryParams({"store": str(same)}), LabSettings(stores=(one, same))).asked.store == same


@pytest.mark.parametrize("query", ["", "prior=0.2&look_back=90&as_of=2026-02-01&top=20", "regime=miri-2025&text=zzz"])
def test_the_twin_is_what_the_shown_command_writes(client, query):
    answer = client.get(f"{PATH}.json?{query}")
    question = read(QueryParams(query), client.app.state.settings)
    done = CliRunner().invoke(main, [*question.command[1:], "--json", "-"])
    assert done.exit_code == 0, done.output
    assert answer.text == done.stdout
    shown = Page(client.get(f"{PATH}?{query}").text).text
    assert f"{' '.join(question.command)} --json -" in shown.replace("'", "")


def test_the_table_is_what_the_command_writes(client, tmp_path):
    answer = client.get(f"{PATH}.csv?prior=0.2")
    assert answer.headers["content-type"].startswith("text/csv")
    words = read(QueryParams("prior=0.2"), client.app.state.settings).command[1:]
    CliRunner().invoke(main, [*words, "--csv", str(tmp_path / "leads.csv")])
    assert answer.content == (tmp_path / "leads.csv").read_bytes()


@pytest.mark.parametrize(
    ("query", "owners"),
    [
        ("", ["P1", "P4"]),
        ("text=SCRIPT", ["P1"]),
        ("text=s3", ["P4"]),
        ("text=nobody", []),
        ("least=100", []),
        ("country=de", ["P1"]),
        ("country=RU", ["P4"]),
        ("only=1", ["P1"]),
        ("together=unknown", []),
        ("decision=undecided", ["P1", "P4"]),
        ("decision=dismiss", []),
        ("decision=decided", []),
    ],
)
def test_filters_choose_which_leads_are_shown(client, query, owners):
    shown = Page(client.get(f"{PATH}?{query}", headers=PARTS).text)
    links = [
        attributes["href"]
        for tag, attributes in shown.tags
        if tag == "a" and re.match(r"/leads/\d", attributes.get("href", ""))
    ]
    by_rank = {rank_of(client, owner): owner for owner in ("P1", "P4")}
    assert sorted(by_rank[int(re.match(r"/leads/(\d+)", link)[1])] for link in links) == owners
    assert all(link.endswith(f"?{query}") for link in links if query and "country=de" not in query)
    assert "reason to look, not a verdict" in shown.text


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("as_of", "yesterday", "a day, as 2026-06-30"),
        ("prior", "2", "a number from"),
        ("prior", "nan", "a number from"),
        ("look_back", "1.5", "a whole number from 1"),
        ("regime", "nowhere", "one of"),
        ("country", "Germany", "two letters"),
        ("least", "101", "from 0 to 100"),
        ("text", "x" * 500, "at most 400 characters"),
    ],
)
def test_a_wrong_value_is_told_beside_its_field(client, name, text, wanted):
    part = client.get(PATH, params={name: text}, headers=PARTS)
    assert part.status_code == 200
    assert part.headers["HX-Reswap"] == "none"
    assert f'id="p-{name}"' in part.text
    assert wanted in part.text
    whole = client.get(PATH, params={name: text})
    assert wanted in whole.text
    assert "The ranked leads" in whole.text
    assert client.get(f"{PATH}.json", params={name: text}).status_code == 422


def test_the_address_keeps_what_is_not_at_its_default(client):
    answer = client.get(f"{PATH}?prior=0.02&least=0&text=S3", headers=PARTS)
    assert answer.headers["HX-Push-Url"] == f"{PATH}?text=S3&prior=0.02"


@pytest.mark.parametrize("rank", ["0", "3", "-1", "x", "9" * 6, "9" * 5000, "1.0", "%C2%B2"])
def test_a_rank_that_is_none_is_refused_in_words(client, rank):
    for path in (f"{PATH}/{rank}",):
        answer = client.get(path)
        assert answer.status_code == 422
        assert "lead: expected a number" in answer.text


# ---- the dossier ----


def test_a_dossier_has_its_contents_charts_and_sites(client):
    page = Page(client.get(f"{PATH}/{rank_of(client, 'P1')}").text)
    assert [tag for tag, _ in page.tags].count("h1") == 1
    assert "A lead is a reason to look, not a verdict." in page.text
    specs = [attributes["data-spec"] for tag, attributes in page.tags if tag == "figure" and "data-spec" in attributes]
    assert [one.split("?")[0] for one in specs] == [f"/charts/leads-{name}.json" for name in ("map", "sum", "timeline")]
    nowhere = client.get(f"{PATH}/{rank_of(client, 'P4')}").text
    assert "leads-map" not in nowhere
    assert "1 site without a place on a map" in nowhere


def test_links_of_charts_lead_to_anchors_on_the_page(client):
    text = client.get(f"{PATH}/{rank_of(client, 'P1')}").text
    ids = set(re.findall(r' id="([^"]+)"', text))
    data = [json.loads(one) for one in re.findall(r'<template class="data">(.*?)</template>', text, re.DOTALL)]
    links = [row["href"] for chart in data for row in chart["rows"]]
    assert links
    assert {link.partition("#")[2] for link in links} <= ids


def test_the_style_of_dossiers_is_served(client):
    answer = client.get(f"{PATH}/dossier.css")
    assert answer.headers["content-type"].startswith("text/css")
    assert answer.text.startswith(".dossier {")


@pytest.mark.parametrize(
    ("places", "middle", "across"),
    [
        ([(50.0, 10.0)], 10.0, 24.0),
        ([(0.0, -170.0), (0.0, 170.0)], 180.0, 27.0),
        ([(0.0, -100.0), (0.0, 100.0)], 180.0, 216.0),
        ([(0.0, 0.0), (0.0, 120.0), (0.0, -120.0)], None, 324.0),
        ([(-90.0, 0.0), (90.0, 0.0)], 0.0, 24.0),
    ],
)
def test_a_map_shows_all_sites_the_short_way_around(places, middle, across):
    view = view_of([{"latitude": latitude, "longitude": longitude} for latitude, longitude in places])
    assert view["across"] == pytest.approx(across)
    assert middle is None or abs((view["longitude"] - middle + 180) % 360 - 180) < 1e-9
    assert -90 < view["latitude"] < 90


# ---- nothing of a record as markup ----


@pytest.mark.parametrize(
    "path", ["", "/1", "/2", "/pairs", "/answer", f"?text={SCRIPT}", "?country=<b>", "/1?reviewer=<b>x</b>"]
)
def test_no_text_of_a_record_or_a_person_becomes_markup(client, path):
    page = Page(client.get(f"{PATH}{path}").text)
    assert "alert(1)" in page.text or path not in ("", "/1", "/pairs", "/answer")
    for tag, attributes in page.tags:
        assert tag not in ("img", "iframe", "style", "base", "object", "b1")
        assert not any(name.startswith("on") or name in ("style", "srcdoc") for name in attributes)
        assert tag != "script" or (attributes["src"].startswith("/static/") and "defer" in attributes)
        assert re.match(r"[/#]", attributes.get("href") or "/")


def test_no_text_of_a_record_becomes_a_formula_of_a_spreadsheet(client):
    rows = list(csv.DictReader(io.StringIO(client.get(f"{PATH}.csv").text, newline="")))
    assert {one["owner"]: one["name"] for one in rows} == {"P1": SCRIPT, "P4": "'=1+1"}


def test_looking_changes_nothing_in_the_store(client, store):
    before = hash_of(store)
    for path in ("", "?prior=0.3", "/1", "/2", "/pairs", ".json", ".csv", "/progress", "?as_of=2026-03-01"):
        assert client.get(f"{PATH}{path}").status_code == 200
    assert client.get(f"{PATH}/answer?as_of=2026-03-01").status_code == 200
    assert hash_of(store) == before


# ---- decisions ----


def test_what_is_wrong_with_a_decision_is_told_and_nothing_typed_is_lost(client, store):
    before, rank = hash_of(store), rank_of(client, "P1")
    send = {"about": about(client, rank), "decision": "convict", "reviewer": "", "note": "x" * 2001}
    for headers in (OWN, OWN | PARTS):
        answer = client.post(f"{PATH}/{rank}/decide", data=send, headers=headers)
        assert answer.status_code == 200
        for words in (
            "decision: expected one of",
            "reviewer: expected a name",
            "note: expected at most 2,000",
            "x" * 2001,
        ):
            assert words in answer.text
    send |= {"decision": "dismiss", "reviewer": "<b>Ada</b>", "note": "bell \x07"}
    answer = client.post(f"{PATH}/{rank}/decide", data=send, headers=OWN | PARTS)
    assert "note: expected text without control characters" in answer.text
    assert 'value="&lt;b&gt;Ada&lt;/b&gt;"' in answer.text
    assert re.search(r'value="dismiss" checked', answer.text)
    assert hash_of(store) == before


def test_a_decision_is_for_the_owner_that_was_shown(client, store):
    before = hash_of(store)
    send = {"about": about(client, rank_of(client, "P4")), "decision": "dismiss", "reviewer": "Ada"}
    answer = client.post(f"{PATH}/{rank_of(client, 'P1')}/decide", data=send, headers=OWN | PARTS)
    assert "look again" in answer.text
    withdrawn = {"about": about(client, rank_of(client, "P1")), "withdraw": "1", "reviewer": "Ada"}
    answer = client.post(f"{PATH}/{rank_of(client, 'P1')}/decide", data=withdrawn, headers=OWN | PARTS)
    assert "a decision about this owner" in answer.text
    assert hash_of(store) == before


@pytest.mark.parametrize("stale", ["regime=/gone/mine.yaml", "store=b.store"])
@pytest.mark.parametrize("headers", [OWN, OWN | PARTS])
def test_nothing_is_decided_at_an_address_that_asks_for_what_is_gone(client, store, pairs, stale, headers):
    before, rank = hash_of(store), rank_of(client, "P1")
    send = {"about": about(client, rank), "decision": "dismiss", "reviewer": "Ada", "note": "two halls"}
    word = {"word": f"{pairs[0]} no", "reviewer": "Ada", "note": "two halls"}
    for path, data in ((f"/{rank}", send), ("/pairs", word)):
        shown = Page(client.get(f"{PATH}{path}?{stale}").text)
        assert "nothing can be decided here" in shown.text
        to = next(attributes["action"] for _, attributes in shown.tags if attributes.get("method") == "post")
        assert dict(parse_qsl(urlsplit(to).query)) == dict(parse_qsl(stale))
        answer = client.post(to, data=data, headers=headers)
        assert answer.status_code == 422
        for words in ("Nothing was saved.", stale.partition("=")[2], "two halls", 'value="Ada"'):
            assert words in answer.text
        assert "HX-Replace-Url" not in answer.headers
    assert hash_of(store) == before


def test_what_a_decision_is_about_tells_stores_regimes_and_owners_apart(tmp_path):
    from thresher.lab.leads.shown import about_lead

    def named(store, regime, owner):
        held = SimpleNamespace(screened=SimpleNamespace(regime=SimpleNamespace(name=regime)))
        return about_lead(SimpleNamespace(asked=asked_of(tmp_path / store)), held, owner)

    assert len({named(*one) for one in (("a", "r", "P1"), ("b", "r", "P1"), ("a", "s", "P1"), ("a", "r", "P2"))}) == 4
    pair = ("party:P1", "party:P2")
    assert reviewing.about_pair(tmp_path / "a", pair) != reviewing.about_pair(tmp_path / "b", pair)


@pytest.mark.parametrize("path", ["/1/decide", "/pairs/judge", "/again"])
@pytest.mark.parametrize("headers", [{}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_another_sites_page_can_decide_nothing(client, store, path, headers):
    before = hash_of(store)
    answer = client.post(f"{PATH}{path}", data={"decision": "dismiss", "reviewer": "Eve"}, headers=headers)
    assert answer.status_code == 403
    assert client.get(f"{PATH}{path}").status_code in (404, 405, 422)
    assert hash_of(store) == before


def test_a_decision_is_kept_shown_and_withdrawn_without_a_new_screening(client, store, monkeypatch):
    monkeypatch.setattr(review, "screen_for_review", lambda *_a, **_k: pytest.fail("screened again"))
    rank = rank_of(client, "P1")
    send = {"about": about(client, rank), "decision": "follow-up", "reviewer": " Ada <i> ", "note": "two\r\nhalls"}
    answer = client.post(f"{PATH}/{rank}/decide?least=0", data=send, headers=OWN | PARTS)
    assert "Saved: follow-up." in answer.text
    assert answer.headers["HX-Replace-Url"] == f"{PATH}/{rank}?reviewer=Ada+%3Ci%3E"
    (kept,) = decisions_of(store)
    assert (kept.owner, kept.regime, kept.decision, kept.reviewer, kept.note) == (
        "P1",
        RULE,
        "follow-up",
        "Ada <i>",
        "two\nhalls",
    )
    assert "follow-up" in Page(client.get(f"{PATH}?decision=follow-up", headers=PARTS).text).text
    assert [
        one["decision"] and one["decision"]["decision"]
        for one in client.get(f"{PATH}.json").json()["outcomes"]["leads"]
        if one["owner"] == "P1"
    ] == ["follow-up"]
    assert DECISIONS["follow-up"] in client.get(f"{PATH}.json").text
    answer = client.post(
        f"{PATH}/{rank}/decide", data={"about": send["about"], "withdraw": "1", "reviewer": "Bob"}, headers=OWN
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{PATH}/{rank}?reviewer=Bob#decision"
    assert decisions_of(store) == []
    assert [one.decision for one in history_of(store, "P1", RULE)] == ["follow-up", None]
    text = Page(client.get(f"{PATH}/{rank}").text).text
    assert text.index("withdrawn") < text.index("Ada <i>")


@pytest.mark.parametrize("headers", [OWN, OWN | PARTS])
def test_a_decision_that_was_not_seen_is_shown_before_it_is_replaced(client, store, headers):
    """Two tabs, or Save pressed twice: the second is told of the first, with everything typed still there, and may save again."""
    rank = rank_of(client, "P1")
    on_record = len(history_of(store, "P1", RULE))

    def sent(seen, decision):
        send = {"about": about(client, rank), "seen": seen, "decision": decision, "reviewer": "Bob", "note": "mine"}
        return client.post(f"{PATH}/{rank}/decide", data=send, headers=headers)

    shown = int(re.search(r'name="seen" value="(\d+)"', client.get(f"{PATH}/{rank}").text)[1])
    assert shown == on_record
    sent(shown, "dismiss")
    refused = sent(shown, "follow-up")
    assert "decision: expected one made in sight of the newest on record (by Bob" in Page(refused.text).text
    assert "mine</textarea>" in refused.text and re.search(r'value="follow-up" checked', refused.text)
    assert len(history_of(store, "P1", RULE)) == on_record + 1
    again = int(re.search(r'name="seen" value="(\d+)"', refused.text)[1])
    sent(again, "follow-up")
    assert [one.decision for one in history_of(store, "P1", RULE)][on_record:] == ["dismiss", "follow-up"]
    sent("x" * 40, "dismiss")  # no number: as without one
    assert len(history_of(store, "P1", RULE)) == on_record + 3
    client.post(
        f"{PATH}/{rank}/decide", data={"about": about(client, rank), "withdraw": "1", "reviewer": "Bob"}, headers=OWN
    )


# ---- pairs ----


def test_a_word_on_a_pair_needs_a_name_and_a_pair_that_is_there(client, store, pairs):
    before = hash_of(store)
    for send, wanted in (
        ({"word": f"{pairs[0]} yes", "note": "kept <b>"}, "reviewer: expected a name"),
        ({"word": f"{pairs[0]} maybe", "reviewer": "Ada"}, "yes, no or undo"),
        ({"word": "0123456789abcdef yes", "reviewer": "Ada"}, "look again"),
        ({"word": f"{pairs[0]} undo", "reviewer": "Ada"}, "a judgement of this pair"),
        ({"word": f"{pairs[0]} no", "reviewer": "x" * 201}, "at most 200 characters"),
        ({"reviewer": "Ada"}, "yes, no or undo"),
    ):
        answer = client.post(f"{PATH}/pairs/judge", data=send, headers=OWN | PARTS)
        assert answer.status_code == 200
        assert wanted in answer.text
        assert "note" not in send or "kept &lt;b&gt;" in answer.text
    assert hash_of(store) == before


def test_a_word_on_a_pair_is_kept_offers_a_new_screening_and_is_withdrawn(client, store, pairs, monkeypatch):
    send = {"word": f"{pairs[0]} no", "reviewer": "Ada", "note": "two brothers"}
    with monkeypatch.context() as patch:
        patch.setattr(review, "screen_for_review", lambda *_a, **_k: pytest.fail("screened again unasked"))
        answer = client.post(f"{PATH}/pairs/judge", data=send, headers=OWN | PARTS)
        assert "Saved: two." in answer.text
        assert "1 pair of mentions was judged since" in Page(client.get(PATH).text).text
        (kept,) = judgements_of(store)
        assert (kept["verdict"], kept["reviewer"], kept["note"]) == ("no", "Ada", "two brothers")
    answer = client.post(f"{PATH}/again", headers=OWN)
    assert (answer.status_code, answer.headers["location"]) == (303, PATH)
    assert "<progress" in client.get(PATH).text
    after = client.get(f"{PATH}/pairs?wait=1").text
    assert "judged since" not in after
    assert "Words that stand on other pairs" in after
    answer = client.post(f"{PATH}/pairs/judge", data=send | {"word": f"{pairs[0]} undo"}, headers=OWN)
    assert answer.status_code == 303
    assert judgements_of(store) == []
    assert "judged since" in client.get(f"{PATH}/pairs").text
    client.post(f"{PATH}/again", headers=OWN)
    assert client.get(f"{PATH}/answer").status_code == 200


# ---- what is kept of a store ----


@pytest.fixture
def empty(tmp_path):
    create_store(tmp_path / "s")
    return tmp_path / "s"


@pytest.fixture
def counted(monkeypatch):
    """How often a store was screened, by a screening that does nothing."""
    seen = []

    def screened(store, *, progress, **choices):
        seen.append(choices)
        progress("resolve: who is who")
        return SimpleNamespace(regime=SimpleNamespace(name=choices["regime"]), leads=())

    monkeypatch.setattr(review, "screen_for_review", screened)
    return seen


def asked_of(store, **choices):
    return Asked(store, **({"regime": RULE, "as_of": None, "look_back_days": 365} | choices))


def silent(_message):
    """No progress."""


def test_a_changed_file_is_screened_anew(empty, counted):
    stores, asked = Evidence(), asked_of(empty)
    stores.screen(asked, silent)
    assert stores.found(asked) is not None
    assert stores.found(asked_of(empty, look_back_days=30)) is None
    with empty.open("ab") as file:
        file.write(b"\0")
    assert stores.found(asked) is None
    stores.screen(asked, silent)
    assert stores.found(asked) is not None
    assert len(stores._kept) == 1


def test_so_many_screenings_are_kept_and_no_more(empty, counted):
    stores = Evidence()
    every = [asked_of(empty, look_back_days=days) for days in range(1, keeping.MOST_KEPT + 2)]
    for asked in every:
        stores.screen(asked, silent)
    assert [stores.found(asked) is not None for asked in every] == [False] + [True] * keeping.MOST_KEPT


def test_a_decision_waits_for_a_screening_of_the_same_store_but_not_for_ever(empty, monkeypatch):
    begun, end = threading.Event(), threading.Event()

    def slow(_store, **_choices):
        begun.set()
        assert end.wait(10)
        raise InputError("the store", "another day")

    monkeypatch.setattr(review, "screen_for_review", slow)
    monkeypatch.setattr(keeping, "WAIT_SECONDS", 0.05)
    stores, asked = Evidence(), asked_of(empty)
    failed = []

    def screened():
        with pytest.raises(InputError, match="another day") as refused:
            stores.screen(asked, silent)
        failed.append(refused)

    thread = threading.Thread(target=screened)
    thread.start()
    assert begun.wait(10)
    with pytest.raises(InputError, match="not being screened at this moment"):
        stores.decide(asked, "P1", "dismiss", reviewer="Ada", note="")
    end.set()
    thread.join(10)
    assert failed
    with pytest.raises(InputError, match="an owner as"):
        stores.decide(asked, "P1", "dismiss", reviewer="Ada", note="")


def test_a_decision_that_was_written_is_shown_whatever_went_wrong_after_it(empty, monkeypatch):
    def written(store, owner, decision, **words):
        return add_decision(store, owner, RULE, decision, words["reviewer"], words["note"])

    def failing(*_arguments):
        raise InputError(str(empty), "a store that nobody else has open")

    def screened(_store, *, progress, **choices):
        return SimpleNamespace(regime=SimpleNamespace(name=choices["regime"]), leads=())

    monkeypatch.setattr(review, "screen_for_review", screened)
    monkeypatch.setattr(deciding, "decide", written)
    stores, asked = Evidence(), asked_of(empty)
    stores.screen(asked, silent)
    with monkeypatch.context() as patch:
        patch.setattr(decisions, "decisions_of", failing)
        with pytest.raises(InputError, match="nobody else has open"):
            stores.decide(asked, "P1", "dismiss", reviewer="Ada", note="")
    assert stores.found(asked) is None
    stores.screen(asked, silent)
    assert [one.decision for one in stores.found(asked).histories["P1"]] == ["dismiss"]


def test_names_of_things_are_told_apart():
    assert reviewing.digest("a", "b") != reviewing.digest("ab")
    assert reviewing.digest("\ud800") == reviewing.digest("\ud800")
