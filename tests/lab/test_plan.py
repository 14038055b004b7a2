"""The plan page as a server answers it: the command's numbers, its file both ways, wrong values told, drawings that add up."""

import html
import io
import json
import re
import tomllib
from itertools import pairwise

import pytest
from click.testing import CliRunner
from starlette.datastructures import QueryParams
from starlette.testclient import TestClient

from tests.conftest import PLAN, plan_with
from thresher.cli import main
from thresher.lab.app import create_app
from thresher.lab.charts import names, specification
from thresher.lab.plan import drawn
from thresher.lab.plan.form import HEADINGS, SLIDERS, form_fields, query_of, read, usual
from thresher.lab.plan.shown import everything, shown
from thresher.lab.plan.views import MOST_FILE
from thresher.simulation.anatomy import Pulse, Traffic, anatomy, physics_of
from thresher.simulation.outcomes import outcome_fields
from thresher.simulation.plans import check_plan, plan_fields, plan_text, simulate_plan

PART = {"HX-Request": "true", "Lab-Event": "change"}
OWN = {"Origin": "http://127.0.0.1:8765"}
ADDRESSES = {
    "the usual": "",
    "a few moved": "nodes=33&params=4e10&inner_steps=40&compression=12.5&error_feedback=no",
    "stated days": "duration_days=61.7&profile=cross-continental",
    "a stated network": "profile=none&upload_mbps=77.7777777777777&download_mbps=300&latency_ms=0&overlap=yes",
    "two tiers": "mode=hierarchical&nodes=64&nodes_per_group=8&regional_rounds=5&topology=relay",
    "a pipeline": "mode=pipeline&nodes=200&chips_per_node=2&chip=H100-SXM&schedule=zero_bubble",
    "a swarm": "mode=swarm&nodes=400&chips_per_node=1&chip=RTX-4090&params=1.5e10&activation_compression=32",
    "one site": "mode=datacenter&duration_days=90&precision=fp8&chip=H100-SXM",
    "a price of one's own": "chip_price_usd=12345.678&unique_tokens=2e11&departures_per_day=0.25&data_delivery=stream",
}
every_address = pytest.mark.parametrize("address", ADDRESSES.values(), ids=ADDRESSES)


@pytest.fixture(scope="module")
def client():
    with TestClient(create_app(), base_url="http://127.0.0.1:8765") as opened:
        yield opened


def question(address=""):
    return read(QueryParams(address))


def taken_apart(address):
    plan = question(address).plan
    outcome = simulate_plan(plan)
    return plan, outcome, anatomy(plan, outcome, physics_of(plan))


# The page and its answer


def test_the_page_opens_with_an_answer(client):
    page = client.get("/plan").text
    assert "160 chips in 20 nodes train 72.7 billion parameters" in page
    for title in (
        "Compute and communication",
        "Memory of a chip",
        "An hour of a node",
        "Factors of efficiency",
        "Evidence horizon",
    ):
        assert title in page


def test_the_first_plan_is_the_documented_one_without_what_would_hide_the_sliders():
    documented = {**PLAN["plan"], **PLAN["network"]}
    differs = {name for name in documented.keys() | usual().keys() if documented.get(name) != usual().get(name)}
    assert differs == {"compute_seconds_per_step", "inner_steps", "bytes_per_value", "profile", *PLAN["network"]}
    check_plan(
        {"plan": {k: v for k, v in usual().items() if k != "profile"}, "network": {"profile": usual()["profile"]}}
    )


def test_every_field_of_a_plan_is_a_field_of_the_form():
    fields = {one.name: one for one in form_fields()}
    assert fields.keys() == plan_fields().keys()
    assert {name for members in HEADINGS.values() for name in members} == plan_fields().keys()
    for name, one in plan_fields().items():
        assert fields[name].help.startswith(one.description)
        if one.kind in ("number", "integer"):
            assert (fields[name].minimum, fields[name].maximum) == (one.minimum, one.maximum)
    assert SLIDERS.keys() <= fields.keys()


def test_a_part_is_the_answer_alone_and_the_address_follows(client):
    decided = client.get("/plan?nodes=33", headers=PART)
    assert "<form" not in decided.text
    assert decided.headers["HX-Push-Url"] == "/plan?nodes=33"
    moving = client.get("/plan?nodes=33", headers={**PART, "Lab-Event": "input"})
    assert moving.headers["HX-Replace-Url"] == "/plan?nodes=33"


