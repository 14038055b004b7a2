"""The quick answer: near the whole search's, the same each time, to be cancelled; and what is moved on the command line."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from thresher.assessment import uncertainty
from thresher.assessment.assess import assess
from thresher.assessment.report import html_report
from thresher.assessment.table import print_assessment
from thresher.catalog import chip
from thresher.cli import main
from thresher.countermeasures.actors import load_actor
from thresher.countermeasures.programmes import load_programme
from thresher.errors import InputError
from thresher.evasion import quick as quickly
from thresher.evasion.space import settings
from thresher.regime import load_regime
from thresher.result import to_json_text
from thresher.thresholds.lines import amended

FEW = ["A100-SXM-80GB", "MI355X", "RTX-5090"]
DRAWS = 32
NEAR = 1.1
"""How much dearer than the whole search's a quick plan may be here (19 of 20 are within 1.05, docs/uncertainty.md)."""
CHEAPER = 0.7
"""The whole search is not the best there is either; a quick plan may be cheaper."""
LOOSER = 1.05
"""How much dearer a looser rule may look for want of search."""
OWN_RULE = """
regime: mine
title: The draft agreement with a lower line, and one on memory
jurisdiction: nowhere
status: proposed
published: 2026-11
source: {title: mine, address: mine.yaml}
extends: miri-2025
clauses:
  - id: cluster-compute
    kind: cluster
    reference: Art. II, covered chip cluster
    text: More than 4 H100-equivalents.
    metric: h100_equivalents
    comparison: ">"
    threshold: 4
    unit: H100-equivalents
    grouping: {over: networked, interconnect_gbit_s_over: 25, colocated: true}
  - id: memory
    kind: cluster
    reference: mine
    text: More than 320 GB.
    metric: memory_gb
    comparison: ">"
    threshold: 320
    unit: GB
    counts: {memory_kinds: [HBM]}
    grouping: {over: site}
"""


class Cancelled(Exception):
    """What a caller raises to end a computation."""


def rule_of(**lines):
    return amended(load_regime("miri-2025"), lines)


def quick(rule, draws=None, **options):
    return assess(rule, quick=True, draws=draws, **({"chips": FEW} | options))


def costs(assessment):
    return [np.inf if item.plan is None else item.plan.outcome["cost_usd"] for item in assessment.answers]


def written(assessment):
    """The result file, as text."""
    return to_json_text(assessment.as_result().as_json())


@pytest.fixture(scope="module")
def rule():
    return load_regime("miri-2025")


@pytest.fixture(scope="module")
def drawn(rule):
    return quick(rule, draws=DRAWS)


# Numbers


@pytest.mark.parametrize("lines", [{}, {"compute": 2.0, "memory": 320.0}, {"compute": 100.0, "memory": None}])
def test_a_quick_plan_costs_about_what_the_whole_search_finds(lines):
    rule = rule_of(**lines)
    for found, best in zip(costs(quick(rule)), costs(assess(rule, draws=None, chips=FEW)), strict=True):
        assert np.isfinite(found) == np.isfinite(best)
        assert found == best or CHEAPER <= found / best <= NEAR


def test_what_is_out_of_reach_is_not_said_to_be_within(rule):
    few = quick(rule, node_limit=20, targets=[1e24, 1e27])
    whole = assess(rule, draws=None, chips=FEW, node_limit=20, targets=[1e24, 1e27])
    assert [item.plan is None for item in few.answers] == [item.plan is None for item in whole.answers] == [False, True]
    assert "the most within reach is" in few.answers[1].why_not
    nowhere = quick(rule_of(compute=0.01))
    assert [item.why_not for item in nowhere.answers] == [
        "no chip that is for sale may stand anywhere unseen: one alone is covered"
    ] * 3


