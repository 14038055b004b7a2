"""Sweeps of thresholds: monotone, the same wherever they run, resumed where they stopped, and a frontier that nobody beats."""

from __future__ import annotations

import html
import io
import json
import logging
import re
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

import thresher
from thresher.assessment.assess import burden_of_reference_systems
from thresher.catalog import chip
from thresher.cli import Commands
from thresher.cli.design import design as command
from thresher.errors import InputError
from thresher.evasion import published_tables
from thresher.execution import Store
from thresher.regime import ClusterRow, load_regime
from thresher.thresholds import sweep as sweeps
from thresher.thresholds import wording as say
from thresher.thresholds.cells import COSTS, FIGURES, work_out
from thresher.thresholds.charts import charts
from thresher.thresholds.frontier import dominates, efficient, rivals
from thresher.thresholds.lines import amended, axes, cells, is_stricter, label, parse_values
from thresher.thresholds.report import html_report
from thresher.thresholds.sweep import prepare_sweep, run_sweep, with_stricter_plans
from thresher.thresholds.table import print_design

FEW = {"chips": ["A100-SXM-80GB", "MI300X"], "draws": 8, "targets": [1e24, 1e25]}
FEWER = {"chips": ["A100-SXM-80GB"], "draws": 2, "targets": [1e24]}
LINES = {"compute": [4, 16], "memory": [320, None]}
SMALL = ["miri-2025", "--chip", "A100-SXM-80GB", "--draws", "4", "--target", "1e24"]


@pytest.fixture(scope="module")
def sweep():
    """Two lines on compute and two on memory; the rule as written is among them, the amendment is not."""
    return prepare_sweep("miri-2025", values=LINES, **FEW)


@pytest.fixture(scope="module")
def kept(sweep, tmp_path_factory):
    """Where the sweep in this process keeps its cells."""
    return Store(tmp_path_factory.mktemp("kept"), sweep.signature)


@pytest.fixture(scope="module")
def here(sweep, kept):
    """The sweep in this process."""
    return run_sweep(sweep, kept=kept)


@pytest.fixture(scope="module")
def found(sweep, here, kept):
    """The arrays of every cell as it was searched."""
    return {name: kept.read(name) for name in sweep.tasks}


def invoke(*arguments, **kwargs):
    return CliRunner().invoke(Commands("thresher", commands={"design": command}), ["design", *arguments], **kwargs)


def answer(design, **lines):
    return next(cell for cell in design.cells if dict(cell.lines) == lines)


# A rule with its lines replaced


def rows(count, name="one", **more):
    return [ClusterRow(cluster=name, chip=chip("H100-SXM"), count=count, **more)]


def test_a_clause_is_moved_and_classify_agrees_on_both_sides_of_the_new_line():
    rule = amended(load_regime("miri-2025"), {"compute": 8.0})
    assert [clause.threshold for clause in rule.cluster_clauses if clause.metric == "h100_equivalents"] == [8.0]
    assert [rule.classify(rows(count))[0].covered for count in (8, 9)] == [False, True]


def test_a_clause_is_added_in_the_amendments_words():
    rule = amended(load_regime("miri-2025"), {"memory": 400.0})
    assert [rule.classify(rows(count))[0].covered for count in (5, 6)] == [False, True]
    gddr = [ClusterRow(cluster="one", chip=chip("RTX-4090"), count=20)]
    assert not rule.classify(gddr)[0].covered, "the amendment counts HBM"


def test_a_clause_is_dropped():
    rule = amended(load_regime("miri-2026-memory"), {"memory": None})
    assert [clause.metric for clause in rule.cluster_clauses] == ["h100_equivalents"]
    assert load_regime("miri-2026-memory").cluster_clauses != rule.cluster_clauses


