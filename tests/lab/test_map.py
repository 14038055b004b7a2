"""The map of the design space as a server answers it: `design`'s own numbers, piece by piece, wrong values told."""

import asyncio
import json
import re
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from click.testing import CliRunner
from starlette.datastructures import QueryParams
from starlette.testclient import TestClient

import thresher
from thresher.cli import main
from thresher.lab.app import create_app
from thresher.lab.map_of_lines import asked as asking
from thresher.lab.map_of_lines import drawing as drawings
from thresher.lab.map_of_lines.asked import CHANCE, COST, MULTIPLE, read
from thresher.lab.map_of_lines.drawing import Drawing, advance, coarse_first
from thresher.lab.map_of_lines.shown import Picture, burden_chart, map_chart, short
from thresher.lab.map_of_lines.tables import grid_rows, marked_rows
from thresher.lab.settings import LabSettings
from thresher.lab.work import Cancelled, Workshop
from thresher.thresholds.lines import label
from thresher.thresholds.sweep import with_stricter_plans

SMALL = "compute=4,16&memory=640,1280&draws=16"
OWN_RULE = """\
regime: own
title: Our <own> rule
extends: miri-2025
jurisdiction: international
status: proposed
source: {title: us, address: here}
clauses:
  - {id: few, kind: cluster, reference: ours, text: few, metric: memory_gb, comparison: ">", threshold: 640, unit: GB,
     counts: {memory_kinds: [HBM]}, grouping: {over: site}}
"""
PART = {"HX-Request": "true", "Lab-Event": "change"}


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """Sixteen draws are on offer too."""
    monkeypatch.setattr(asking, "DRAWS", (16, *asking.DRAWS))


@pytest.fixture(scope="module")
def client():
    with TestClient(create_app(LabSettings()), base_url="http://127.0.0.1:8765") as opened:
        yield opened


@pytest.fixture(scope="module")
def whole():
    """The small sweep as the verb has it."""
    return thresher.design("miri-2025", values={"compute": [4, 16], "memory": [640, 1280]}, targets=[1e25], draws=16)


def question(address, lab=None):
    return read(QueryParams(address), lab or LabSettings())


def drawing_for(asked):
    sweep = asked.sweep()
    return Drawing(sweep, tuple(map(label, coarse_first(sweep))))


@pytest.fixture(scope="module")
def drawn():
    """The small map, finished."""
    asked = asking.Asked("miri-2025", {"compute": (4.0, 16.0), "memory": (640.0, 1280.0)}, 1e25, "study", 548.0, 16)
    found = drawing_for(asked)
    while found.design is None:
        found.go_on(lambda _message: None)
    return found


def rows_of(page, name="map"):
    text = re.search(rf'id="chart-{name}".*?<template class="data">(.*?)</template>', page, re.DOTALL)[1]
    return json.loads(text)


def test_the_finished_map_is_what_the_verb_finds(drawn, whole):
    assert drawn.design.as_result().as_json() == whole.as_result().as_json()


def test_the_json_twin_is_what_its_command_writes(client):
    twin = client.get(f"/map.json?{SMALL}")
    assert twin.status_code == 200
    done = CliRunner().invoke(main, question(SMALL).asked.command()[1:])
    assert done.exit_code == 0, done.output
    assert twin.text == done.stdout


def test_the_page_has_the_numbers_the_command_the_marks_and_the_links(client, whole):
    client.get(f"/map.json?{SMALL}")
    page = client.get(f"/map?{SMALL}").text
    cells = {cell["lines"]: cell for cell in rows_of(page)["cells"]}
    assert len(cells) == 4
    amendment = cells["16 H100-equivalents and 1,280 GB"]
    assert amendment["amendment"] == "amendment"
    assert amendment["words"] == short(whole.main(whole.amendment).cost_usd.q50, COST)
    link = urlsplit(amendment["href"])
    assert link.path == "/policy"
    assert parse_qs(link.query) == {
        "regime": ["miri-2025"],
        "compute": ["16"],
        "memory": ["1280"],
        "targets": ["1e25"],
    }
    assert "Not among the lines swept: rule as written" in page
    assert "thresher design miri-2025 --values=compute=4,16 --values=memory=640,1280" in page
    assert "efficient frontier" in page
    assert 'hx-get="/map/more' not in page  # it is finished