def test_a_blank_box_shows_what_the_model_took():
    answer = shown(question("mode=pipeline&nodes=200&chips_per_node=2"))
    outcome = simulate_plan(question("mode=pipeline&nodes=200&chips_per_node=2").plan)
    boxes = {name.removeprefix("f-"): float(box["shown"]) for name, box in answer.form.shown.items()}
    assert boxes["inner_steps"] == outcome["inner_steps"]
    assert boxes["stages"] == outcome["stages"]
    assert boxes["duration_days"] == pytest.approx(outcome["days"], rel=1e-3)
    assert boxes["upload_mbps"] == 856  # of the profile
    assert boxes["tokens"] == 1.1e12


# The same numbers as the command, through the file


@every_address
def test_the_file_and_the_command_give_the_bytes_of_the_json_twin(client, address, tmp_path):
    twin, file = client.get(f"/plan.json?{address}"), client.get(f"/plan.toml?{address}")
    assert 'filename="plan.toml"' in file.headers["Content-Disposition"]
    (tmp_path / "plan.toml").write_text(file.text, "utf-8")
    done = CliRunner().invoke(main, ["simulate", str(tmp_path / "plan.toml"), "--json", "-"])
    assert done.exit_code == 0, done.output
    assert done.stdout == twin.text
    assert client.get(f"/plan?{address}").status_code == 200


@every_address
def test_a_file_opened_is_the_state_it_came_from(client, address):
    before = client.get(f"/plan.toml?{address}").text
    opened = client.post("/plan/open", files={"file": ("mine.toml", before)}, headers=OWN, follow_redirects=False)
    assert opened.status_code == 303
    state = opened.headers["Location"].partition("?")[2]
    assert client.get(f"/plan.json?{state}").text == client.get(f"/plan.json?{address}").text
    assert client.get(f"/plan.toml?{state}").text == before


@pytest.mark.parametrize(
    "document",
    [
        PLAN,
        plan_with(
            duration_days=12.25, tokens=None, topology=None, compression=None, local_batch_tokens=None, overlap=True
        ),
        plan_with(chip="b200", network={"profile": "Residential", "upload_mbps": 33.3}),
        {"plan": {**plan_with(mode="datacenter")["plan"]}},
    ],
)
def test_a_file_of_ones_own_gives_what_the_command_gives(client, document):
    text = plan_text(document)
    opened = client.post("/plan/open", files={"file": ("mine.toml", text)}, headers=OWN, follow_redirects=False)
    state = opened.headers["Location"].partition("?")[2]
    assert client.get(f"/plan.json?{state}").json() == json.loads(json.dumps(simulate_plan(check_plan(document))))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "expected"),
        (b"[plan", "valid TOML"),
        (b"[plan]\nnodes = 0", "mine.toml: [plan] nodes: expected a whole number"),
        (b"[plan]\nnodez = 3", "did you mean nodes"),
        (b"\xff\xfe", "UTF-8"),
        (b"#" * (MOST_FILE + 10), "at most"),
        (b"[plan]\nx = '<script>alert(1)</script>'", "a known field"),
        (b"a = " + b"[" * 5000, "valid TOML"),
        (b"[plan]\nnodes = " + b"9" * 5000, "valid TOML"),
    ],
)
def test_a_wrong_file_is_told_on_the_page(client, content, said):
    answer = client.post("/plan/open", files={"file": ("mine.toml", content)}, headers=OWN)
    assert answer.status_code == 422
    assert said in html.unescape(answer.text)
    assert "<script>alert" not in answer.text
    assert 'data-answer="plan"' in answer.text  # the page stays whole


def test_a_file_must_come_from_the_labs_own_page(client):
    assert client.post("/plan/open", files={"file": ("mine.toml", "")}).status_code == 403
    assert client.post("/plan/open", headers=OWN).status_code == 422
    large = {"file": ("mine.toml", io.BytesIO(b"#" * (300 * 1024)))}
    assert client.post("/plan/open", files=large, headers=OWN).status_code == 413
    hostile = {"file": ('"><img src=x>.toml', b"\xff")}
    assert "<img" not in client.post("/plan/open", files=hostile, headers=OWN).text


# What is wrong is told beside its field