def test_a_quick_plan_does_what_it_says_and_no_clause_sees_it():
    for lines in ({}, {"owner-compute": 256.0}, {"compute": 100.0, "memory": 640.0}):
        rule = rule_of(**lines)
        for item in quick(rule).answers:
            for plan in item.by_mode.values():
                assert plan.outcome["flop_quality"] >= item.target_flop_quality
                assert plan.chips_per_node <= (rule.largest_uncovered_count(chip(plan.chip)) or np.inf)
                owned = rule.largest_uncovered_count(chip(plan.chip), over="owner")
                assert owned is None or plan.nodes * plan.chips_per_node <= owned


def test_a_looser_line_is_not_dearer():
    """Where the target is well within reach; where it is only just, both searches may miss it (docs/uncertainty.md)."""
    for name, ladder in (("compute", (1.0, 4.0, 16.0, 64.0, 256.0)), ("memory", (80.0, 320.0, 1280.0, 5120.0, None))):
        found = np.asarray([costs(quick(rule_of(**{name: line}), targets=[1e24, 1e25])) for line in ladder])
        assert np.all(found[1:] <= LOOSER * found[:-1])
        assert np.all(found[-1] < found[0])


def test_the_same_question_has_the_same_answer(rule, drawn):
    assert written(quick(rule, draws=DRAWS)) == written(drawn)
    for kept in (quickly.open_grid, quickly.declared_plans, uncertainty.declared_costs):
        kept.cache_clear()
    assert written(quick(rule, draws=DRAWS)) == written(drawn)


def test_draws_leave_central_values_as_they_are_and_another_seed_moves_draws_alone(rule, drawn):
    other = quick(rule, draws=DRAWS, seed=1)
    assert costs(other) == costs(drawn) == costs(quick(rule))
    for one, two in zip(other.answers, drawn.answers, strict=True):
        assert not np.array_equal(one.uncertainty.by_draw["cost_usd"], two.uncertainty.by_draw["cost_usd"])


def test_draws_answer_as_the_whole_search_does(rule, drawn):
    whole = assess(rule, chips=FEW, draws=DRAWS)
    for item, best in zip(drawn.answers, whole.answers, strict=True):
        found, full = item.uncertainty, best.uncertainty
        assert found.reached == pytest.approx(full.reached, abs=0.1)
        assert found.outcomes["declared_cost_usd"].q50 == pytest.approx(
            full.outcomes["declared_cost_usd"].q50, rel=0.05
        )
        both = np.isfinite(found.by_draw["cost_usd"]) & np.isfinite(full.by_draw["cost_usd"])
        ratio = found.by_draw["cost_usd"][both] / full.by_draw["cost_usd"][both]
        assert CHEAPER < np.median(ratio) < NEAR
        assert (item.noticed is None) == (best.noticed is None)
        assert found.committed == () and item.sensitivity is None


def test_every_draw_knows_the_central_plans(drawn):
    """In the draw that is nearest the centre, nothing is much dearer than there."""
    for item in drawn.answers[:2]:
        assert np.min(item.uncertainty.by_draw["cost_usd"]) <= item.plan.outcome["cost_usd"]


def test_a_target_is_answered_alike_alone_and_among_others(rule):
    alone = [costs(quick(rule, targets=[target]))[0] for target in settings()["targets"]]
    assert alone == pytest.approx(costs(quick(rule)), rel=NEAR - 1.0)


def test_no_targets_have_no_answers(rule):
    assert quick(rule, targets=[], draws=4).answers == ()


def test_the_open_datacentre_is_worked_out_once(drawn):
    before = uncertainty.declared_costs.cache_info(), quickly.declared_plans.cache_info()
    quick(rule_of(compute=8.0), draws=DRAWS)
    after = uncertainty.declared_costs.cache_info(), quickly.declared_plans.cache_info()
    assert [now.misses - then.misses for now, then in zip(after, before, strict=True)] == [0, 0]
    assert all(info.maxsize is not None for info in after)