def test_a_line_per_owner_leaves_the_line_per_site_alone():
    rule = amended(load_regime("miri-2025"), {"owner-compute": 20.0})
    assert sorted(clause.threshold for clause in rule.cluster_clauses) == [16.0, 20.0]
    two = [*rows(12, "one", site="a", owner="firm"), *rows(12, "two", site="b", owner="firm")]
    assert [decision.covered for decision in rule.classify(two)] == [True, True]
    apart = [*rows(12, "one", site="a", owner="firm"), *rows(12, "two", site="b", owner="other")]
    assert [decision.covered for decision in rule.classify(apart)] == [False, False]


def test_a_bandwidth_line_needs_a_rule_that_counts_by_links():
    assert amended(load_regime("miri-2025"), {"bandwidth": 0.1}).interconnect_limit_gbit_s == 0.1
    with pytest.raises(InputError, match="--vary bandwidth: expected a rule that counts nodes together by their links"):
        amended(load_regime("us-eo-14110"), {"bandwidth": 0.1})


def test_lines_as_people_write_them():
    given = parse_values(["memory=320,640,none", "compute=1:64:7"])
    assert given == {"memory": [320.0, 640.0, None], "compute": [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]}
    compute, memory = axes(["compute", "memory"], given)
    assert memory.values == (320.0, 640.0, None)
    assert len(cells([compute, memory])) == 21


# The sweep


def test_a_looser_line_is_never_dearer_in_any_draw(sweep, found):
    arrays = with_stricter_plans(sweep.axes, sweep.cells, [found[label(cell)] for cell in sweep.cells])
    pairs = 0
    for one, strict in zip(sweep.cells, arrays, strict=True):
        for other, loose in zip(sweep.cells, arrays, strict=True):
            if one is not other and is_stricter(one, other):
                pairs += 1
                for name in COSTS:
                    assert (loose[name] <= strict[name]).all()
                assert loose["largest_params"] >= strict["largest_params"]
    assert pairs > 5
    cheapest = {row: np.isfinite(arrays[-1]["cost_usd"][row]).sum() for row in range(2)}
    assert cheapest[0] == FEW["draws"], "1e24 is within reach of the loosest lines in every draw"


def test_figures_are_those_of_the_plan_taken(sweep, found):
    """Where a cell takes over a stricter one's plan, it takes all of it."""
    strict, loose = {"compute": 1.0}, {"compute": 2.0}
    one = {name: np.asarray([[5.0, 9.0]]) for name in FIGURES} | {
        "cost_usd": np.asarray([[5.0, 9.0]]),
        "largest_params": 3.0,
    }
    other = {name: np.asarray([[7.0, 7.0]]) for name in FIGURES} | {
        "cost_usd": np.asarray([[7.0, 7.0]]),
        "largest_params": 2.0,
    }
    first, second = with_stricter_plans(axes(["compute"]), [strict, loose], [one, other])
    assert all(first[name].tolist() == [[5.0, 9.0]] for name in (*COSTS, *FIGURES))
    assert all(second[name].tolist() == [[5.0, 7.0]] for name in (*COSTS, *FIGURES))
    assert second["largest_params"] == 3.0


def test_every_cell_and_the_anchors_are_answered(here):
    assert [dict(cell.lines) for cell in here.cells] == [
        {"compute": 4.0, "memory": 320.0},
        {"compute": 4.0, "memory": None},
        {"compute": 16.0, "memory": 320.0},
        {"compute": 16.0, "memory": 1280.0},
        {"compute": 16.0, "memory": None},
    ]
    assert [cell.on_grid for cell in here.cells] == [True, True, True, False, True]
    assert dict(here.as_written.lines) == {"compute": 16.0, "memory": None}
    assert dict(here.amendment.lines) == {"compute": 16.0, "memory": 1280.0}
    assert here.main_target == 1e24
    for cell in here.cells:
        for target in cell.targets:
            assert target.within_budget <= target.reached
            assert target.cost_usd.q05 <= target.cost_usd.q50 <= target.cost_usd.q95
            assert target.cost_over_loosest >= 1.0
            assert sum(target.modes.values()) == pytest.approx(1.0)