@pytest.mark.parametrize(
    ("address", "field", "said"),
    [
        ("nodes=0", "nodes", "expected a whole number from 1 to 10,000,000"),
        ("nodes=2.5", "nodes", "got '2.5'"),
        ("params=many", "params", "got 'many'"),
        ("mode=flatt", "mode", "expected one of flat"),
        ("chip=B2000", "chip", "expected one of"),
        ("chip=Ascend-960", "chip", "is known for bf16"),
        ("precision=fp8&chip=A100-SXM-80GB", "chip", "is known for fp8"),
        ("tokens=1e12&duration_days=30", "duration_days", "exactly one of the two"),
        ("profile=none", "upload_mbps", "or a profile"),
        ("active_params=1e12&params=1e11", "active_params", "at most params"),
        ("mode=hierarchical&nodes=4&nodes_per_group=8", "nodes_per_group", "at most nodes"),
        ("compression=%3Cscript%3Ealert(1)%3C/script%3E", "compression", "expected a number"),
    ],
)
def test_a_wrong_value_is_told_beside_its_field_and_the_page_stays(client, address, field, said):
    part = client.get(f"/plan?{address}", headers=PART)
    assert part.status_code == 200
    assert part.headers["HX-Reswap"] == "none"
    assert "data-answer" not in part.text
    told = {name: html.unescape(words) for name, words in re.findall(r'id="p-(\w+)"[^>]*>([^<]+)</p>', part.text)}
    assert told.keys() == {field}
    assert said in told[field]
    whole = client.get(f"/plan?{address}")
    assert whole.status_code == 200
    assert said in html.unescape(whole.text)
    assert "The answer is for the usual value where a field is wrong" in whole.text
    assert 'data-answer="plan"' in whole.text
    assert "<script>alert" not in whole.text
    for twin in ("json", "toml"):
        refused = client.get(f"/plan.{twin}?{address}")
        assert refused.status_code == 422
        assert said in refused.json()["error"]


def test_two_wrong_values_are_both_told(client):
    page = client.get("/plan?nodes=x&params=y", headers=PART).text
    assert "got &#39;x&#39;" in page and "got &#39;y&#39;" in page


@pytest.mark.parametrize(
    ("address", "said", "drawn_too"),
    [
        ("params=1e13", "does not fit in the nodes' memory: a node needs", True),
        ("mode=swarm&nodes=1&params=8e11", "fewer nodes", True),
        ("mode=swarm&chip=T4&chips_per_node=1&nodes=90000&params=2e12", "This plan cannot run", False),
        ("mode=hierarchical&nodes=9&nodes_per_group=8", "two groups", True),
    ],
)
def test_a_plan_that_cannot_run_says_so_in_place_of_the_answer(client, address, said, drawn_too):
    for headers in (PART, {}):
        answer = client.get(f"/plan?{address}", headers=headers)
        text = html.unescape(answer.text)
        assert answer.status_code == 200
        assert "This plan cannot run" in text and said in text
        assert 'class="cards"' not in text
        if drawn_too:
            assert "Memory of a chip" in text
    assert said.removeprefix("This plan cannot run") in client.get(f"/plan.json?{address}").json()["error"]
    assert client.get(f"/plan.json?{address}").status_code == 422
    assert tomllib.loads(client.get(f"/plan.toml?{address}").text)["plan"]


def test_what_can_be_written_but_not_done_is_warned_of(client):
    page = client.get("/plan?compute_seconds_per_step=0.5").text
    assert "of the chips&#39; peak rate: check it" in page
    assert "peak rate: check it" not in client.get("/plan").text


# Numbers that open


@every_address
def test_every_outcome_opens_to_its_formula_and_sources(address):
    outcome = simulate_plan(question(address).plan)
    rows = {
        number.id.removeprefix("all-"): number
        for group in everything(question(address).plan)
        for _, number in group.rows
    }
    assert rows.keys() == {name for name in outcome if name in outcome_fields()}
    for name, number in rows.items():
        assert number.explanation.value == outcome[name], name
        assert number.explanation.how, name
    assert any("arXiv 2404.10102" in source.text for source in rows["flop_quality"].sources)
    assert any("TFLOP/s" in source.text for source in rows["cost_chips_usd"].sources)
    assert [part.name for part in rows["cost_usd"].explanation.parts][:2] == ["chips", "servers and their fabric"]


def test_an_explanation_follows_what_the_plan_states_and_what_the_model_took():
    tree = shown(question("inner_steps=30")).cards[0].number.explanation
    parts = {part.name: part for part in tree.parts}
    assert parts["inner steps between synchronisations"].how == "as the plan states it"
    assert parts["training tokens"].how == "as the plan states it"
    assert parts["training tokens"].value == 1.1e12
    assert parts["seconds of a round"].parts


def test_everything_is_a_part_and_a_page_of_its_own(client):
    part = client.get("/plan/everything?nodes=33", headers=PART).text
    assert "<html" not in part and "all-goodput" in part
    assert "<h1>" in client.get("/plan/everything?nodes=33").text
    assert client.get("/plan/everything?params=1e13").status_code == 422


# What is drawn is what was computed


