"""Dossiers and exports of leads: every figure with its rows, nothing of the records as markup, all pages or none."""

import csv
import dataclasses
import io
import json
import math
import os
import re
import subprocess
import sys
from datetime import date, datetime
from functools import partial
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.errors import InputError
from thresher.regime import load_regime
from thresher.screening.aggregation import Readings
from thresher.screening.dossiers import graph, leads_as_csv, leads_as_ftm, text, timeline, waterfall, write_dossiers
from thresher.screening.dossiers.exports import neutral
from thresher.screening.dossiers.page import dossiers_of, lead_page
from thresher.screening.dossiers.rows import cited_rows, sql_text
from thresher.screening.engine import engine_of_tables
from thresher.screening.evidence import all_findings, probability_of
from thresher.screening.joint_control import shared_kinds
from thresher.screening.leads import Inspection, Lead, Reason, SiteToInspect

AS_OF = date(2025, 6, 30)
SCREENED = SimpleNamespace(regime=load_regime("miri-2026-memory"), as_of=AS_OF, look_back_days=365, prior_share=0.01)
VOID = {"meta", "br", "link", "img", "hr", "input"}
HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}{% raw %}${7*7}",
    "javascript:alert(1)",
    "Acme \u202egnp.exe \u2066x\u2069",
    "bell \x07 escape \x1b[31m delete \x7f",
    "]]></title></style></svg><!-- -->",
    "ООО Вычислитель 北京智算 شركة 🏢",
    "x" * 4096,
    "=cmd|' /C calc'!A0",
    "$a$ \\(x\\) & &lt;b&gt;",
]
PLAIN = SimpleNamespace(
    owner="P-1", shell="P-2", other="P-3", site="S-1", name="Adler Holding", buyer="ADLER HOLDING LTD"
)


READINGS = partial(Readings, None, None, True, shares={"cluster-memory": 1.5}, largest_place=0.75)


def table(columns, rows):
    kinds = {"row_id": pa.int64(), "source_line": pa.int64(), "share": pa.float64(), "count": pa.int64()}
    return pa.table(
        {
            name: pa.array([row[at] for row in rows], kinds.get(name)) if rows else pa.array([], pa.string())
            for at, name in enumerate(columns)
        }
    )


