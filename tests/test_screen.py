"""From files to leads: sample records with known truth, cases made by hand, both engines, and the documented commands."""

import csv
import datetime
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import thresher
from thresher.errors import InputError
from thresher.records.importing import import_records
from thresher.records.samples import sample_records
from thresher.screening.screen import as_result, screening

THRESHER = str(Path(sys.executable).with_name("thresher"))
AS_OF = datetime.date(2026, 6, 30)


@pytest.fixture(scope="module")
def jurisdiction(tmp_path_factory):
    """Two thousand parties, five of whom hide a covered cluster: the store and the truth."""
    folder = tmp_path_factory.mktemp("jurisdiction")
    sample_records(folder / "records", seed=1, parties=2000, evaders=5)
    import_records(folder / "records", folder / "evidence.store")
    return folder / "evidence.store", json.loads((folder / "records" / "truth.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def screened(jurisdiction):
    with screening(jurisdiction[0]) as (engine, found):
        entity_of = engine.table("identity").to_pyarrow().to_pydict()
        yield engine, found, dict(zip(entity_of["party"], entity_of["entity"], strict=True))


def _entities(parties, entity_of):
    return {entity_of[party] for party in parties}


def test_planted_evaders_lead_the_list_and_honest_look_alikes_do_not(jurisdiction, screened):
    _, truth = jurisdiction
    _, found, entity_of = screened
    holders = [{one["entity"] for one in lead.holdings} or set(lead.entities) for lead in found.leads]
    evaders = [_entities(one["parties"], entity_of) for one in truth["evaders"]]
    caught = [any(hider & lead for lead in holders[:20]) for hider in evaders]
    assert sum(caught) >= 4
    honest = set().union(*(_entities(one["parties"], entity_of) for one in truth["near_misses"])) - set().union(
        *evaders
    )
    assert not any(honest & lead for lead in holders[:3])


def test_every_point_of_a_probability_has_a_reason(screened):
    _, found, _ = screened
    assert [lead.rank for lead in found.leads] == list(range(1, len(found.leads) + 1))
    assert [lead.log10_odds for lead in found.leads] == sorted((lead.log10_odds for lead in found.leads), reverse=True)
    for lead in found.leads[:50]:
        total = lead.prior_log10_odds + sum(one.log10_likelihood_ratio for one in lead.reasons)
        assert total == pytest.approx(lead.log10_odds)
        assert lead.probability == pytest.approx(1 / (1 + 10**-total))
        for one in lead.reasons:
            if one.level is None:
                assert one.log10_likelihood_ratio == 0.0
            else:
                assert one.worth == 0.0


def test_every_finding_of_a_lead_cites_rows_that_exist(screened):
    engine, found, _ = screened
    for lead in found.leads[:5]:
        for reason in lead.reasons:
            if not reason.level:
                continue
            assert reason.citations, (lead.owner, reason.finding)
            for table in {name for name, _ in reason.citations}:
                ids = [row for name, row in reason.citations if name == table]
                rows = engine.table(table)
                assert rows.filter(rows.row_id.isin(ids)).count().to_pyarrow().as_py() == len(ids)


def test_inspection_plans_find_what_they_are_made_for(screened):
    _, found, _ = screened
    for lead in found.leads[:20]:
        plan = lead.inspection
        if plan.chips:
            assert 1 <= plan.missing <= plan.chips
            chance = thresher.countermeasures.inspection_detection_probability(plan.chips, plan.missing, plan.sample)
            assert chance >= plan.confidence
            assert sum(site.chips for site in plan.sites) == plan.chips
            assert all(site.sample <= site.chips for site in plan.sites)


def test_screening_leaves_the_store_as_it_is(jurisdiction):
    store, _ = jurisdiction
    before = hashlib.sha256(store.read_bytes()).hexdigest()
    thresher.resolve(store)
    assert hashlib.sha256(store.read_bytes()).hexdigest() == before


def test_an_earlier_day_knows_less(jurisdiction, screened):
    store, _ = jurisdiction
    _, now, _ = screened
    with screening(store, as_of=datetime.date(2023, 6, 30)) as (engine, then):
        assert sum(one.chips for owner in then.owners for one in owner.holdings) < sum(
            one.chips for owner in now.owners for one in owner.holdings
        )
        cited = {row for lead in then.leads[:20] for one in lead.reasons for row in one.citations}
        late = engine.table("custody").filter(lambda row: row["at"] >= "2023-07-01").row_id.to_pyarrow().to_pylist()
        assert not {row for name, row in cited if name == "custody"} & set(late)


def test_a_larger_prior_raises_every_lead_and_moves_no_rank(jurisdiction, screened):
    store, _ = jurisdiction
    _, found, _ = screened
    more = thresher.screen(store, prior_share=0.1).outcomes["leads"]
    assert [one["owner"] for one in more] == [lead.owner for lead in found.leads[:20]]
    assert all(one["probability"] >= lead.probability for one, lead in zip(more, found.leads, strict=False))


def test_spark_gives_the_same_leads(jurisdiction, screened):
    store, _ = jurisdiction
    _, found, _ = screened
    ours = as_result("", found, 20).as_json()["outcomes"]
    with screening(store, engine="spark") as (_, other):
        theirs = as_result("", other, 20).as_json()["outcomes"]
    assert theirs["summary"] == ours["summary"]
    assert len(theirs["leads"]) == len(ours["leads"]) == 20
    for one, same in zip(theirs["leads"], ours["leads"], strict=True):
        assert _rounded(one) == _rounded(same)


def _rounded(value):
    """Plain data with numbers to nine digits: engines add up in different orders."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


def write_tables(folder, tables):
    folder.mkdir(parents=True, exist_ok=True)
    for name, (header, *rows) in tables.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *rows])
    return folder


def by_hand(path, **changes):
    """A company that buys under its name in two spellings for two sites of 12 H100, and a stranger with 4."""
    serials = [(f"SN{number}", 0 if number < 12 else 1) for number in range(24)]
    tables = {
        "parties": [
            ("party", "name", "kind", "country", "address"),
            ("P1", "Müller Rechenzentrum GmbH", "company", "DE", "Hauptstr. 5, 10115 Berlin"),
            ("P2", "MUELLER RECHENZENTRUM", "company", "DE", "Hauptstrasse 5, Berlin"),
            ("P3", "ООО Вычислитель", "company", "RU", "ул. Ленина 1, Москва"),
        ],
        "sites": [
            ("site", "operator", "address", "interconnect_gbit_s"),
            ("S1", "P1", "Hauptstr. 5, 10115 Berlin", 1),
            ("S2", "P2", "Nebenweg 9, 10117 Berlin", 1),
            ("S3", "P3", "ул. Ленина 1, Москва", 1),
        ],
        "chips": [
            ("serial", "chip"),
            *((serial, "H100-SXM") for serial, _ in serials),
            *((f"V{n}", "H100-SXM") for n in range(4)),
        ],
        "custody": [
            ("serial", "event", "at", "from_party", "to_party", "site"),
            *(
                (serial, "install", "2026-01-10T00:00:00", "", ("P1", "P2")[at], ("S1", "S2")[at])
                for serial, at in serials
            ),
            *((f"V{n}", "install", "2026-01-10T00:00:00", "", "P3", "S3") for n in range(4)),
        ],
    } | changes
    import_records(write_tables(path / "records", tables), path / "evidence.store")
    return path / "evidence.store"


def test_two_spellings_are_one_owner_over_the_line(tmp_path):
    (lead,) = thresher.screen(by_hand(tmp_path)).outcomes["leads"]
    assert lead["owner"] == "P1"
    assert lead["readings"]["together"] == "covered"
    assert lead["readings"]["as_it_reads"] == "not covered"
    assert {(one["site"], one["chips"]) for one in lead["holdings"]} == {("S1", 12), ("S2", 12)}


OWNERSHIP = ("owner", "owned", "share", "interest")
SHELLS = [
    ("party", "name", "kind", "country"),
    ("P1", "Alder Holding AG", "company", "CH"),
    ("P2", "Birch Vermietung GmbH", "company", "DE"),
    ("X", "Viktor Zeller", "person", "CH"),
    ("A", "Cedar One SA", "company", "LU"),
    ("B", "Dogwood Two BV", "company", "NL"),
]


@pytest.mark.parametrize(
    ("rows", "owners"),
    [
        # 49.9% of both, twice over through two companies of his own: his
        ([("X", "A", 1, "shareholding"), ("X", "B", 1, "shareholding"), ("A", "P1", 0.499, "shareholding"),
          ("B", "P1", 0.499, "shareholding"), ("A", "P2", 0.499, "shareholding"), ("B", "P2", 0.499, "shareholding")], 1),
        # 49.9% of 49.9%: nobody's
        ([("X", "A", 0.499, "shareholding"), ("A", "P1", 0.499, "shareholding"), ("A", "P2", 0.499, "shareholding")], 2),
        # in a circle, each other's: one
        ([("P1", "P2", 1, "shareholding"), ("P2", "P1", 1, "shareholding")], 1),
    ],
)  # fmt: skip
def test_owners_are_added_up_by_control(tmp_path, rows, owners):
    sites = [
        ("site", "operator", "address", "interconnect_gbit_s"),
        ("S1", "P1", "Bahnhofstrasse 1, Zürich", 1),
        ("S2", "P2", "Nebenweg 9, Berlin", 1),
    ]
    store = by_hand(tmp_path, parties=SHELLS, ownership=[OWNERSHIP, *rows], sites=sites)
    leads = thresher.screen(store).outcomes["leads"]
    assert len([lead for lead in leads if lead["holdings"]]) == owners
    assert ("covered" in {lead["readings"]["together"] for lead in leads}) == (owners == 1)


def test_a_serial_in_two_places_is_found(tmp_path):
    custody = [
        ("serial", "event", "at", "from_party", "to_party", "site"),
        *((f"SN{n}", "install", "2026-01-10T00:00:00", "", "P1", "S1") for n in range(16)),
        *((f"SN{n}", "install", "2026-02-10T00:00:00", "", "P2", "S2") for n in range(16)),
    ]
    leads = thresher.screen(by_hand(tmp_path, custody=custody)).outcomes["leads"]
    found = {one["finding"]: one for lead in leads for one in lead["reasons"] if one["level"]}
    assert "serial_in_two_places" in found or "impossible_events" in found


def test_missing_counts_leave_the_answer_open(tmp_path):
    purchases = [
        ("id", "date", "buyer_name", "buyer_country", "description", "quantity"),
        ("I1", "2026-01-01", "Vychislitel OOO", "RU", "HGX H100 8-GPU baseboard", 3),
        ("I2", "2026-01-02", "Vychislitel OOO", "RU", "HGX H100 8-GPU baseboard", ""),
    ]
    leads = {one["owner"]: one for one in thresher.screen(by_hand(tmp_path, purchases=purchases)).outcomes["leads"]}
    assert leads["P3"]["readings"]["together"] == "unknown"
    assert leads["P3"]["unseen"] == {"H100-SXM": 20.0}


def run(*words, cwd):
    return subprocess.run([THRESHER, *words], capture_output=True, text=True, cwd=cwd, check=False)


def test_the_documented_commands(tmp_path):
    for words in (
        ("sample-records", "records", "--seed", "2", "--parties", "400", "--evaders", "1"),
        ("import", "records", "--store", "evidence.store"),
        ("resolve", "evidence.store", "--most", "3"),
        ("control", "evidence.store"),
        ("corroborate", "evidence.store"),
        (
            "screen",
            "evidence.store",
            "--html",
            "dossiers",
            "--ftm",
            "leads.ftm.json",
            "--csv",
            "leads.csv",
            "--json",
            "leads.json",
        ),
    ):
        done = run(*words, cwd=tmp_path)
        assert done.returncode == 0, (words, done.stderr)
        assert done.stdout
    assert (tmp_path / "dossiers" / "index.html").is_file()
    result = json.loads((tmp_path / "leads.json").read_text("utf-8"))
    assert result["kind"] == "screening"
    assert "not a verdict" in done.stdout
    alone = run("screen", "evidence.store", "--json", "-", cwd=tmp_path)
    assert json.loads(alone.stdout)["outcomes"] == result["outcomes"]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("screen", "nothing.store"), "nothing.store"),
        (("screen", "evidence.store", "--regime", "eu-ai-act"), "clause on clusters"),
        (("screen", "evidence.store", "--regime", "nowhere"), "nowhere"),
        (("screen", "evidence.store", "--as-of", "yesterday"), "2026-06-30"),
        (("screen", "evidence.store", "--prior", "2"), "share between 0 and 1"),
        (("screen", "evidence.store", "--look-back", "0"), "at least 1 day"),
        (("resolve", "evidence.store", "--explain", "party:P1", "party:none"), "party:none"),
        (("resolve", "evidence.store", "--judge", "party:P1", "party:P2", "no"), "--reviewer"),
        (
            ("resolve", "evidence.store", "--judge", "party:P1", "party:P2", "maybe", "--reviewer", "ada"),
            "yes, no or undo",
        ),
    ],
)
def test_bad_input_gets_a_sentence(tmp_path, words, wanted):
    by_hand(tmp_path)
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert wanted in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_reviewer_is_respected_through_the_command(tmp_path):
    store = by_hand(tmp_path)
    done = run("resolve", "evidence.store", "--judge", "party:P1", "party:P2", "no", "--reviewer", "ada", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not any(lead["readings"]["together"] == "covered" for lead in thresher.screen(store).outcomes["leads"])
    run("resolve", "evidence.store", "--judge", "party:P1", "party:P2", "undo", "--reviewer", "ada", cwd=tmp_path)
    assert thresher.screen(store).outcomes["leads"][0]["readings"]["together"] == "covered"


def test_an_empty_store_has_nothing_to_screen(tmp_path):
    import_records(
        write_tables(tmp_path / "records", {"parties": [("party", "name"), ("P1", "Alone")]}), tmp_path / "s"
    )
    with pytest.raises(InputError, match="records with a date"):
        thresher.screen(tmp_path / "s")


def owners(store):
    return {one["owner"]: one for one in thresher.screen(store).outcomes["leads"]}


def only(path, **tables):
    import_records(write_tables(path / "records", tables), path / "evidence.store")
    return path / "evidence.store"


def test_purchases_alone_cover_nobody_and_clear_nobody(tmp_path):
    rows = [(f"I{n}", f"2025-0{1 + n % 6}-15", "Egret Compute", "NVIDIA H100 SXM 80GB", 15) for n in range(20)]
    store = only(tmp_path, purchases=[("id", "date", "buyer_name", "description", "quantity"), *rows])
    (lead,) = thresher.screen(store).outcomes["leads"]
    assert {lead["readings"][one] for one in ("as_it_reads", "networked", "together")} == {"unknown"}
    assert lead["readings"]["share_at_most"] == pytest.approx(300 / 16)
    levels = {one["finding"]: one["level"] for one in lead["reasons"]}
    assert levels["bought_but_not_seen"] == 3
    # without custody and sites nobody could have looked at these
    assert levels["sites_under_the_line"] is levels["spread_over_companies"] is levels["covered_only_together"] is None


def test_an_admission_counts_and_a_blank_count_leaves_it_open(tmp_path):
    rows = [("Y1", "Z1", 40), ("Y2", "Z2", 8), ("Y2", "Z3", 12), ("Y3", "Z4", ""), ("Y4", "", 50)]
    declared = [("party", "site", "chip", "count", "declared_on")]
    declared += [(party, site, "H100-SXM", count, "2025-01-01") for party, site, count in rows]
    found = owners(only(tmp_path, declarations=declared))
    assert found["Y1"]["readings"]["as_it_reads"] == "covered"
    assert (found["Y2"]["readings"]["as_it_reads"], found["Y2"]["readings"]["together"]) == ("unknown", "covered")
    assert found["Y3"]["readings"]["together"] == "unknown"
    assert (found["Y4"]["readings"]["as_it_reads"], found["Y4"]["readings"]["together"]) == ("unknown", "covered")
    levels = {one["finding"]: one["level"] for one in found["Y1"]["reasons"]}
    assert levels["bought_but_not_seen"] is None  # there is no record of any purchase


def test_an_unknown_owner_is_not_innocence(tmp_path):
    nominee = [(*OWNERSHIP, "on_behalf_of"), ("N", "P1", 1, "nominee", ""), ("X", "P2", 1, "shareholding", "")]
    found = owners(by_hand(tmp_path, parties=SHELLS, ownership=nominee))
    assert found["P1"]["readings"]["together"] == "unknown"
    assert found["X"]["readings"]["together"] == "not covered"


def test_chips_commissioned_to_their_buyer_were_seen(tmp_path):
    custody = [("serial", "event", "at", "from_party", "to_party", "site")]
    custody += [(f"SN{n}", "commission", "2026-01-10T00:00:00", "", "P1", "S1") for n in range(16)]
    bought = [("id", "date", "buyer_name", "description", "quantity")]
    bought += [("I1", "2026-01-01", "P1", "HGX H100 8-GPU baseboard", 2)]
    assert owners(by_hand(tmp_path, custody=custody, purchases=bought))["P1"]["unseen"] == {}


def test_a_date_in_the_future_does_not_become_today(tmp_path):
    declared = [("party", "site", "chip", "count", "declared_on"), ("P1", "S1", "H100-SXM", 20, "2099-01-01")]
    result = thresher.screen(by_hand(tmp_path, declarations=declared))
    assert result.inputs["as_of"] <= datetime.datetime.now(datetime.UTC).date().isoformat()
