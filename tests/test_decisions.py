"""Reviewers' decisions about leads: kept with their history, shown by screenings, refused with a sentence and nothing written."""

import csv
import hashlib
import io
import json
import subprocess
import sys

import duckdb
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import thresher
from tests.test_screen import by_hand
from thresher.cli import main
from thresher.errors import InputError
from thresher.records.decisions import (
    DECISIONS,
    add_decision,
    decisions_of,
    histories_of,
    history_of,
    remove_decision,
)
from thresher.records.schema import columns_sql, tables
from thresher.records.store import OWN_TABLES, add_judgement, create_store, export_evidence, judgements_of
from thresher.screening.dossiers import leads_as_csv
from thresher.screening.screen import screening

RULE = "miri-2026-memory"


@pytest.fixture
def store(tmp_path):
    return by_hand(tmp_path)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    """A store that every test of refusals leaves as it is."""
    return by_hand(tmp_path_factory.mktemp("untouched"))


def hash_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_newest_decision_stands_and_all_stay_on_record(tmp_path):
    store = tmp_path / "s"
    create_store(store)
    add_decision(store, "P1", RULE, "follow-up", "Ada", "two halls")
    add_decision(store, "P1", "miri-2025", "dismiss", "Ada")
    add_decision(store, "P1", RULE, "ask-for-records", " Bob ")
    assert [(one.regime, one.decision, one.reviewer) for one in decisions_of(store)] == [
        ("miri-2025", "dismiss", "Ada"),
        (RULE, "ask-for-records", "Bob"),
    ]
    remove_decision(store, "P1", RULE, "Ada", "a mistake")
    assert decisions_of(store, regime=RULE) == []
    assert [(one.decision, one.reviewer, one.note) for one in history_of(store, "P1", RULE)] == [
        ("follow-up", "Ada", "two halls"),
        ("ask-for-records", "Bob", ""),
        (None, "Ada", "a mistake"),
    ]
    with pytest.raises(InputError, match="a decision about this owner"):
        remove_decision(store, "P1", RULE, "Ada")


def test_none_is_replaced_that_the_reviewer_has_not_seen(tmp_path):
    store = tmp_path / "s"
    create_store(store)
    add_decision(store, "P1", RULE, "follow-up", "Ada", seen=0)
    add_decision(store, "P2", RULE, "dismiss", "Ada", seen=0)  # another lead's record is its own
    for decide in (
        lambda: add_decision(store, "P1", RULE, "dismiss", "Bob", seen=0),
        lambda: remove_decision(store, "P1", RULE, "Bob", seen=0),
    ):
        with pytest.raises(InputError, match=r"newest on record \(by Ada, .* UTC\); read it, and save again"):
            decide()
    assert [one.decision for one in history_of(store, "P1", RULE)] == ["follow-up"]
    add_decision(store, "P1", RULE, "dismiss", "Bob", seen=1)
    remove_decision(store, "P1", RULE, "Bob", seen=2)
    assert len(history_of(store, "P1", RULE)) == 3


def test_a_screening_shows_what_was_decided_and_weighs_nothing_by_it(store):
    before = thresher.screen(store).outcomes["leads"]
    assert [one["decision"] for one in before] == [None]
    made = thresher.decide(store, "P1", "dismiss", regime=RULE, reviewer="Ada", note="=1+1")
    assert (made.owner, made.regime, made.decision) == ("P1", RULE, "dismiss")
    thresher.decide(store, "P1", "follow-up", regime="miri-2025", reviewer="Bob")
    with screening(store) as (_, found):
        table = list(csv.DictReader(io.StringIO(leads_as_csv(found.leads, found.decisions), newline="")))
    assert [table[0][name] for name in ("decision", "decided_by", "decision_note")] == ["dismiss", "Ada", "'=1+1"]
    (after,) = json.loads(json.dumps(thresher.screen(store).as_json()))["outcomes"]["leads"]
    assert after["decision"] == made.as_json()
    assert after["decision"]["means"] == DECISIONS["dismiss"]
    assert after["probability"] == before[0]["probability"]
    undone = thresher.decide(store, "P1", "undo", regime=RULE, reviewer="Ada")
    assert undone.decision is None
    assert thresher.screen(store).outcomes["leads"][0]["decision"] is None