@pytest.mark.parametrize("draws", [None, DRAWS])
def test_what_progress_raises_ends_the_work(rule, draws):
    told = []
    quick(rule, draws=draws, progress=told.append)
    for last in (0, len(told) // 2, len(told) - 1):
        count = iter(range(last))

        def stop(_message, count=count):
            if next(count, None) is None:
                raise Cancelled

        with pytest.raises(Cancelled):
            quick(rule, draws=draws, progress=stop)
    assert costs(quick(rule)) == costs(quick(rule, draws=draws))


def test_budgets_are_for_the_whole_search(rule):
    with pytest.raises(InputError, match=r"budgets: expected none with a quick answer, .* leave quick out"):
        assess(rule, budgets=[1e8], quick=True, draws=None)


def test_a_programme_and_an_actor_may_be_loaded_already(rule, drawn):
    state, actor = load_programme("agreement"), load_actor("company")
    same = quick(rule, draws=DRAWS, programme=state, actor=actor)
    assert same.watch.programme == drawn.watch.programme
    assert written(same) == written(drawn)
    poor = quick(rule, draws=DRAWS, actor=replace(actor, budget_usd=2e7))
    assert poor.answers[1].noticed.within_means < drawn.answers[1].noticed.within_means


# Words


def test_a_quick_answer_says_so_and_says_nothing_that_it_did_not_look_for(rule, drawn):
    for assessment in (drawn, quick(rule)):
        out = io.StringIO()
        print_assessment(assessment, Console(file=out, width=120, force_terminal=False))
        page = html_report(assessment)
        for text in (" ".join(out.getvalue().split()), page):
            assert "A quick answer, of a coarser search" in text
            assert "commit to" not in text and "no single plan found is" not in text
            assert "Without FP4" not in text and "hold the whole model, it would cost" not in text
    assert drawn.as_result().as_json()["inputs"]["quick"] is True


# The command line


@pytest.fixture
def thresher(tmp_path, monkeypatch):
    """Run a command in an empty folder; gives its result."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(OWN_RULE)

    def run(*arguments):
        return CliRunner().invoke(main, ["assess", *arguments])

    return run


ONE = ("--chip", "A100-SXM-80GB", "--target", "1e24", "--json", "-")


def outcomes(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["outcomes"]


def test_the_command_gives_what_python_gives(thresher):
    result = thresher("miri-2025", "--quick", "--draws", "8", *ONE)
    same = assess("miri-2025", quick=True, draws=8, chips=["A100-SXM-80GB"], targets=[1e24])
    assert result.stdout == written(same)
    usual = json.loads(thresher("miri-2025", "--quick", *ONE).stdout)["inputs"]
    assert (usual["draws"], usual["quick"]) == (settings()["quick"]["draws"], True)
    assert json.loads(thresher("miri-2025", "--central-only", *ONE).stdout)["inputs"]["quick"] is False


def test_a_line_moved_is_the_same_rule_written_as_a_file(thresher):
    moved = thresher("miri-2025", "--quick", "--central-only", "--line", "compute=4", "--line", "memory=320", *ONE)
    own = outcomes(thresher("mine.yaml", "--quick", "--central-only", *ONE))
    found = outcomes(moved)
    for answer in (*found["answers"], *own["answers"]):
        for clause in (*answer["clauses"], answer["nearest_clause"]):
            del clause["reference"]
    assert json.loads(moved.stdout)["inputs"]["regime"] == "miri-2025 [compute=4 memory=320]"
    assert found["answers"] == own["answers"]


def test_a_line_may_be_taken_away_and_works_without_quick_too(thresher):
    without = outcomes(thresher("miri-2026-memory", "--line", "memory=none", "--central-only", *ONE))["answers"]
    assert [clause["id"] for clause in without[0]["clauses"]] == ["cluster-compute"]


def test_settings_and_a_budget_moved_change_what_is_noticed(thresher):
    small = ("miri-2025", "--quick", "--draws", "24", "--mode", "flat", *ONE)
    plain = json.loads(thresher(*small, "--programme", "study").stdout)
    moved = json.loads(
        thresher(*small, "--programme", "study", "--set", "financial_audits=0.9", "--actor-budget", "3e8").stdout
    )
    assert moved["inputs"]["programme"]["settings"]["financial_audits"] == 0.9
    assert moved["inputs"]["actor"]["budget_usd"] == 3e8
    assert moved["inputs"]["actor"]["routes"] == plain["inputs"]["actor"]["routes"]
    one, two = (found["outcomes"]["answers"][0]["detection"] for found in (plain, moved))
    assert one["timeline"]["finish_mean"] > two["timeline"]["finish_mean"]


def test_a_moved_rule_has_a_page_of_its_own(thresher, tmp_path):
    result = thresher("miri-2025", "--quick", "--central-only", "--line", "compute=8", *ONE[:4])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "reports" / "miri-2025-compute-8-quick.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--quick", "--budget", "1e8"), "--budget: expected no such option with --quick"),
        (("--quick", "--model", "published"), "--quick: expected no such option with --model published"),
        (("--line", "compute=8", "--model", "published"), "--line: expected no such option with --model published"),
        (("--set", "stings=1", "--model", "published"), "--set: expected no such option with --model published"),
        (("--set", "stings=1", "--central-only"), "--set: expected no such option with --central-only"),
        (("--actor-budget", "1e8", "--central-only"), "--actor-budget: expected no such option with --central-only"),
        (("--line", "compute"), "--line: expected NAME=VALUE, got 'compute'"),
        (("--line", "compute="), "--line: expected NAME=VALUE"),
        (("--line", "=8"), "--line: expected a known name"),
        (("--line", "computer=8"), "--line: expected a known name (nearest: compute"),
        (("--line", "compute=many"), "--line compute: expected a number, or none, got 'many'"),
        (("--line", "compute=nan"), "--line compute: expected lines from 0.01 to 1e+06, or none"),
        (("--line", "compute=0"), "--line compute: expected lines from 0.01"),
        (("--line", "memory=-1"), "--line memory: expected lines from 1 to 1e+08"),
        (("--line", "owner-memory=1e99"), "--line owner-memory: expected lines from 1"),
        (("--line", "compute=8", "--line", "compute=9"), "--line compute: expected one value, got 'compute=9'"),
        (("--line", "bandwidth=0"), "--line bandwidth: expected lines from 0.001"),
        (("--set", "sting=1"), "--set: expected a known name (nearest: stings"),
        (("--set", "stings=2"), "--set stings: expected a number from 0 to 1 (share), got '2'"),
        (("--set", "stings=nan"), "--set stings: expected a number from 0 to 1 (share)"),
        (("--set", "stings"), "--set: expected NAME=VALUE, got 'stings'"),
        (("--actor-budget", "-1"), "--actor-budget: expected a number of at least 0 (USD), got '-1'"),
        (("--actor-budget", "lots"), "--actor-budget: expected a number of at least 0 (USD)"),
        (("--actor-budget", "nan"), "--actor-budget"),
        (("--quick", "--draws", "0"), "--draws: expected a whole number from 1 to 100,000"),
        (("--quick", "--target", "1"), "target: expected a number from 1e+21 to 1e+29"),
    ],
)
def test_a_wrong_value_is_refused_by_name(thresher, tmp_path, arguments, message):
    result = thresher("miri-2025", *arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr.strip().splitlines()[-1]
    assert "Traceback" not in result.output
    assert not (tmp_path / "reports").exists()


def test_links_are_a_line_only_where_a_rule_counts_by_them(thresher):
    result = thresher("us-eo-14110", "--line", "bandwidth=1")
    assert result.exit_code == 2
    assert "--line bandwidth: expected a rule that counts nodes together by their links" in result.stderr


def test_a_rule_without_lines_may_be_given_one(thresher):
    found = outcomes(thresher("eu-ai-act", "--quick", "--central-only", "--line", "owner-compute=64", *ONE))["answers"]
    assert found[0]["nearest_clause"]["threshold"] == 64
