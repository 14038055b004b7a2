"""`thresher programmes` and the detection in `thresher assess`, as a person runs them: what they print, write, and refuse."""

from __future__ import annotations

import json
import re

import click
import pytest
from click.testing import CliRunner

from tests.test_report import Page
from thresher.assessment import formats
from thresher.cli import main
from thresher.countermeasures.actors import actors
from thresher.countermeasures.programmes import countermeasures, programmes, settings
from thresher.countermeasures.texts import texts
from thresher.portfolios.wording import QUESTION

SMALL = ("miri-2025", "--chip", "GB300", "--mode", "flat", "--target", "1e24", "--draws", "24")
HOSTILE = "<script>alert(1)</script> & [bold]"
MINE = f"""
actor: me
title: "{HOSTILE}"
source: "{HOSTILE} https://a.example/x"
budget_usd: 500000000
most_people: 400
routes: {{open: 5000, stock: 2000}}
"""
OWN = f"""
programme: own
title: "{HOSTILE}"
source: "{HOSTILE}"
extends: study
settings: {{stings: 1}}
"""
FILES = {
    "mine.yaml": MINE,
    "own.yaml": OWN,
    "poor.yaml": "actor: poor\ntitle: Poor\nbudget_usd: 0\nroutes: {open: 100000}\n",
    "odd.yaml": MINE + "colour: red\n",
    "far.yaml": OWN.replace("stings: 1", "stings: 2"),
    "broken.yaml": "programme: [",
}
BOTH = (
    "programmes", *SMALL, "--actor", "mine.yaml", "--actor", "poor.yaml", "--programme", "baseline", "--programme", "own.yaml",
    "--state-budget", "1e8", "--objective", "expected", "--bound", "0.5",
)  # fmt: skip

ONE = (
    "programmes", "miri-2025", "--chip", "GB300", "--mode", "flat", "--target", "1e24", "--draws", "12", "--actor", "lab",
    "--programme", "baseline", "--bound", "0.99",
)  # fmt: skip