@pytest.mark.parametrize(
    ("owner", "decision", "choices", "wanted"),
    [
        ("P-none", "dismiss", {}, "an owner as `thresher screen` lists them"),
        ("x" * 5000, "dismiss", {}, "an owner as `thresher screen` lists them"),
        ("<script>alert(1)</script>", "dismiss", {}, "an owner as"),
        ("buyer:0", "dismiss", {}, "an owner as"),
        ("P1", "convict", {}, "one of follow-up, dismiss, ask-for-records, undo"),
        ("P1", "undo", {}, "a decision about this owner under this regime"),
        ("P1", "dismiss", {"regime": "nowhere"}, "nowhere"),
        ("P1", "dismiss", {"reviewer": " "}, "reviewer: expected a name that is not blank"),
        ("P1", "dismiss", {"reviewer": "x" * 201}, "at most 200 characters, got 201"),
        ("P1", "dismiss", {"reviewer": "a\nb"}, "reviewer: expected text without control characters"),
        ("P1", "dismiss", {"note": "x" * 5000}, "note: expected at most 2,000 characters, got 5000"),
        ("P1", "dismiss", {"note": "a\x00b"}, "note: expected text without control characters"),
        ("P1", "dismiss", {"note": "\ud800"}, "note: expected text without control characters"),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_written(untouched, owner, decision, choices, wanted):
    before = hash_of(untouched)
    with pytest.raises(InputError) as refused:
        thresher.decide(untouched, owner, decision, **({"regime": RULE, "reviewer": "Ada"} | choices))
    assert wanted in str(refused.value)
    assert hash_of(untouched) == before


def test_hostile_texts_are_kept_as_they_are(store):
    note = "<script>alert(1)</script>\n'); DROP TABLE parties; -- {{ 7 * 7 }} \u202e"
    thresher.decide(store, "P1", "dismiss", reviewer="O'Brien <b>", note=note)
    (kept,) = decisions_of(store)
    assert (kept.reviewer, kept.note) == ("O'Brien <b>", note)
    thresher.decide(store, "P1", "dismiss", reviewer="Ada", note="x" * 2000)
    assert len(decisions_of(store)[0].note) == 2000


def test_an_owner_that_only_free_text_names_may_be_decided_about(tmp_path):
    store = by_hand(
        tmp_path,
        purchases=[
            ("id", "date", "buyer_name", "description", "quantity"),
            ("I1", "2026-02-01", "Nobody Knows Ltd", "NVIDIA H100 SXM", 40),
        ],
    )
    owner = next(one["owner"] for one in thresher.screen(store).outcomes["leads"] if one["owner"].startswith("buyer:"))
    thresher.decide(store, owner, "ask-for-records", reviewer="Ada")
    assert [one.owner for one in decisions_of(store)] == [owner]


@pytest.mark.parametrize("read_only", [True, False])
def test_a_store_that_another_process_holds_is_refused_politely(store, read_only):
    code = (
        f"import duckdb; c = duckdb.connect({str(store)!r}, read_only={read_only}); print('open', flush=True); input()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(InputError, match="nobody else has open"):
            thresher.decide(store, "P1", "dismiss", reviewer="Ada")
    finally:
        holder.communicate("\n")
    assert decisions_of(store) == []


def test_a_store_that_this_process_screens_is_refused_politely(store):
    with screening(store), pytest.raises(InputError, match="nobody else has open"):
        thresher.decide(store, "P1", "dismiss", reviewer="Ada")
    thresher.decide(store, "P1", "dismiss", reviewer="Ada")


def test_a_store_without_the_table_says_what_to_do(store):
    with duckdb.connect(str(store)) as connection:
        connection.execute("DROP TABLE lead_decision_history")
        connection.execute("UPDATE meta SET value = 'before decisions' WHERE name = 'tables'")
    for ask in (decisions_of, lambda path: thresher.decide(path, "P1", "dismiss", reviewer="Ada")):
        with pytest.raises(InputError, match="import the files into a new one"):
            ask(store)


def made_before_decisions(store):
    """Take the table of decisions out of a store, and give it the fingerprint that such a store was made with."""
    own = {name: columns for name, columns in OWN_TABLES.items() if name != "lead_decision_history"}
    layout = json.dumps({name: columns_sql(name) for name in tables()} | own)
    with duckdb.connect(str(store)) as connection:
        connection.execute("DROP TABLE lead_decision_history")
        connection.execute(
            "UPDATE meta SET value = ? WHERE name = 'tables'", [hashlib.sha256(layout.encode()).hexdigest()]
        )


def test_a_store_from_before_decisions_is_read_and_gets_them_when_it_is_written_to(store, tmp_path):
    add_judgement(store, "party:P1", "party:P2", "no", "Ada")
    made_before_decisions(store)
    before = store.read_bytes()
    assert (decisions_of(store), history_of(store, "P1", RULE), histories_of(store, RULE)) == ([], [], {})
    leads = thresher.screen(store).outcomes["leads"]
    assert leads and all(one["decision"] is None for one in leads)
    assert pq.read_table(export_evidence(store, tmp_path / "out")["lead_decisions"]).num_rows == 0
    with pytest.raises(InputError, match="a decision about this owner"):
        thresher.decide(store, "P1", "undo", reviewer="Ada")
    assert store.read_bytes() == before
    thresher.decide(store, "P1", "dismiss", reviewer="Ada")
    assert [one.decision for one in decisions_of(store)] == ["dismiss"]
    assert [one["verdict"] for one in judgements_of(store)] == ["no"]
    assert "dismiss" in {
        one["decision"] and one["decision"]["decision"] for one in thresher.screen(store).outcomes["leads"]
    }


def test_the_command(store):
    def run(*words):
        return CliRunner().invoke(main, [words[0], str(store), *words[1:]])

    done = run("decide", "P1", "follow-up", "--reviewer", "ada", "--note", "two halls")
    assert (done.exit_code, done.stdout) == (0, f"stored: P1 under {RULE}: to be looked into (ada)\n")
    assert "follow-up" in run("screen").stdout
    done = run("decide", "P1", "dismiss", "--regime", RULE, "--reviewer", "ada", "--json", "-")
    assert {"owner": "P1", "regime": RULE, "decision": "dismiss"}.items() <= json.loads(done.stdout).items()
    assert run("decide", "P1", "undo", "--reviewer", "ada").stdout.endswith("withdrawn (ada)\n")
    assert "decision" not in run("screen").stdout
    for words in (
        ("P1", "convict", "--reviewer", "ada"),
        ("P1", "dismiss"),
        ("P-none", "dismiss", "--reviewer", "ada"),
    ):
        done = run("decide", *words)
        assert done.exit_code == 2
        assert "Traceback" not in done.output
        assert done.stdout == ""