def engine_about(words=PLAIN, kind="duckdb", chips=12):
    """A holder of chips under a nominee of its owner, beside another; one site, a few purchases."""
    w = words
    serials = [f"SN-{at}" for at in range(2 * chips)]
    custody = [
        (s, "sale", datetime(2025, 1, 5, 10), "P-9", (w.shell if at < chips else w.other), None)
        for at, s in enumerate(serials)
    ]
    custody += [
        (
            s,
            "install",
            datetime(2025, 1, 9, 10),
            None,
            (w.shell if at < chips else w.other),
            (w.site if at < chips else "S-2"),
        )
        for at, s in enumerate(serials)
    ]
    made = engine_of_tables(
        {
            "parties": provenance(
                table(
                    ("party", "name", "kind", "country", "address", "incorporated_on"),
                    [
                        (w.owner, w.name, "person", "DE", w.name, None),
                        (w.shell, w.name, "company", "DE", "Hauptstr. 5", date(2024, 12, 1)),
                        (w.other, "Bussard GmbH", "company", "DE", None, date(1998, 1, 1)),
                        ("P-4", "Nominee Ltd", "company", "CY", None, None),
                    ],
                ),
                w.name,
            ),
            "ownership": provenance(
                table(
                    ("owner", "owned", "share", "interest", "from", "to", "on_behalf_of"),
                    [
                        (w.owner, w.shell, 0.6, "shareholding", date(2024, 12, 1), None, None),
                        ("P-4", w.other, 1.0, "nominee", None, None, w.owner),
                        (w.other, w.shell, 0.4, "shareholding", date(2025, 2, 1), None, None),
                        (w.shell, w.other, None, "officer", None, date(2025, 3, 1), None),
                        ("P-7", w.shell, 0.1, "shareholding", None, None, None),
                    ],
                ),
                w.name,
            ),
            "custody": provenance(table(("serial", "event", "at", "from_party", "to_party", "site"), custody), w.name),
            "purchases": provenance(
                table(
                    ("id", "date", "buyer_name", "seller", "description", "quantity", "amount", "currency"),
                    [
                        (w.name, date(2025, 1, 4), w.buyer, w.name, w.name, 2, 500000.0, "USD"),
                        ("INV-2", date(2025, 3, 1), w.buyer, None, "HGX", None, None, None),
                    ],
                ),
                w.name,
            ),
            "declarations": provenance(
                table(("party", "site", "chip", "count", "declared_on"), [(w.shell, w.site, "H100-SXM", 8, date(2025, 3, 31))]),
                w.name,
            ),
            "sites": provenance(table(("site", "operator", "address"), [(w.site, w.name, w.name), ("S-2", None, None)]), w.name),
        },
        kind,
    )  # fmt: skip
    entities = [w.owner, w.shell, w.other, "P-4", "P-9"]
    made.keep("identity", pa.table({"party": entities, "entity": entities}))
    made.keep("entity_owner", pa.table({"entity": [w.shell, w.other], "owner": [w.owner] * 2}))
    made.keep(
        "held",
        pa.table(
            {
                "serial": serials,
                "party": [w.shell] * chips + [w.other] * chips,
                "entity": [w.shell] * chips + [w.other] * chips,
                "site": [w.site] * chips + ["S-2"] * chips,
                "chip": ["H100-SXM"] * 2 * chips,
                "since": [datetime(2025, 1, 9, 10)] * 2 * chips,
                "row_id": pa.array(range(2 * chips + 1, 4 * chips + 1), pa.int64()),
            }
        ),
    )
    made.keep(
        "purchases_resolved",
        pa.table(
            {
                "row_id": pa.array([1, 2], pa.int64()),
                "id": [w.name, "INV-2"],
                "date": [date(2025, 1, 4), date(2025, 3, 1)],
                "entity": [w.shell] * 2,
                "chip": ["H100-SXM"] * 2,
                "chips": [16.0, None],
                "amount": [500000.0, None],
                "currency": ["USD", None],
            }
        ),
    )
    return made


def provenance(given, file):
    count = len(given)
    for name, values in (
        ("row_id", pa.array(range(1, count + 1), pa.int64())),
        ("source_file", pa.array([file] * count)),
        ("source_line", pa.array(range(2, count + 2), pa.int64())),
        ("row_hash", pa.array([f"{at:064x}" for at in range(count)])),
        ("extra", pa.array([json.dumps({"remark": file})] * count)),
    ):
        given = given.append_column(name, values)
    return given


def reasons_about(detail, citations):
    """One reason for each finding: some found, some looked for in vain, some not to be looked for."""
    made = []
    for at, finding in enumerate(all_findings().values()):
        level = (2, 0, None, 1)[at % 4]
        made.append(
            Reason(
                finding.finding, finding.step, finding.title, level, None if level is None else float(level), finding.unit,
                detail if level else "", 0.0 if level is None else (-0.31, 0.42, 0.77)[level] + at / 97, 40 * at,
                0.9 if level != 2 else 0.0, -0.4, 0.3 if level is None else 0.0, finding.next_record,
                citations if level else (),
            )
        )  # fmt: skip
    made.sort(key=lambda one: (one.level is None, -abs(one.log10_likelihood_ratio), one.finding))
    return tuple(made)


def lead_about(words=PLAIN, rank=1, chips=12):
    w = words
    reasons = reasons_about(f"{w.name} holds 24 chips", tuple(("custody", at) for at in range(1, 2 * chips)))
    prior = math.log10(0.01 / 0.99)
    odds = prior + sum(one.log10_likelihood_ratio for one in reasons)
    held = {"owner": w.owner, "chip": "H100-SXM", "chips": chips, "interconnect_gbit_s": 10.0}
    return Lead(
        rank, w.owner, w.name, probability_of(odds), prior, odds, (w.shell, w.other), {w.shell: w.name, w.other: None},
        (held | {"entity": w.shell, "site": w.site, "place": w.site}, held | {"entity": w.other, "site": "S-2", "place": w.site}),
        {"H100-SXM": 4.0}, READINGS(places_just_under=(w.site, "S-9")),
        reasons, Inspection(24, 2, 0.95, 18, (SiteToInspect(w.site, 12, 9), SiteToInspect(None, 12, 9))), ("the meter", w.name),
    )  # fmt: skip