def test_an_unfinished_map_asks_for_more_until_it_is_whole(client):
    address = f"{SMALL}&target=2e24"
    page = client.get(f"/map?{address}").text
    assert "0 of 5 combinations worked out" in page
    assert {cell["words"] for cell in rows_of(page)["cells"]} == {"…"}
    for _piece in range(6):
        answer = client.get(f"/map/more?{address}", headers=PART)
        assert answer.status_code == 200
        if "hx-retarget" in answer.headers:
            break
        assert 'class="newer" data-chart="chart-map"' in answer.text
    assert answer.headers["hx-retarget"] == "#answer"
    assert "…" not in {cell["words"] for cell in rows_of(answer.text)["cells"]}
    assert "It is on the frontier" in answer.text or "It is not on the frontier" in answer.text


def test_colour_and_budget_move_no_number_and_need_no_new_work(client, whole, monkeypatch):
    client.get(f"/map.json?{SMALL}")
    monkeypatch.setattr(drawings, "work_out", lambda *_: pytest.fail("worked out anew"))
    answer = client.get(f"/map?{SMALL}&colour=chance&budget=3e8", headers={**PART, "Lab-Event": "input"})
    assert answer.headers["hx-replace-url"].startswith("/map?colour=chance&budget=3e8&")
    assert "undetected or not" in answer.text
    assert rows_of(answer.text)["rows"][0]["share_within_300000000_usd"] <= 1.0


def test_the_chance_is_the_share_of_draws_within_the_budget(drawn):
    for budget in (1e7, 1e8, 1e9, 1e12):
        done = Picture(drawn, asking.Question(None, None, CHANCE, budget)).done
        for name, cost in drawn.costs.items():
            assert done[name].chance == np.mean(cost <= budget)
            assert done[name].chance <= done[name].reached
    verdict = {label(cell.lines): drawn.design.main(cell).within_budget for cell in drawn.design.cells}
    done = Picture(drawn, asking.Question(None, None, CHANCE, 1e9)).done
    assert {name: cell.chance for name, cell in done.items()} == verdict


def test_the_multiple_is_of_the_rule_as_written(drawn):
    shown = Picture(drawn, question(f"{SMALL}&colour=multiple"))
    written = label(drawn.sweep.anchors["as_written"])
    assert shown.done[written].value(MULTIPLE) == 1.0
    assert all(cell.value(MULTIPLE) >= 1.0 for cell in shown.done.values())  # all are at least as strict


def test_the_tables_say_what_the_design_says(drawn):
    shown = Picture(drawn, question(SMALL))
    rows = marked_rows(shown, drawn.design)
    assert len({row.words for row in rows}) == len(rows) >= len(drawn.design.steps)
    assert [row.marks for row in rows if "rule as written" in row.marks]
    top = rows[0]
    assert top.burden.words.endswith(f"of {drawn.design.reference_systems}")
    assert len(top.burden.explanation.parts) == drawn.design.steps[0].burden
    assert top.cost.explanation.value == drawn.design.main(drawn.design.steps[0]).cost_usd.q50
    grid = grid_rows(shown)
    assert [row.line for row in grid] == ["1,280", "640"]
    assert all(href.startswith("/policy?") for row in grid for _, _, href in row.cells)
    assert burden_chart(shown, drawn.design).rows


def test_combinations_that_leave_the_same_nodes_are_worked_out_once(monkeypatch):
    calls = []
    monkeypatch.setattr(drawings, "work_out", lambda task, _progress: calls.append(task) or {})
    found = drawing_for(question("compute=1&memory=1280,2560,5120,none&draws=16").asked)
    for name in found.order:
        found._work_out(name, lambda _message: None)
    assert len(calls) < len(found.order)


def test_a_coarse_picture_comes_first():
    sweep = question("").asked.sweep()
    order = [label(cell) for cell in coarse_first(sweep)]
    assert order[:2] == [label(sweep.anchors["as_written"]), label(sweep.anchors["amendment"])]
    corners = {"compute=1 memory=160", "compute=1 memory=none", "compute=128 memory=160", "compute=128 memory=none"}
    assert set(order[2:6]) == corners
    assert sorted(order) == sorted(sweep.tasks)


def test_what_is_done_so_far_is_no_cheaper_than_the_whole(drawn):
    sweep = drawn.sweep
    part = Drawing(sweep, drawn.order, dict(list(drawn.done.items())[:2]))
    for name, cost in part._costs().items():
        assert np.all(cost >= drawn.costs[name])
    arrays = with_stricter_plans(sweep.axes, sweep.cells, [drawn.done[label(cell)] for cell in sweep.cells])
    for cell, found in zip(sweep.cells, arrays, strict=True):
        assert np.array_equal(found["cost_usd"][0], drawn.costs[label(cell)])


