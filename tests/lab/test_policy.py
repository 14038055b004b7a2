"""The policy page as a server answers it: the same numbers as the command, wrong values told, the state in the address."""

import json

import pytest
from click.testing import CliRunner
from starlette.datastructures import QueryParams
from starlette.testclient import TestClient

from thresher.cli import main
from thresher.lab.app import create_app
from thresher.lab.policy.asked import read
from thresher.lab.settings import LabSettings

OWN_RULE = """\
regime: own
title: Our own rule
extends: miri-2025
jurisdiction: international
status: proposed
source: {title: us, address: here}
clauses:
  - {id: few, kind: cluster, reference: ours, text: few, metric: memory_gb, comparison: ">", threshold: 640, unit: GB,
     counts: {memory_kinds: [HBM]}, grouping: {over: site}}
"""
PART = {"HX-Request": "true", "Lab-Event": "change"}


@pytest.fixture(scope="module")
def client():
    with TestClient(create_app(LabSettings()), base_url="http://127.0.0.1:8765") as opened:
        yield opened


def asked(address):
    return read(QueryParams(address), LabSettings()).first


def test_the_page_opens_with_an_answer(client):
    page = client.get("/policy").text
    assert "Draft international agreement" in page
    assert 'data-answer="central"' in page
    assert "Cost below the line against declared training" in page


@pytest.mark.parametrize(
    "address",
    [
        "regime=miri-2026-memory&targets=1e25&compute=8&memory=none&days=300&formats=bf16&formats=fp8",
        "targets=1e24&bandwidth=0.02&days=700",
        "targets=1e24,1e25&actor=small-state&budget=5e8&registry_new=1&programme=study&nodes=500&network=continental&modes=flat",
    ],
)
def test_the_command_gives_the_same_bytes_as_the_json_twin(client, address):
    twin = client.get(f"/policy.json?{address}").text
    done = CliRunner().invoke(main, asked(address).command()[1:])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == json.loads(twin)
    assert json.loads(twin)["inputs"]["quick"] is True


def test_central_values_have_a_twin_and_a_command_too(client):
    address = "targets=1e24&compute=4"
    twin = client.get(f"/policy.json?{address}&draws=none").json()
    done = CliRunner().invoke(main, [*asked(address).command()[1:-2], "--central-only", "--json", "-"])
    assert json.loads(done.stdout) == twin


def test_a_moved_line_moves_the_answer_and_the_address(client):
    loose = client.get("/policy?targets=1e25&compute=64", headers=PART)
    strict = client.get("/policy?targets=1e25&compute=2", headers=PART)
    assert loose.headers["HX-Push-Url"] == "/policy?compute=64&targets=1e25"
    assert "<form" not in strict.text
    costs = [
        client.get(f"/policy.json?targets=1e25&compute={line}&draws=none").json()["outcomes"]["answers"][0]["plan"][
            "outcome"
        ]["cost_usd"]
        for line in (64, 2)
    ]
    assert costs[1] > costs[0]


def test_a_slider_on_its_way_leaves_no_trail_in_history(client):
    answer = client.get("/policy?targets=1e24&compute=9", headers=PART | {"Lab-Event": "input"})
    assert answer.headers["HX-Replace-Url"] == "/policy?compute=9&targets=1e24"
    assert "HX-Push-Url" not in answer.headers


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("compute=abc", "Compute of a site: expected a number from"),
        ("memory=-5", "Accelerator memory of a site: expected a number from 1 to"),
        ("targets=1e99", "Capabilities wanted: expected up to 4 numbers"),
        ("targets=1e24,1e25,1e26,1e27,1e28", "Capabilities wanted: expected up to 4 numbers"),
        ("nodes=2.5", "Most nodes: expected a whole number"),
        ("days=0", "Longest run: expected a number from 1 to"),
        ("regime=/etc/passwd", "Regime: expected one of"),
        ("chips=H100-SXM&chips=ABACUS", "Chips: expected some of"),
        ("network=carrier-pigeon", "Links between sites: expected one of"),
        ("whistleblower_reward=2", "expected a number from 0 to 0.3"),
        ("compute=nan", "got &#39;nan&#39;"),
        ("compute=0,5", "got &#39;0,5&#39;"),
        ("compute=%3Cscript%3Ealert(1)%3C/script%3E", "&lt;script&gt;alert(1)"),
    ],
)
def test_a_wrong_value_is_told_beside_its_field_and_blanks_nothing(client, address, told):
    whole = client.get(f"/policy?{address}&")
    assert whole.status_code == 200
    assert told in whole.text and "data-answer=" in whole.text and "<script>alert" not in whole.text
    part = client.get(f"/policy?{address}", headers=PART)
    assert part.headers["HX-Reswap"] == "none"
    assert told in part.text and "data-answer" not in part.text
    twin = client.get(f"/policy.json?{address}")
    assert twin.status_code == 422 and "expected" in twin.json()["error"]