def put_files(folder):
    for name, text in FILES.items():
        (folder / name).write_text(text, "utf-8")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in a folder with a person's files."""
    monkeypatch.chdir(tmp_path)
    put_files(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("commands")
    put_files(found)
    return found


def run_in(folder, *arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return CliRunner().invoke(main, arguments)


@pytest.fixture(scope="module")
def played(folder):
    """An actor of one's own and one without money, against no programme and one of one's own."""
    return run_in(folder, *BOTH)


@pytest.fixture(scope="module")
def outcome(folder, played):
    assert played.exit_code == 0, played.output
    return json.loads((folder / "reports" / "programmes-miri-2025.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def page(folder, played):
    return (folder / "reports" / "programmes-miri-2025.html").read_text("utf-8")


def flat(text):
    return " ".join(text.split())


# programmes


def test_the_answer_is_printed_and_written(played, outcome, page):
    assert "reports/programmes-miri-2025.html" in played.stdout and "reports/programmes-miri-2025.json" in played.stdout
    assert "playing against" in played.stderr and "playing against" not in played.stdout
    assert outcome["kind"] == "programmes"
    assert page.lstrip().startswith("<!doctype html>")
    assert QUESTION in played.stdout and f"<h1>{QUESTION}</h1>" in page
    for name in ("me", "poor", "baseline", "own"):
        assert name in played.stdout


def test_the_result_file_says_what_was_asked(outcome):
    asked = outcome["inputs"]
    assert (asked["regime"], asked["target_flop_quality"], asked["bound"]) == ("miri-2025", 1e24, 0.5)
    assert (asked["draws"], asked["seed"], asked["objective"]) == (24, 0, "expected")
    assert (asked["budget_usd_per_year"], asked["weighed"]) == (1e8, "own")
    assert asked["chips"] == ["GB300"] and asked["challenge_inspections_at_most"] == 20


def test_the_result_file_holds_every_part(outcome):
    one, poor = outcome["outcomes"]["actors"]
    assert (one["actor"]["name"], poor["actor"]["name"]) == ("me", "poor")
    assert poor["replies"] == [] and poor["cheapest"] is None
    assert [reply["programme"]["name"] for reply in one["replies"]] == ["baseline", "own"]
    before, after = (reply["success"] for reply in one["replies"])
    assert 0 <= after < before <= 1
    for reply in one["replies"]:
        seen = reply["timeline"]
        assert {cause["countermeasure"] for cause in seen["causes"]} == set(countermeasures()) - {"investigations"}
        assert len(seen["mean_undetected"]) == len(seen["years"])
    assert one["replies"][1]["programme"]["settings"]["stings"] == 1
    assert one["within_budget"]["cost_usd_per_year"] <= 1e8
    assert {row["setting"] for row in one["per_dollar"]} == set(settings())
    assert sorted(row["rank"] for row in one["worth"]) == list(range(1, len(one["worth"]) + 1))


def test_the_terminal_gives_the_chances_of_the_result_file(played, outcome):
    for reply in outcome["outcomes"]["actors"][0]["replies"]:
        assert formats.percent(reply["success"]) in played.stdout
        assert formats.number(reply["timeline"]["false_leads_per_year"][0]) in played.stdout


def test_the_page_fetches_nothing(page):
    parsed = Page(page)
    assert not parsed.open
    assert {tag for tag, _ in parsed.tags}.isdisjoint({"script", "link", "img", "iframe", "object", "base", "form"})
    for tag, attributes in parsed.tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in {"src", "href", "xlink:href", "srcset", "action", "data"} and tag != "a":
                assert value.startswith("#"), (tag, name, value)
    assert "@import" not in page
    assert not re.search(r"url\(\s*['\"]?(?!#)", page)
    policy = [
        a["content"] for tag, a in parsed.tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(policy) == 1 and "default-src 'none'" in policy[0]


def test_the_page_is_accessible(page):
    parsed = Page(page)
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [a["href"][1:] for tag, a in parsed.tags if tag == "a" and a["href"].startswith("#")]
    assert targets and set(targets) <= set(ids)
    assert all("scope" in attributes for tag, attributes in parsed.tags if tag == "th")
    assert [tag for tag, _ in parsed.tags].count("h1") == 1
    assert {"nan", "inf"}.isdisjoint(re.findall(r"\b(?:nan|inf)\b", parsed.text))


def test_the_page_has_a_section_for_each_countermeasure_and_actor(page, outcome):
    parsed = Page(page)
    ids = {attributes["id"] for _, attributes in parsed.tags if "id" in attributes}
    assert {f"countermeasure-{name}" for name in texts()} <= ids
    for text in texts().values():
        for words in (text.assumes, text.catches, text.burdens, text.blind):
            assert flat(words) in parsed.text
    for reply in outcome["outcomes"]["actors"][0]["replies"]:
        assert reply["plan"] in parsed.text
        assert formats.percent(reply["success"]) in parsed.text
    assert page.count("<svg") >= 3


def test_hostile_titles_are_text(page, played):
    assert flat(HOSTILE) in Page(page).text
    assert "<script" not in page


def test_json_on_standard_output_stands_alone_and_a_seed_gives_the_same_bytes(folder, played, page):
    again = run_in(folder, *BOTH, "--json", "-", "--html", "deep/again.html")
    assert again.exit_code == 0
    json.loads(again.stdout)
    assert again.stdout == (folder / "reports" / "programmes-miri-2025.json").read_text("utf-8")
    assert (folder / "deep" / "again.html").read_text("utf-8") == page


def test_another_seed_gives_other_numbers(folder):
    first, again, other = (
        json.loads(run_in(folder, *ONE, "--seed", seed, "--json", "-").stdout) for seed in ("0", "0", "1")
    )
    assert first == again
    assert (first["inputs"]["seed"], other["inputs"]["seed"]) == (0, 1)
    [before], [after] = first["outcomes"]["actors"], other["outcomes"]["actors"]
    assert len(before["rungs"]) == 1 and before["cheapest"]["cost_usd_per_year"] == 0
    assert before["replies"][0]["success"] != after["replies"][0]["success"]


def test_json_alone_leaves_nothing_behind(run, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    shown = run("programmes", *SMALL, "--actor", "poor.yaml", "--json", "-")
    [one] = json.loads(shown.stdout)["outcomes"]["actors"]
    assert one["replies"] == [] and one["cheapest"] is None
    assert sorted(tmp_path.rglob("*")) == before


def test_who_cannot_afford_it_has_a_page_too(run, tmp_path):
    shown = run("programmes", *SMALL, "--actor", "poor.yaml", "--json", "out/data.json", "--html", "out/page.html")
    assert shown.exit_code == 0, shown.output
    assert "afford" in shown.stdout
    parsed = Page((tmp_path / "out" / "page.html").read_text("utf-8"))
    assert "afford" in parsed.text and not parsed.open
    assert json.loads((tmp_path / "out" / "data.json").read_text("utf-8"))["kind"] == "programmes"
    assert not (tmp_path / "reports").exists()


def test_list_names_all_that_ships(run):
    shown = run("programmes", "--list")
    assert shown.exit_code == 0
    assert {"study", "baseline", "agreement", "everything", "ai-futures"} <= set(programmes())
    assert all(name in shown.stdout for name in [*programmes(), *actors()])


def test_scenarios_stand_beside_the_studys_words(run, tmp_path):
    shown = run("programmes", "miri-2025", "--scenarios", "--draws", "30")
    assert shown.exit_code == 0
    words = ("low", "moderate", "high", "very high")
    assert all(re.search(rf"│ {word} ", shown.stdout) for word in words)
    assert all(re.search(rf"^ {nodes} ", shown.stdout, re.MULTILINE) for nodes in ("4", "72", "500", "4,000"))
    rows = json.loads(run("programmes", "miri-2025", "--scenarios", "--draws", "30", "--json", "-").stdout)
    assert [row["study_words"] for row in rows] == [word for word in words for _ in range(3)]
    for row in rows:
        assert formats.percent(row["all_channels"]) in shown.stdout
    assert not (tmp_path / "reports").exists()


def test_scenarios_to_a_file(run, tmp_path):
    assert run("programmes", "miri-2025", "--scenarios", "--draws", "10", "--json", "own/rows.json").exit_code == 0
    assert len(json.loads((tmp_path / "own" / "rows.json").read_text("utf-8"))) == 12


PLAY = ("programmes", *SMALL)
SCENES = ("programmes", "miri-2025", "--scenarios", "--draws", "5")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("programmes",), "REGIME"),
        (("programmes", "miri-2052"), "miri-2025"),
        (("programmes", "absent.yaml"), "absent.yaml"),
        ((*PLAY, "--actor", "nobody"), "actor: expected"),
        ((*PLAY, "--actor", "gone.yaml"), "gone.yaml"),
        ((*PLAY, "--actor", "odd.yaml"), "odd.yaml: colour"),
        ((*PLAY, "--actor", "own.yaml"), "own.yaml: programme"),
        ((*PLAY, "--actor", ""), "actor: expected"),
        ((*PLAY, "--programme", "nothing"), "programme: expected"),
        ((*PLAY, "--programme", "studdy"), "study"),
        ((*PLAY, "--programme", "far.yaml"), "far.yaml: settings.stings"),
        ((*PLAY, "--programme", "broken.yaml"), "broken.yaml"),
        ((*PLAY, "--programme", "mine.yaml"), "mine.yaml: actor"),
        *(((*PLAY, "--bound", text), "--bound") for text in ("0", "1", "-1", "nan", "inf", "often")),
        *(((*PLAY, "--target", text), "--target") for text in ("0", "-1", "nan", "1e40", "lots")),
        *(((*PLAY, "--state-budget", text), "--state-budget") for text in ("-1", "nan", "inf", "all")),
        *(((*PLAY, "--max-nodes", text), "--max-nodes") for text in ("0", "-1", "1.5", "nan")),
        *(((*PLAY, "--max-days", text), "--max-days") for text in ("0", "nan", "1e9")),
        *(((*PLAY, "--draws", text), "--draws") for text in ("0", "-1", "1.5", "1000000000000", "many")),
        *(((*PLAY, "--seed", text), "--seed") for text in ("-1", "1.5", "1000000000000")),
        ((*PLAY, "--objective", "win"), "--objective"),
        ((*PLAY, "--posterior", "absent.csv"), "absent.csv"),
        ((*PLAY, "--network", "moon"), "moon"),
        ((*PLAY, "--network", "colocated"), "25 Gbit/s"),
        ((*PLAY, "--chip", "H101"), "H101"),
        ((*PLAY, "--chip", "TPU-v7"), "price_usd"),
        (("programmes", "miri-2025", "--chip", "V100-SXM-32GB", "--precision", "fp8"), "number format"),
        (("programmes", "miri-2052", "--scenarios"), "miri-2025"),
        (("programmes", "miri-2025", "--scenarios", "--draws", "0"), "--draws"),
        ((*SCENES, "--network", "moon"), "moon"),
        ((*SCENES, "--target", "1e24"), "--target"),
        ((*SCENES, "--actor", "lab"), "--actor"),
        ((*SCENES, "--programme", "study"), "--programme"),
        ((*SCENES, "--bound", "0.1"), "--bound"),
        ((*SCENES, "--state-budget", "1e8"), "--state-budget"),
        ((*SCENES, "--posterior", "absent.csv"), "--posterior"),
        ((*SCENES, "--chip", "GB300"), "--chip"),
        ((*SCENES, "--mode", "flat"), "--mode"),
        ((*SCENES, "--precision", "fp8"), "--precision"),
        ((*SCENES, "--max-days", "10"), "--max-days"),
        ((*SCENES, "--max-nodes", "10"), "--max-nodes"),
        ((*SCENES, "--html", "x.html"), "--html"),
        ((*SCENES, "--objective", "expected"), "--objective"),
        ((*SCENES, "--max-nodes", "0"), "--max-nodes"),
        ((*SCENES, "--state-budget", "0"), "--state-budget"),
        ((*SCENES, "--bound", "0"), "--bound"),
        (("assess", *SMALL, "--programme", "nothing"), "programme: expected"),
        (("assess", *SMALL, "--programme", "far.yaml"), "far.yaml: settings.stings"),
        (("assess", *SMALL, "--actor", "nobody"), "actor: expected"),
        (("assess", *SMALL, "--actor", "odd.yaml"), "odd.yaml: colour"),
        (("assess", "miri-2025", "--central-only", "--programme", "study"), "--programme"),
        (("assess", "miri-2025", "--central-only", "--actor", "company"), "--actor"),
        (("assess", "miri-2025", "--model", "published", "--programme", "study"), "--programme"),
        (("assess", "miri-2025", "--model", "published", "--actor", "lab"), "--actor"),
    ],
    ids=lambda value: " ".join(value[-3:]) if isinstance(value, tuple) else "",
)
def test_bad_input_ends_with_a_sentence_and_status_2(run, tmp_path, arguments, words):
    before = sorted(tmp_path.rglob("*"))
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert words in result.stderr.strip().splitlines()[-1]
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert sorted(tmp_path.rglob("*")) == before


VALUES = {
    "--target": "1e24", "--actor": "lab", "--programme": "study", "--bound": "0.1", "--state-budget": "1e8",
    "--objective": "expected", "--posterior": "absent.csv", "--chip": "GB300", "--precision": "fp8", "--mode": "flat",
    "--max-days": "10", "--max-nodes": "10", "--html": "x.html",
}  # fmt: skip


def test_every_option_that_scenarios_do_not_read_is_refused_by_its_own_name(run):
    """By the name that a person typed, even where its value is the default one."""
    command = main.commands["programmes"]
    read = {"regime", "draws", "seed", "network", "scenarios", "json_file"}
    options = {
        one.opts[-1]: one
        for one in command.params
        if isinstance(one, click.Option) and one.name not in read and one.expose_value
    }
    assert set(options) == set(VALUES)
    for option, value in VALUES.items():
        result = run(*SCENES, option, value)
        assert result.exit_code == 2, option
        assert result.stderr.startswith(f"thresher: {option}: expected no such option with --scenarios"), result.stderr
    result = run(*SCENES, "--objective", "finish")
    assert result.exit_code == 2 and result.stderr.startswith("thresher: --objective: ")


@pytest.mark.parametrize("option", ["--html", "--json"])
@pytest.mark.parametrize("path", ["/proc/nope/out", "mine.yaml/out", "."])
def test_a_path_that_cannot_be_written_is_refused_by_name(run, option, path):
    result = run("programmes", *SMALL, "--actor", "poor.yaml", option, path)
    assert result.exit_code == 2, result.output
    assert f"thresher: {path}: expected a path that can be written" in result.stderr
    assert "Traceback" not in result.output and result.stdout == ""


# assess

ASSESS = ("assess", "miri-2025", "--chip", "GB300", "--mode", "flat", "--target", "1e24")


@pytest.fixture(scope="module")
def assessed(folder):
    shown = run_in(folder, *ASSESS, "--draws", "48")
    assert shown.exit_code == 0, shown.output
    return shown.stdout


@pytest.fixture(scope="module")
def assessment(folder, assessed):
    return json.loads((folder / "reports" / "miri-2025.json").read_text("utf-8"))


def detection(folder, *options):
    data = json.loads(run_in(folder, *ASSESS, "--draws", "24", *options, "--json", "-").stdout)
    return data["inputs"], data["outcomes"]["answers"][0]["detection"]["timeline"]


def test_assess_says_whether_it_would_be_noticed(assessed, assessment):
    seen = assessment["outcomes"]["answers"][0]["detection"]["timeline"]
    shown = flat(assessed)
    assert "Would it be noticed?" in shown
    paragraph = shown[shown.index("Would it be noticed?") :]
    for value in (1 - seen["finish_mean"], seen["share_done"]):
        assert formats.percent(value) in paragraph
    assert formats.number(seen["false_leads_per_year"][0]) in paragraph
    first = max(seen["causes"], key=lambda one: one["first_by_finish"])
    assert texts()[first["countermeasure"]].title.lower() in paragraph
    assert "agreement" in paragraph and "company" in paragraph


def test_assess_keeps_detection_in_its_result_file(assessment):
    assert assessment["inputs"]["programme"]["name"] == "agreement"
    assert assessment["inputs"]["actor"]["name"] == "company"
    seen = assessment["outcomes"]["answers"][0]["detection"]["timeline"]
    assert {one["countermeasure"] for one in seen["causes"]} == set(countermeasures()) - {"investigations"}
    assert sum(one["first_by_finish"] for one in seen["causes"]) == pytest.approx(1 - seen["finish_mean"])
    assert seen["mean_undetected"][0] == 1 and len(seen["undetected"]) == 5
    assert seen["leaks"] and seen["way"]["route"]
    assert assessment["outcomes"]["answers"][0]["detection"]["within_means"] == 1


def test_the_report_of_assess_has_a_section_for_each_countermeasure(folder, assessed, assessment):
    page = (folder / "reports" / "miri-2025.html").read_text("utf-8")
    parsed = Page(page)
    assert not parsed.open and "script" not in {tag for tag, _ in parsed.tags}
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {"noticed", *(f"countermeasure-{name}" for name in texts())} <= set(ids)
    for text in texts().values():
        for words in (text.assumes, text.catches, text.burdens, text.blind):
            assert flat(words) in parsed.text
    seen = assessment["outcomes"]["answers"][0]["detection"]["timeline"]
    assert formats.percent(1 - seen["finish_mean"]) in parsed.text
    for name, row in settings().items():
        if row.countermeasure != "investigations":
            assert flat(row.description) in parsed.text, name


def test_a_stronger_programme_detects_more(folder):
    asked, none = detection(folder, "--programme", "baseline")
    assert asked["programme"]["name"] == "baseline"
    _, study = detection(folder, "--programme", "study")
    assert study["finish_mean"] < none["finish_mean"]
    assert none["false_leads_per_year"] == [0, 0, 0]
    assert study["false_leads_per_year"][0] > 0


def test_a_persons_own_programme_and_actor_count(folder):
    asked, seen = detection(folder, "--programme", "own.yaml", "--actor", "mine.yaml")
    assert (asked["programme"]["name"], asked["actor"]["name"]) == ("own", "me")
    assert asked["programme"]["settings"]["stings"] == 1
    assert seen["way"]["route"] in {"open", "stock"} and seen["programme"] == "own"


def test_who_could_not_come_by_the_chips_is_not_spoken_of(folder, run, tmp_path):
    (tmp_path / "few.yaml").write_text(MINE.replace("open: 5000, stock: 2000", "open: 2"), "utf-8")
    data = json.loads(run(*ASSESS, "--draws", "24", "--actor", "few.yaml", "--json", "-").stdout)
    assert data["outcomes"]["answers"][0]["detection"] == {"timeline": None, "within_means": 0.0}
    assert data["outcomes"]["answers"][0]["plan"] is not None


def test_too_few_draws_say_nothing_of_detection(run, tmp_path):
    shown = run(*ASSESS, "--draws", "5")
    assert shown.exit_code == 0, shown.output
    data = json.loads((tmp_path / "reports" / "miri-2025.json").read_text("utf-8"))
    assert data["outcomes"]["answers"][0]["detection"] == {"timeline": None, "within_means": 1.0}
    page = (tmp_path / "reports" / "miri-2025.html").read_text("utf-8")
    assert 'id="noticed"' not in page and "countermeasure-whistleblowing" not in page
    assert "false alarms a year" not in shown.stdout


def test_central_values_alone_say_nothing_of_detection(run):
    shown = run(*ASSESS, "--central-only", "--json", "-")
    data = json.loads(shown.stdout)
    assert data["outcomes"]["answers"][0]["detection"] is None
    assert data["inputs"]["programme"] is None and data["inputs"]["actor"] is None