def test_the_burden_is_what_classify_counts(here, sweep):
    for cell, rule in zip(sweep.cells, sweep.rules, strict=True):
        covered = {item.system for item in burden_of_reference_systems(rule) if item.covered}
        mine = answer(here, **cell)
        assert set(mine.burdened) == covered and mine.burden == len(covered)
    assert answer(here, compute=4.0, memory=320.0).burden > here.as_written.burden


def test_own_clusters_are_a_burden_of_their_own(tmp_path):
    table = tmp_path / "own.csv"
    table.write_text("cluster,chip,count\nlab,H100-SXM,16\nsmall,A100-SXM-80GB,3\nbig,H100-SXM,64\n", "utf-8")
    found = thresher.design(
        "miri-2025",
        vary=["memory"],
        values={"memory": [320, None]},
        clusters=table,
        **FEWER,
    )
    assert found.own_clusters == 3
    assert [(dict(cell.lines)["memory"], cell.own_covered) for cell in found.cells] == [
        (320.0, 2),
        (1280.0, 1),
        (None, 1),
    ]
    assert [cell.weight - cell.burden for cell in found.cells] == [2, 1, 1]
    assert "2 of 3 of your clusters" in html_report(found)


def test_one_owner_is_bounded_and_owners_are_counted(tmp_path):
    lines = {"owner-compute": [40, 400, None]}
    owned = prepare_sweep("miri-2025", vary=["owner-compute"], values=lines, **(FEWER | {"draws": 6}))
    kept = Store(tmp_path / "kept", owned.signature)
    design = run_sweep(owned, kept=kept)
    found = [kept.read(label(cell)) for cell in owned.cells]
    strict, middle, free = found
    assert (strict["cost_usd"] >= free["cost_usd"]).all() and (strict["cost_usd"] > free["cost_usd"]).any()
    for name in ("spread_usd", "nodes", "mode"):
        assert np.array_equal(strict[name], free[name]), "whoever shares the fleet leaves the line per owner aside"
    met = np.isfinite(free["spread_usd"])
    assert (free["owners"][met] == 1).all()
    assert (strict["owners"][met] > 1).all() and (strict["owners"] >= middle["owners"]).all()
    unit = chip("A100-SXM-80GB")
    most = amended(load_regime("miri-2025"), {"owner-compute": 40.0}).largest_uncovered_count(unit, over="owner")
    assert (strict["chips"][met] <= strict["owners"][met] * most).all()
    arrays = with_stricter_plans(owned.axes, owned.cells, found)
    assert np.array_equal(arrays[2]["owners"], free["owners"]), "a looser line per owner keeps its own number of owners"
    assert design.cells[0].targets[0].several_owners == 1.0
    text = html_report(design)
    assert "one owner pays" in text and "shared out among" in text


def test_a_rule_that_leaves_no_node_is_out_of_reach():
    found = thresher.design("miri-2025", vary=["compute"], values={"compute": [0.05, 16]}, **FEWER)
    nothing = found.cells[0]
    assert nothing.largest_params == 0 and nothing.targets[0].reached == 0
    assert nothing.targets[0].cost_usd.q50 == np.inf
    data = json.loads(json.dumps(found.as_result().as_json(), allow_nan=False))
    assert data["outcomes"]["cells"][0]["targets"][0]["cost_usd"]["q50"] is None
    text = html_report(found)
    assert "out of reach" in text and "inf" not in re.sub(r"info\w*|infin\w*", "", text)


def test_a_rule_without_a_clause_on_hardware_can_be_given_one():
    found = thresher.design("eu-ai-act", vary=["compute"], values={"compute": [16]}, **FEWER)
    assert [dict(cell.lines)["compute"] for cell in found.cells] == [16.0, None]
    assert found.as_written.largest_params == np.inf
    assert found.cells[0].targets[0].cost_usd.q50 > found.as_written.targets[0].cost_usd.q50
    assert "no limit" in html_report(found)


# Wherever it runs