def hostile(name, at=0):
    ids = [f"{letter}{name}"[:4096] for letter in "oshS"]
    return SimpleNamespace(owner=ids[0], shell=ids[1], other=ids[2], site=ids[3], name=name, buyer=name)


class Page(HTMLParser):
    """Tags, ids, links and text of a page; checks that every element is closed where it should be."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.words, self.open, self.loose, self.ids, self.links = [], [], [], [], [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "a":
            self.links.append(attributes["href"])
        if tag not in VOID:
            self.open.append((tag, attributes))

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        self.words.append(data)
        within = [tag for tag, _ in self.open]
        if re.search(r"\d", data) and "td" in within and "a" not in within:
            self.loose.append((data.strip(), [attributes for tag, attributes in self.open if tag == "table"]))

    @property
    def text(self):
        return " ".join("".join(self.words).split())


@pytest.fixture(scope="module", params=["duckdb", "spark"])
def engine(request):
    return engine_about(kind=request.param)


@pytest.fixture(scope="module")
def duck():
    return engine_about()


@pytest.fixture(scope="module")
def page(duck):
    return lead_page(dossiers_of(duck, [lead_about()], AS_OF)[0], SCREENED, 1)


def pages_of(words):
    found = dossiers_of(engine_about(words), [lead_about(words)], AS_OF)
    return lead_page(found[0], SCREENED, 1)


def test_a_dossier_is_written_and_says_what_it_is(duck, tmp_path):
    files = write_dossiers(tmp_path / "out", duck, SCREENED, [lead_about(), lead_about(rank=2)])
    assert [path.name for path in files] == ["index.html", "lead-001.html", "lead-002.html"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [path.name for path in files]
    for path in files:
        words = Page(path.read_text("utf-8")).text
        assert "A lead is a reason to look, not a verdict." in words
        assert "synthetic records" in words
    words = Page(files[0].read_text("utf-8")).text
    assert "Adler Holding" in words
    assert text.percent(lead_about().probability) in words
    assert "covered" in words and "unknown" in words


def test_the_page_fetches_nothing_and_runs_nothing(page, duck, tmp_path):
    index = write_dossiers(tmp_path / "out", duck, SCREENED, [lead_about()])[0].read_text("utf-8")
    for one in (page, index):
        parsed = Page(one)
        assert {tag for tag, _ in parsed.tags}.isdisjoint({"script", "link", "img", "iframe", "object", "base", "form"})
        for _, attributes in parsed.tags:
            assert not any(name.startswith("on") or name in {"src", "style", "srcset", "action"} for name in attributes)
        assert all(re.fullmatch(r"#[\w-]+|(?:index|lead-\d{3})\.html(?:#[\w-]+)?", link) for link in parsed.links)
        assert "@import" not in one
        assert not re.search(r"url\((?!#)", one)
        assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in one
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", one)


def test_every_figure_leads_to_its_rows(page):
    parsed = Page(page)
    assert len(parsed.ids) == len(set(parsed.ids))
    targets = {link[1:] for link in parsed.links if link.startswith("#")}
    assert targets <= set(parsed.ids)
    loose = [words for words, tables in parsed.loose if not any(one.get("class") == "rows" for one in tables)]
    # what is left are the rule's own lines, names of types, sites and places, and the register's entries beside their link
    lines = {"more than 1,280 GB", "more than 16 H100-equivalents", "H100-SXM", "same place as", "S-1"}
    assert {words for words in loose if "·" not in words} <= lines
    assert {f"row-custody-{at}" for at in range(1, 24)} <= set(parsed.ids)
    assert f"{0:064x}" in parsed.text


def test_the_rows_are_there_with_file_line_hash_and_cells(duck):
    found = cited_rows(duck, [lead_about()])
    assert set(found) == {("custody", at) for at in range(1, 24)}
    row = found["custody", 2]
    assert (row.source_file, row.source_line, row.row_hash) == ("Adler Holding", 3, f"{1:064x}")
    assert row.cells["serial"] == "SN-1"
    assert row.cells["at"] == "2025-01-05T10:00:00"
    assert row.anchor == "row-custody-2"


def test_the_page_is_accessible(page):
    parsed = Page(page)
    names = [tag for tag, _ in parsed.tags]
    assert ("html", {"lang": "en"}) in parsed.tags
    assert (
        names.count("h1")
        == names.count("main")
        == names.count("header")
        == names.count("footer")
        == names.count("nav")
        == 1
    )
    assert all("scope" in attributes for tag, attributes in parsed.tags if tag == "th")
    assert names.count("caption") == names.count("table")
    for tag, attributes in parsed.tags:
        if attributes.get("class") == "scroll":
            assert attributes["tabindex"] == "0" and attributes["aria-label"] and attributes["role"] == "region"
        if tag == "svg":
            assert set(attributes["aria-labelledby"].split()) <= set(parsed.ids)
    levels = [int(name[1]) for name in names if re.fullmatch(r"h\d", name)]
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_drawings_are_well_formed(page):
    drawings = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(drawings) == 3
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root[0].tag.endswith("title") and root[1].tag.endswith("desc")
        assert {"nan", "inf"}.isdisjoint(re.findall(r"\b(?:nan|inf)\b", drawing))


def test_the_reasons_add_up(page):
    lead = lead_about()
    totals = waterfall.running_totals(lead)
    assert totals[-1] == pytest.approx(lead.log10_odds)
    assert probability_of(totals[-1]) == pytest.approx(lead.probability)
    found = re.search(r"<table>\s*<caption>From the prior.*?</table>", page, flags=re.DOTALL)
    figures = [float(cell.replace("−", "-")) for cell in re.findall(r">([+−]?\d+\.\d\d)<", found[0])]
    weights, sums = figures[:1] + figures[2:-1:2], figures[1::2]
    assert len(weights) == 1 + len(waterfall.known_reasons(lead))
    assert sum(weights) == pytest.approx(figures[-1], abs=0.005 * len(weights))
    assert sums[-1] == pytest.approx(lead.log10_odds, abs=0.006)
    bars = waterfall.drawing_of(lead).bars
    assert (bars[0].kind, bars[-1].kind) == ("prior", "sum")
    assert all(bar.width > 0 and bar.x >= 0 and bar.x + bar.width <= 660 for bar in bars)


def test_what_could_not_be_looked_at_is_apart_and_says_what_it_would_change(page):
    words = Page(page).text
    for one in lead_about().reasons:
        if one.level is None:
            assert one.next_record in words
            assert f"Looked for, not found: {one.title}" not in words
            assert text.percent(probability_of(lead_about().log10_odds + one.if_found)) in words
        elif one.level == 0:
            assert f"Looked for, not found: {one.title}" in words
    assert "What would raise it most" in words and "What would lower it most" in words


def test_the_same_lead_gives_the_same_page(page, tmp_path):
    assert pages_of(PLAIN) == page
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_dossiers as t; "
        "sys.stdout.buffer.write(t.pages_of(t.PLAIN).encode())"
    )
    here = str(Path(__file__).parent)
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, here],
            capture_output=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        assert run.stdout.decode() == page


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_of_the_records_becomes_markup(name, page, tmp_path):
    words = hostile(name)
    shown = pages_of(words)
    files = write_dossiers(tmp_path / "out", engine_about(words), SCREENED, [lead_about(words)])
    for one in (shown, files[0].read_text("utf-8")):
        parsed = Page(one)
        tags = {tag for tag, _ in parsed.tags}
        assert tags.isdisjoint({"script", "img", "b1"})
        assert not any(attribute.startswith("on") for _, attributes in parsed.tags for attribute in attributes)
        assert all(re.fullmatch(r"#[\w-]+|(?:index|lead-\d{3})\.html(?:#[\w-]+)?", link) for link in parsed.links)
        assert all(re.fullmatch(r"[\w-]+", one) for one in parsed.ids)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", one)
        assert re.fullmatch(r"(?:index|lead-\d{3})\.html", files[1].name)
    assert {tag for tag, _ in Page(shown).tags} == {tag for tag, _ in Page(page).tags}
    assert " ".join(text.visible(name).split()) in Page(shown).text
    for drawing in re.findall(r"<svg.*?</svg>", shown, flags=re.DOTALL):
        ElementTree.fromstring(drawing)
    assert "49" not in re.findall(r"<h1>.*?</h1>", shown, flags=re.DOTALL)[0]


@given(st.text(max_size=200))
def test_any_text_is_shown_whole_and_visible(words):
    seen = text.visible(words)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]", seen)
    assert text.visible(seen) == seen
    assert len(text.short(words, 20)) <= 20
    assert len(text.fit(words, 20)) <= 20


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=60))
def test_a_query_means_the_text_it_shows(words):
    import duckdb

    assert duckdb.sql(f"SELECT {sql_text(words)}").fetchall() == [(words,)]
    assert sql_text(words).isprintable()


def test_the_queries_of_a_page_run_and_find_the_rows():
    words = hostile("O'Hara \u202e & <b>")
    found = dossiers_of(engine := engine_about(words), [lead_about(words)], AS_OF)[0]
    counts = {
        name: engine.backend.con.execute(f"SELECT count(*) FROM ({one.sql})").fetchone()[0]
        for name, one in found.questions.items()
    }
    assert counts["custody"] == 48
    assert counts["purchases"] == 2
    assert counts["ownership"] == 5
    assert counts["parties"] == 3
    assert counts["sites"] == 2
    assert all(one.whole for one in found.questions.values())


def test_a_figure_of_many_rows_says_how_many_are_left_out():
    found = dossiers_of(engine_about(chips=70), [lead_about(chips=70)], AS_OF)[0]
    held = found.groups["held", 0]
    assert (len(held.cited.rows), held.left_out) == (50, 20)
    words = Page(lead_page(found, SCREENED, 1)).text
    assert "and 20 more." in words
    assert "and 90 more." in words
    assert "ask custody" in words


def test_a_reason_with_as_many_rows_as_are_ever_cited_may_have_more(duck):
    lead = lead_about()
    many = tuple(("custody", at) for at in range(1, 201))
    reasons = (dataclasses.replace(lead.reasons[0], citations=many), *lead.reasons[1:])
    found = dossiers_of(duck, [dataclasses.replace(lead, reasons=reasons)], AS_OF)[0]
    assert "and there may be more." in Page(lead_page(found, SCREENED, 1)).text


def test_the_timeline_groups_custody_by_day_and_site(engine):
    events = timeline.timeline_of(engine, lead_about(), AS_OF)
    assert [one.date for one in events] == sorted(one.date for one in events)
    assert {one.kind for one in events} == {
        "incorporation",
        "ownership",
        "purchase",
        "received",
        "moved",
        "declaration",
    }
    received = [one for one in events if one.kind == "received"]
    assert [(one.date, one.chips, one.rows_in_all, len(one.row_ids)) for one in received] == [
        (date(2025, 1, 5), 24.0, 24, 5)
    ]
    moved = {one.text for one in events if one.kind == "moved"}
    assert moved == {"install of 12 chips, at S-1", "install of 12 chips, at S-2"}
    texts = [one.text for one in events]
    assert "bought 16 chips (H100-SXM) from Adler Holding for 500,000 USD, Adler Holding" in texts
    assert "bought chips, how many is not known (H100-SXM), INV-2" in texts
    assert "Adler Holding (P-2) incorporated" in texts
    assert "Adler Holding (P-1) took 60% (shareholding) in Adler Holding (P-2)" in texts
    assert "Adler Holding (P-2) gave up a post as officer in Bussard GmbH (P-3)" in texts
    assert "Adler Holding (P-2) declared 8 chips, at S-1" in texts


def test_a_timeline_ends_on_the_day(duck):
    assert timeline.timeline_of(duck, lead_about(), date(1990, 1, 1)) == []
    assert {one.kind for one in timeline.timeline_of(duck, lead_about(), date(2024, 12, 31))} == {
        "incorporation",
        "ownership",
    }


def test_the_timeline_is_bounded(duck):
    many = engine_about()
    count = 300
    many.keep(
        "declarations",
        pa.table(
            {
                "party": ["P-2"] * count,
                "site": [f"S-{at}" for at in range(count)],
                "chip": ["H100-SXM"] * count,
                "count": pa.array(range(count), pa.int64()),
                "declared_on": [date(2025, 1, 1)] * count,
                "row_id": pa.array(range(count), pa.int64()),
            }
        ),
    )
    from thresher.screening.dossiers.rows import keep_members

    keep_members(many, [lead_about()])
    found = timeline.timelines_of(many, [lead_about()], AS_OF)["P-1"]
    declared = [one.chips for one in found.events if one.kind == "declaration"]
    assert sorted(declared) == list(range(count - timeline.MOST_OF_A_KIND, count))
    assert found.left_out == {"declaration": count - timeline.MOST_OF_A_KIND}
    assert timeline.MOST_OF_A_KIND * len(timeline.KINDS) < 200


def test_the_graph_goes_from_the_holders_up(engine):
    found = graph.graph_of(engine, lead_about(), AS_OF)
    assert {node.entity for node in found.nodes} == {"P-1", "P-2", "P-3", "P-4", "P-7"}
    assert {(one.owner, one.owned, one.interest) for one in found.edges} == {
        ("P-1", "P-2", "shareholding"),
        ("P-3", "P-2", "shareholding"),
        ("P-7", "P-2", "shareholding"),
        ("P-4", "P-3", "nominee"),
        ("P-1", "P-3", graph.BEHIND),
    }
    by_name = {node.entity: node for node in found.nodes}
    assert by_name["P-1"].is_owner and not by_name["P-2"].is_owner
    assert (by_name["P-2"].chips, by_name["P-1"].chips) == (12, 0)
    before = graph.graph_of(engine, lead_about(), date(2025, 1, 15))
    assert ("P-2", "P-3", "officer") in {(one.owner, one.owned, one.interest) for one in before.edges}
    assert ("P-3", "P-2", "shareholding") not in {(one.owner, one.owned, one.interest) for one in before.edges}


def test_what_entities_share_is_listed_with_its_rows():
    engine = engine_about()
    assert dossiers_of(engine, [lead_about()], AS_OF)[0].shared == []
    engine.keep(
        "joint_evidence",
        pa.table(
            {
                "left": ["P-2", "P-2", "P-2"],
                "right": ["P-3", "P-3", "P-99"],
                "kind": ["phone", "officer", "phone"],
                "value": ["30<b>1", "P-1", "30<b>1"],
                "weight": [math.log(100.0), math.log(20.0), math.log(100.0)],
            }
        ),
    )
    rows = [
        ("P-2", "phone", "30<b>1", "parties", 2),
        ("P-3", "phone", "30<b>1", "parties", 3),
        ("P-99", "phone", "30<b>1", "parties", 4),
    ]
    rows += [("P-3", "officer", "P-1", "ownership", at) for at in range(1, 14)] + [
        ("P-2", "officer", "P-1", "ownership", None)
    ]
    names = ("entity", "kind", "value", "table", "row_id")
    engine.keep("shared_things", pa.table({name: [row[at] for row in rows] for at, name in enumerate(names)}))
    engine.keep("shared_kinds", shared_kinds())
    found = dossiers_of(engine, [lead_about()], AS_OF)[0]
    assert [(one.words, one.entities) for one in found.shared] == [
        ("a telephone number", ("P-2", "P-3")),
        ("an officer", ("P-2", "P-3")),
    ]
    assert found.shared[0].log10_likelihood_ratio == pytest.approx(2.0)
    assert found.shared[0].rows == ((("parties", 2), ("parties", 3)), 2)
    assert (len(found.shared[1].rows.rows), found.shared[1].rows.total) == (10, 13)
    parsed = Page(lead_page(found, SCREENED, 1))
    assert {link[1:] for link in parsed.links if link.startswith("#")} <= set(parsed.ids)
    assert "a telephone number30<b>1" in parsed.text
    assert "× 100" in parsed.text


def test_a_circle_and_a_crowd_of_owners_are_drawn_bounded():
    engine = engine_about()
    owners = [f"Q-{at:03}" for at in range(200)]
    rows = [(one, "P-2", 0.001 * at, "shareholding") for at, one in enumerate(owners)]
    rows += [
        ("Q-199", "Q-198", 0.5, "shareholding"),
        ("Q-198", "Q-199", 0.5, "shareholding"),
        ("Q-199", "Q-199", 1.0, "control"),
    ]
    engine.keep(
        "ownership",
        pa.table(
            {
                **{name: [row[at] for row in rows] for at, name in enumerate(("owner", "owned", "share", "interest"))},
                **dict.fromkeys(("from", "to"), pa.nulls(len(rows), pa.date32())),
                "on_behalf_of": pa.nulls(len(rows), pa.string()),
                "row_id": pa.array(range(len(rows)), pa.int64()),
            }
        ),
    )  # fmt: skip
    found = graph.graph_of(engine, lead_about(), AS_OF)
    assert len(found.nodes) <= graph.MOST_NODES
    assert found.left_out == 200 - graph.MOST_OWNERS
    assert {one.owner for one in found.edges} == {f"Q-{at}" for at in range(194, 200)}
    drawn = graph.drawing_of(found)
    assert len({(box.x, box.y) for box in drawn.boxes}) == len(found.nodes)
    assert all(box.x >= 0 and box.x + graph.BOX_WIDTH <= drawn.width and box.y < drawn.height for box in drawn.boxes)


def test_a_lead_with_nothing_behind_it_has_a_page():
    engine = engine_about()
    bare = dataclasses.replace(
        lead_about(), owner="P-77", name=None, entities=("P-77",), names={}, holdings=(), unseen={}, reasons=(),
        readings=Readings(None, None, None), inspection=Inspection(0, 0, 0.95, 0, ()), next_records=(),
    )  # fmt: skip
    parsed = Page(lead_page(dossiers_of(engine, [bare], AS_OF)[0], SCREENED, 1))
    assert {link[1:] for link in parsed.links if link.startswith("#")} <= set(parsed.ids)
    assert "No dated record names it." in parsed.text
    assert dossiers_of(engine, [], AS_OF) == []


def test_no_lead_at_all(duck, tmp_path):
    files = write_dossiers(tmp_path / "out", duck, SCREENED, [])
    assert "No owner in these records" in Page(files[0].read_text("utf-8")).text


def test_earlier_dossiers_are_replaced_and_other_files_refused(duck, tmp_path):
    folder = tmp_path / "deep" / "out"
    write_dossiers(folder, duck, SCREENED, [lead_about(), lead_about(rank=2)])
    write_dossiers(folder, duck, SCREENED, [lead_about()])
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "lead-001.html"]
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"nothing but earlier dossiers, got 'notes.txt'"):
        write_dossiers(folder, duck, SCREENED, [lead_about()])
    (folder / "notes.txt").unlink()
    (folder / "index.html").write_text("<h1>my own page</h1>")
    with pytest.raises(InputError, match=r"index.html"):
        write_dossiers(folder, duck, SCREENED, [lead_about()])
    assert (folder / "index.html").read_text() == "<h1>my own page</h1>"
    assert sorted(path.name for path in folder.parent.iterdir()) == ["out"]
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(InputError, match="a file"):
        write_dossiers(file, duck, SCREENED, [lead_about()])


def test_a_failure_leaves_the_earlier_dossiers(duck, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    write_dossiers(folder, duck, SCREENED, [lead_about()])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    plain = Path.rename

    def fails(self, target):
        if self.name == "made":
            raise OSError(28, "No space left on device")
        return plain(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(InputError, match="No space left"):
        write_dossiers(folder, duck, SCREENED, [])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_both_engines_give_the_same_page(engine, page):
    assert lead_page(dossiers_of(engine, [lead_about()], AS_OF)[0], SCREENED, 1) == page


def test_leads_as_entities_are_valid(engine):
    from followthemoney import model

    lines = list(leads_as_ftm(engine, [lead_about()], AS_OF))
    entities = [json.loads(line) for line in lines]
    for one in entities:
        proxy = model.get_proxy({name: one[name] for name in ("id", "schema", "properties")}, cleaned=False)
        model.get(one["schema"]).validate({"properties": one["properties"]})
        for prop, value in proxy.itervalues():
            assert prop.type.clean(value) == value
    by_schema = {}
    for one in entities:
        by_schema.setdefault(one["schema"], []).append(one)
    ids = {one["id"] for one in entities}
    assert len(ids) == len(entities)
    assert {one["id"] for one in by_schema["Company"]} == {"P-2", "P-3", "P-4"}
    assert {one["id"] for one in by_schema["Person"]} == {"P-1"}
    assert {one["id"] for one in by_schema["LegalEntity"]} == {"P-7"}
    assert len(by_schema["Ownership"]) == 4
    note = by_schema["Note"][0]["properties"]
    assert note["entity"] == ["P-1", "P-2", "P-3"]
    assert "A lead is a reason to look, not a verdict." in note["description"][0]
    assert {
        link for one in by_schema["Ownership"] for link in one["properties"]["owner"] + one["properties"]["asset"]
    } <= ids
    assert list(leads_as_ftm(engine, [], AS_OF)) == []


@pytest.mark.parametrize("name", HOSTILE)
def test_entities_of_hostile_names_are_valid(name):
    from followthemoney import model

    words = hostile(name)
    for line in leads_as_ftm(engine_about(words), [lead_about(words)], AS_OF):
        one = json.loads(line)
        assert line.index("\n") == len(line) - 1
        model.get(one["schema"]).validate({"properties": one["properties"]})


def test_the_table_runs_nothing_in_a_spreadsheet():
    words = hostile('=HYPERLINK("http://x")')
    words.owner = "@SUM(1)"
    lead = dataclasses.replace(lead_about(words), entities=("-1+1", "+x"))
    rows = list(csv.DictReader(io.StringIO(leads_as_csv([lead]), newline="")))
    assert rows[0]["name"] == '\'=HYPERLINK("http://x")'
    assert rows[0]["owner"] == "'@SUM(1)"
    assert rows[0]["entities"] == "'-1+1; +x"
    assert float(rows[0]["log10_odds"]) == pytest.approx(lead.log10_odds)
    assert rows[0]["together"] == "covered"
    assert not any(cell.startswith(("=", "+", "@", "\t", "\r")) for cell in rows[0].values())
    assert [neutral(cell) for cell in ("\t=x", "\r=1", "  =1", "ok", "", "－1")] == [
        "'\t=x",
        "'\r=1",
        "'  =1",
        "ok",
        "",
        "'－1",
    ]


@pytest.mark.parametrize(
    ("words", "value", "said"),
    [
        (text.percent, 0.62, "62%"),
        (text.percent, 0.0031, "0.31%"),
        (text.percent, 0.9962, "99.6%"),
        (text.percent, 0.99999, "over 99.9%"),
        (text.percent, 1e-9, "under 0.001%"),
        (text.of_owners, 0.62, "about 6 in 10 owners"),
        (text.of_owners, 0.024, "about 1 in 42 owners"),
        (text.of_owners, 0.0001, "about 1 in 10,000 owners"),
        (text.of_owners, 0.993, "more than 99.3 in 100 owners"),
        (text.times, 1.0, "× 10"),
        (text.times, -0.5, "÷ 3.2"),
        (text.times, 0.0, "× 1"),
        (text.signed, -0.4, "−0.40"),
        (text.signed, 0.001, "0.00"),
        (text.number, 1234.0, "1,234"),
        (text.number, 0.125, "0.125"),
        (text.number, None, "–"),
    ],
)
def test_numbers_read_well(words, value, said):
    assert words(value) == said