@every_address
def test_the_drawn_parts_add_up(address):
    plan, outcome, parts = taken_apart(address)
    charts = {chart.name: chart for column in shown(question(address)).columns for chart in column}
    assert sum(row["seconds"] for row in charts["plan-step"].rows) == pytest.approx(outcome["step_seconds"])
    assert sum(row["share"] for row in charts["plan-step"].rows) == pytest.approx(1.0)
    assert sum(row["gb_of_all"] for row in charts["plan-memory"].rows) == pytest.approx(outcome["memory_needed_gb"])
    chips = plan["chips_per_node"] * (plan["nodes"] if plan["mode"] == "datacenter" else 1)
    usable = {line["line"]: line["gb"] for line in charts["plan-memory"].more["limits"]}["usable"]
    assert usable * chips == pytest.approx(outcome["memory_usable_gb"])
    assert max(row["end_s"] for row in charts["plan-rounds"].rows) == pytest.approx(
        drawn.ROUNDS * outcome["round_seconds"]
    )
    accounts = [row["flop"] for row in charts["plan-efficiency"].rows if row["part"] == "account"]
    assert accounts == pytest.approx([outcome[name] for name in ("flop", "flop_local", "flop_quality")])
    factors = [row["times"] for row in charts["plan-efficiency"].rows if "times" in row]
    left = 1.0
    for factor in factors:
        left *= factor
    assert left == pytest.approx(outcome["flop_quality"] / parts.peak_flop)


@every_address
def test_the_drawn_hour_holds_what_was_sent_in_it(address):
    """The steps of the drawn hour integrate to the megabits of the pulses in it, found here second by second."""
    _, _, parts = taken_apart(address)
    for line in (parts.internet, parts.regional):
        start = drawn.first_second(line.pulses, parts.round_seconds)
        steps = list(drawn.hour(line, parts.round_seconds, start))
        assert steps[0][0] == 0 and steps[-1][0] == pytest.approx(60)
        drawn_up = sum((b[0] - a[0]) * 60 * a[1] for a, b in pairwise(steps))
        sent, fine = 0.0, 40_000
        for step in range(fine):
            at = (start + (step + 0.5) * 3600 / fine) % parts.round_seconds
            sent += line.steady_up_mbps + sum(one.up_mbps for one in line.pulses if one.start <= at < one.end)
        assert drawn_up == pytest.approx(sent * 3600 / fine, rel=0.02, abs=1e-6)


@pytest.mark.parametrize("round_seconds", [5.0, 60.0, 700.0, 3600.0, 50_000.0])
def test_an_hour_of_whole_rounds_has_the_mean_of_a_round(round_seconds):
    pulses = (Pulse(0.8 * round_seconds, 0.9 * round_seconds, 40.0, 90.0),)
    line = Traffic(100.0, 100.0, 1.0, 2.0, pulses)
    steps = list(drawn.hour(line, round_seconds, 0.0))
    assert len(steps) <= 2 * drawn.MOST_PULSES + 2 + drawn.BINS
    mean = sum((b[0] - a[0]) * a[2] for a, b in pairwise(steps)) / 60
    if 3600 % round_seconds == 0:
        assert mean == pytest.approx(line.mean_mbps(round_seconds)[1])
        assert line.mean_mbps(round_seconds) == pytest.approx((5.0, 11.0))
    long_ago = drawn.first_second(pulses, round_seconds)
    assert max(step[2] for step in drawn.hour(line, round_seconds, long_ago)) > 10  # the burst is in sight


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.5, "0.5 s"),
        (119.0, "119 s"),
        (120.0, "2 minutes"),
        (7199.0, "120 minutes"),
        (7200.0, "2 hours"),
        (200000.0, "2.31 days"),
    ],
)
def test_durations_change_their_unit_where_they_should(seconds, words):
    assert drawn.duration(seconds) == words


@every_address
def test_what_follows_from_the_plan_alone_is_in_its_address(address):
    asked = question(address)
    again = read(QueryParams(asked.form.query))
    assert again.plan == asked.plan
    assert again.form.query == asked.form.query
    assert read(QueryParams(query_of(asked.stated))).plan == asked.plan


def test_every_chart_has_its_specification(client):
    for address in ADDRESSES.values():
        for column in shown(question(address)).columns:
            for chart in column:
                assert chart.spec in names()
                fields = set(re.findall(r'"field": "(\w+)"', json.dumps(specification(chart.spec))))
                given = {name for rows in (chart.rows, *chart.more.values()) for row in rows for name in row}
                if all([chart.rows, *chart.more.values()]):
                    assert fields <= given, (chart.spec, fields - given)