@pytest.fixture(scope="module")
def cluster():
    """The address of a Dask scheduler with two worker processes."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, processes=True, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
    ) as local:
        local.wait_for_workers(2)
        yield local.scheduler_address


@pytest.mark.parametrize("way", ["processes", "cluster"])
def test_the_same_numbers_wherever_it_runs(way, cluster):
    """With a posterior of one's own, which goes along."""
    engine = {"workers": 2} if way == "processes" else {"scheduler": cluster}
    small = FEWER | {"draws": 4, "values": {"compute": [8, 16], "memory": [1280]}}
    sweep = prepare_sweep("miri-2025", **small)
    assert run_sweep(sweep, **engine).as_result().as_json() == run_sweep(sweep).as_result().as_json()


def test_a_posterior_file_goes_along_to_other_machines(cluster, tmp_path):
    text = files("thresher.learning").joinpath("data", "replica_posterior.csv").read_text("utf-8").splitlines()
    path = tmp_path / "posterior.csv"
    path.write_text("\n".join(text[:40]) + "\n", "utf-8")
    small = FEWER | {"vary": ["compute"], "values": {"compute": [16]}}
    sweep = prepare_sweep("miri-2025", posterior=path, **small)
    shipped = prepare_sweep("miri-2025", **small)
    path.unlink()
    assert sweep.signature != shipped.signature
    there = run_sweep(sweep, scheduler=cluster)
    assert there.as_result().as_json() == run_sweep(sweep).as_result().as_json()
    assert there.cells != run_sweep(shipped).cells


def test_an_interrupted_sweep_goes_on_where_it_stopped(sweep, here, found, tmp_path, monkeypatch):
    ran = []

    def search(task):
        if len(ran) == stop:
            raise KeyboardInterrupt
        ran.append(task)
        return found[next(name for name, one in sweep.tasks.items() if one is task)]

    monkeypatch.setattr(sweeps, "work_out", search)
    stop = 2
    with pytest.raises(KeyboardInterrupt):
        run_sweep(sweep, kept=Store(tmp_path / "kept", sweep.signature))
    assert len(ran) == 2
    stop = None
    again = run_sweep(sweep, kept=Store(tmp_path / "kept", sweep.signature))
    assert len(ran) == len(sweep.tasks)
    assert again.as_result().as_json() == here.as_result().as_json()


def test_the_signature_tells_sweeps_apart():
    def signature(**more):
        return prepare_sweep("miri-2025", **(FEW | {"values": LINES} | more)).signature

    same = signature()
    assert signature() == same
    assert same not in {
        signature(draws=13), signature(seed=1), signature(targets=[1e24]), signature(chips=["H100-SXM"]),
        signature(network_profile="continental"), signature(longest_days=100), signature(values=LINES | {"compute": [4, 8]}),
    }  # fmt: skip


# The frontier


def test_a_frontier_by_hand():
    cost = np.asarray([10.0, 30.0, 29.0, 20.0, np.inf, 5.0, 30.5])
    burden = np.asarray([0.0, 4.0, 4.0, 5.0, 9.0, 0.0, 6.0])
    assert efficient(cost, burden, 0.05).tolist() == [True, True, True, False, True, False, True]
    # 30.5 for a burden of 6 is dearer than 30 for 4, if by less than the search can tell; 29 is as good as 30
    assert rivals(cost, burden, 0.05) == [None, None, None, 1, None, 0, None]
    assert efficient(cost, burden, 0.0).tolist() == [True, True, False, False, True, False, True]


def test_nobody_on_a_frontier_is_beaten_and_everybody_off_it_is():
    random = np.random.default_rng(0)
    cost, burden = random.lognormal(size=60), random.integers(0, 6, 60).astype(float)
    beats, best = dominates(cost, burden, 0.05), efficient(cost, burden, 0.05)
    found = rivals(cost, burden, 0.05)
    assert not beats.diagonal().any()
    assert not beats[:, best].any()
    for one in np.flatnonzero(~best):
        assert best[found[one]] and beats[found[one], one]
    assert all(found[one] is None for one in np.flatnonzero(best))