class Asker:
    """A request whose asker leaves when told."""

    def __init__(self, workshop):
        self.app = SimpleNamespace(state=SimpleNamespace(workshop=workshop))
        self.gone = False

    async def is_disconnected(self):
        return self.gone


def test_the_work_ends_when_its_asker_leaves_and_goes_on_for_another(whole):
    found = drawing_for(question(SMALL).asked)

    async def leave_and_return():
        workshop = Workshop()
        asker = Asker(workshop)
        piece = asyncio.ensure_future(advance(asker, found))
        await asyncio.sleep(0.1)
        asker.gone = True
        with pytest.raises(Cancelled):
            await piece
        await asyncio.sleep(1.5)
        stopped = len(found.done)
        await asyncio.sleep(2.5)
        assert len(found.done) == stopped < len(found.order)
        other = Asker(workshop)
        while found.design is None:
            await advance(other, found)
        workshop.close()

    asyncio.run(leave_and_return())
    assert found.design.as_result().as_json() == whole.as_result().as_json()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("compute=abc", "expected LINE, LINE, ... or LOW:HIGH:COUNT"),
        ("compute=0.001", "expected lines from 0.01 to"),
        ("memory=nan", "expected lines from 1 to"),
        ("memory=64:32:4", "LOW:HIGH:COUNT"),
        ("compute=1:128:30&memory=100:9000:30", "at most 144 combinations"),
        ("target=1e40", "expected a number from"),
        ("draws=7", "expected one of"),
        ("regime=nowhere", "expected one of"),
        ("budget=-1", "expected a number from"),
        ("days=x", "expected a number from"),
        ("colour=%3Cscript%3E", "expected one of"),
    ],
)
def test_a_wrong_value_is_told_beside_its_field_and_blanks_nothing(client, given, told):
    name = given.partition("=")[0]
    part = client.get(f"/map?{given}", headers=PART)
    assert part.status_code == 200
    assert part.headers["hx-reswap"] == "none"
    message = re.search(rf'id="p-{name}"[^>]*>(.*?)</p>', part.text)[1]
    assert told in message
    page = client.get(f"/map?{given}")
    assert page.status_code == 200
    assert told in page.text
    assert "The map is for the usual value" in page.text
    assert "<script>" not in page.text
    assert client.get(f"/map.json?{given}").status_code == 422


def test_lines_are_given_in_the_commands_own_syntax():
    asked = question("compute=2:32:3&memory=none, 640,640").asked
    assert asked.values == {"compute": (2.0, 8.0, 32.0), "memory": (640.0, None)}
    assert asked.command()[3:5] == ["--values=compute=2,8,32", "--values=memory=640,none"]


def test_everything_else_goes_along_to_the_policy_page_and_the_command():
    asked = question("network=residential&days=300&target=1e24&regime=miri-2026-memory").asked
    link = parse_qs(urlsplit(asked.policy({"compute": 8.0, "memory": None})).query)
    assert link == {
        "regime": ["miri-2026-memory"], "compute": ["8"], "memory": ["none"], "targets": ["1e24"],
        "network": ["residential"], "days": ["300"],
    }  # fmt: skip
    assert {"--network=residential", "--max-days=300", "--target=1e24"} <= set(asked.command())


def test_a_rule_of_ones_own_is_on_offer(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(OWN_RULE)
    with TestClient(create_app(LabSettings(regimes=(path,))), base_url="http://127.0.0.1:8765") as client:
        page = client.get("/map", params={"regime": str(path), "compute": "16", "memory": "1280", "draws": "16"})
        assert page.status_code == 200
        assert "Our &lt;own&gt; rule" in page.text
        assert f"design {path}" in page.text


def test_what_is_out_of_reach_is_said_in_words():
    asked = question("compute=1&memory=80&target=1e27&draws=16&days=30")
    found = drawing_for(asked.asked)
    while found.design is None:
        found.go_on(lambda _message: None)
    shown = Picture(found, asked)
    chart = map_chart(shown)
    assert chart.data["cells"][0]["words"] == "out"
    assert chart.data["cells"][0]["shade"] is None
    assert "out of reach in most draws" in chart.caption
    assert burden_chart(shown, found.design) is None