def test_a_person_s_own_rule_and_programme_are_on_offer(tmp_path):
    rule, state = tmp_path / "own.yaml", tmp_path / "state.yaml"
    rule.write_text(
        OWN_RULE,
        "utf-8",
    )
    state.write_text("programme: ours\ntitle: Our programme\nextends: study\nsettings: {registry_new: 1}\n", "utf-8")
    with TestClient(
        create_app(LabSettings(regimes=(rule,), programmes=(state,))), base_url="http://127.0.0.1:8765"
    ) as opened:
        page = opened.get("/policy", params={"regime": str(rule), "programme": str(state), "targets": "1e24"}).text
    assert "Our own rule (own.yaml)" in page and "Our programme (state.yaml)" in page
    assert f"thresher assess {rule} --quick" in page


def test_a_file_that_is_no_rule_is_refused_before_anything_is_served(tmp_path):
    rule = tmp_path / "own.yaml"
    rule.write_text("regime: own\n", "utf-8")
    done = CliRunner().invoke(main, ["lab", "--no-browser", "--port", "0", "--regime", str(rule)])
    assert done.exit_code == 2 and "own.yaml" in done.output
    done = CliRunner().invoke(main, ["lab", "--no-browser", "--port", "0", "--store", str(tmp_path / "none.store")])
    assert done.exit_code == 2 and "none.store: expected a store" in done.output
    (tmp_path / "no.store").write_text("not a store", "utf-8")
    done = CliRunner().invoke(main, ["lab", "--no-browser", "--port", "0", "--store", str(tmp_path / "no.store")])
    assert done.exit_code == 2 and "no.store: expected a store" in done.output


def test_a_line_on_links_slows_those_that_are_faster(client):
    costs = []
    for line in ("", "&bandwidth=0.05", "&bandwidth=0.03"):
        twin = client.get(f"/policy.json?targets=1e25&draws=none{line}").json()
        costs.append(twin["outcomes"]["answers"][0]["plan"]["outcome"]["cost_usd"])
    assert costs[0] < costs[1] < costs[2]


def test_two_rules_stand_side_by_side(client):
    page = client.get("/policy?targets=1e24&against=miri-2026-memory&compute_2=4").text
    assert page.count("<article>") == 2
    assert "miri-2026-memory with compute 4" in page
    second = client.get("/policy.json?targets=1e24&against=miri-2026-memory&compute_2=4&which=second&draws=none").json()
    assert second["inputs"]["regime"].startswith("miri-2026-memory [compute=4")


def test_every_number_opens(client):
    page = client.get("/policy?targets=1e25").text
    targets = {part.split('"')[0] for part in page.split('popovertarget="')[1:]}
    ids = {part.split('"')[0] for part in page.split('<div popover id="')[1:]}
    assert targets == ids and len(ids) > 12
    assert "arXiv" in page or "https://" in page


def test_a_rule_without_lines_on_hardware_is_answered(client):
    page = client.get("/policy?regime=eu-ai-act&targets=1e24")
    assert page.status_code == 200 and "No clause of this rule looks at hardware" in page.text


def test_an_edited_rule_is_read_anew(tmp_path):
    rule = tmp_path / "own.yaml"
    rule.write_text(OWN_RULE, "utf-8")
    address = {"regime": str(rule), "targets": "1e25", "draws": "none"}
    with TestClient(create_app(LabSettings(regimes=(rule,))), base_url="http://127.0.0.1:8765") as opened:
        before = opened.get("/policy.json", params=address).json()
        rule.write_text(OWN_RULE.replace("threshold: 640", "threshold: 160"), "utf-8")
        after = opened.get("/policy.json", params=address).json()
    cost = [one["outcomes"]["answers"][0]["plan"]["outcome"]["cost_usd"] for one in (before, after)]
    assert cost[1] > cost[0]