def test_the_frontier_of_a_sweep(here):
    for cell in here.cells:
        assert (cell.beaten_by is None) == cell.efficient
        if cell.beaten_by is not None:
            rival = answer(here, **cell.beaten_by)
            assert rival.efficient and rival.weight <= cell.weight
            assert here.main(rival).cost_usd.q50 >= here.main(cell).cost_usd.q50
    costs = [here.main(cell).cost_usd.q50 for cell in here.steps]
    weights = [cell.weight for cell in here.steps]
    assert weights == sorted(set(weights)) and costs == sorted(costs)


# Surfaces


def test_the_terminal_and_the_page_say_the_same(here):
    console = Console(width=150, record=True, file=io.StringIO())
    print_design(here, console)
    shown = " ".join(console.export_text().split())
    page = html.unescape(" ".join(re.sub(r"<[^>]+>", " ", html_report(here)).split()))
    for _, sentences in say.paragraphs(here):
        for sentence in sentences:
            assert sentence in shown
            assert sentence in page
    for cell in here.cells:
        for target in cell.targets:
            for line in say.target_lines(target):
                assert line in shown and line in page
    assert "The amendment (16 H100-equivalents and 1,280 GB)" in shown


def test_the_report_is_one_file_and_the_same_every_time(here):
    text = html_report(here)
    assert html_report(here) == text
    assert not re.findall(r"<script|<link|@import|src=|url\((?!#)", text)
    assert text.count("<svg") == 2 and "<style>" in text and "--blue" in text
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_a_hostile_title_does_no_harm():
    rule = replace(load_regime("miri-2025"), title="<script>alert(1)</script> & $a$ [bold]")
    found = thresher.design(rule, vary=["compute"], values={"compute": [16]}, **FEWER)
    assert "<script" not in html_report(found)
    console = Console(width=150, record=True, file=io.StringIO())
    print_design(found, console)
    assert "<script>alert(1)</script> & $a$ [bold]" in console.export_text()


def test_each_number_of_axes_has_its_charts(here):
    assert [chart.name for chart in charts(here)] == ["chart-map", "chart-burden"]
    one = thresher.design("miri-2025", vary=["memory"], values={"memory": [320, None]}, **FEWER)
    assert [chart.name for chart in charts(one)] == ["chart-line", "chart-burden"]
    assert "amendment" in charts(one)[0].svg
    three = thresher.design(
        "miri-2025",
        vary=["compute", "memory", "bandwidth"],
        values={"compute": [16], "memory": [None], "bandwidth": [25]},
        **FEWER,
    )
    assert [chart.name for chart in charts(three)] == ["chart-burden"]
    assert "between nodes" in html_report(three)


def test_the_command_writes_a_report_and_a_result(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = invoke(*SMALL, "--vary", "compute", "--values", "compute=8,16")
    assert shown.exit_code == 0, shown.output
    assert "Result: reports/design-miri-2025.json" in shown.stdout
    data = json.loads((tmp_path / "reports/design-miri-2025.json").read_text("utf-8"))
    assert data["kind"] == "design" and data["inputs"]["vary"] == {"compute": [8.0, 16.0]}
    assert [cell["lines"]["compute"] for cell in data["outcomes"]["cells"]] == [8.0, 16.0]
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == [
        "design-miri-2025.html",
        "design-miri-2025.json",
    ]


def test_json_on_standard_output_stands_alone_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = invoke(*SMALL, "--vary", "compute", "--values", "compute=16", "--json", "-")
    assert json.loads(shown.stdout)["outcomes"]["as_written"]["lines"] == {"compute": 16.0}
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_command_says_where_it_keeps_what_is_done_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [*SMALL, "--vary", "compute", "--values", "compute=8,16,32"]
    ran = []

    def stopping(task):
        if len(ran) == 1:
            raise KeyboardInterrupt
        ran.append(task)
        return work_out(task)

    monkeypatch.setattr(sweeps, "work_out", stopping)
    stopped = invoke(*arguments)
    assert stopped.exit_code == 130
    kept = next((tmp_path / "reports").glob(".design-miri-2025-*"))
    assert f"1 done are kept in {kept.relative_to(tmp_path)}; the same command goes on from there" in stopped.stderr
    monkeypatch.setattr(sweeps, "work_out", lambda task: ran.append(task) or work_out(task))
    assert invoke(*arguments).exit_code == 0
    assert len(ran) == 3
    assert not kept.exists()


def test_a_folder_to_keep_is_kept_and_refused_to_another_sweep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [*SMALL, "--vary", "compute", "--values", "compute=16", "--keep", "mine", "--json", "-"]
    first = invoke(*arguments)
    assert first.exit_code == 0 and (tmp_path / "mine").exists()
    monkeypatch.setattr(sweeps, "work_out", None)
    assert invoke(*arguments).stdout == first.stdout
    other = invoke(*arguments, "--seed", "1")
    assert other.exit_code == 2
    assert "mine: expected a folder of this sweep; it holds another one" in other.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--vary", "colour"], "--vary: expected one of compute, memory"),
        (["--vary", "memory,memory"], "--vary: expected each axis once"),
        (["--values", "memory"], "--values: expected AXIS=LINE"),
        (["--values", "memory=9:3:4"], "--values: expected AXIS=LINE"),
        (["--values", "memory=nan"], "--values memory: expected lines from"),
        (["--values", "compute=0"], "--values compute: expected lines from 0.01"),
        (["--values", "bandwidth=1"], "--values: expected an axis that --vary names"),
        (["--values", "compute=1:64:100", "--values", "memory=1:64:100"], "--values: expected at most"),
        (["--draws", "0"], "--draws: expected a whole number from 1"),
        (["--seed", "-1"], "--seed: expected a whole number from 0"),
        (["--target", "3"], "--target: expected a number from"),
        (["--max-days", "0"], "--max-days: expected a number from 1"),
        (["--max-nodes", "0"], "--max-nodes: expected a whole number of at least 1"),
        (["--network", "pigeons"], "pigeons"),
        (["--chip", "abacus"], "abacus"),
        (["--precision", "fp4"], "number format: expected one that a chip of the search has"),
        (["--posterior", "absent.csv"], "absent.csv"),
        (["--clusters", "absent.csv"], "absent.csv"),
        (["--workers", "0"], "--workers: expected a whole number from 1"),
        (["--scheduler", "nowhere"], "--scheduler: expected the address of a Dask scheduler"),
        (["--model", "published", "--values", "compute=1"], "--values: expected no such option with --model published"),
        (["--model", "published", "--vary", "bandwidth"], "--vary: expected one of compute, memory"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start = ["miri-2025"] if "published" in arguments else SMALL
    refused = invoke(*start, *arguments)
    assert refused.exit_code == 2, refused.output
    sentence = refused.stderr.strip().splitlines()[-1]
    assert words in sentence
    assert "Traceback" not in refused.output
    assert list(tmp_path.iterdir()) == []


def test_the_study_has_tables_of_its_own_rule_only():
    refused = invoke("eu-ai-act", "--model", "published")
    assert refused.exit_code == 2 and "--model published: expected one of miri-2025" in refused.stderr


def test_the_studys_tables_through_the_command(monkeypatch):
    few = dict(published_tables._document())
    few["tables"] = {name: rows[:2] for name, rows in few["tables"].items()}
    few["chips"], few["targets"] = few["chips"][:1], few["targets"][:1]
    monkeypatch.setattr(published_tables, "_document", lambda: few)
    rows = json.loads(invoke("miri-2025", "--model", "published", "--json", "-").stdout)
    assert {row["table"] for row in rows} == {"compute", "memory"} and len(rows) == 4
    assert rows[0]["nodes"] is not None and rows[0]["threshold_h100e"] == 16
    shown = invoke("miri-2025", "--model", "published", "--vary", "memory")
    assert "A memory threshold beside 16 H100-equivalents" in shown.stdout
    assert "A lower compute threshold" not in shown.stdout
