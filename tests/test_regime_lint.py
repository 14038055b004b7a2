"""Contradictions and gaps: found in what ships, found in made-up rules, and not found where there are none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from thresher.catalog import chips
from thresher.regime import lint_regime, load_regime, regimes
from thresher.regime.schema import ClusterClause, Obligation, RunClause

DRAFTED, AMENDED = load_regime("miri-2025"), load_regime("miri-2026-memory")


def run(comparison=">", name="run", **bands):
    rows = [{"above": above, "up_to": up_to, "consequence": label} for label, (above, up_to) in bands.items()]
    return RunClause(
        id=name, kind="run", reference="1", text="t", counting="operations", training=["pretraining"],
        comparison=comparison, bands=rows,
    )  # fmt: skip


def cluster(name="line", comparison=">", threshold=16.0, **other):
    form = {"metric": "memory_gb", "unit": "GB", "grouping": {"over": "networked", "colocated": True}}
    form |= other
    return ClusterClause(
        id=name, kind="cluster", reference="1", text="t", comparison=comparison, threshold=threshold, **form
    )


def duty(name, days, **other):
    return Obligation(
        id=name, kind="obligation", reference=name, subject="s", text="t", applies_to="all", deadline_days=days, **other
    )


def lint(*clauses, **other):
    return lint_regime(replace(DRAFTED, clauses=clauses, **other))


def kinds(findings):
    return [(one.clause_ids, one.kind) for one in findings]


def test_the_two_schedules_of_the_draft():
    found = [one for one in lint_regime(DRAFTED) if one.kind == "contradiction"]
    assert [one.clause_ids for one in found] == [("consolidation", "consolidation-appendix")]
    assert "over 16 and up to 100" in found[0].message
    assert "day 120" in found[0].message and "day 365" in found[0].message


def test_memory_below_the_compute_line():
    (gap,) = [
        one for one in lint_regime(DRAFTED) if one.clause_ids == ("cluster-compute",) and "compute" in one.message
    ]
    assert gap.kind == "gap"
    assert "107 H20 hold 10,272 GB" in gap.message and "642 billion parameters" in gap.message
    held = {
        name: DRAFTED.largest_uncovered_count(one) * one.memory_gb
        for name, one in chips().items()
        if one.memory_gb and one.tpp
    }
    assert max(held, key=held.get) == "H20"
    assert not any("Only compute" in one.message for one in lint_regime(AMENDED))


def test_cards_outside_the_memory_line():
    (gap,) = [
        one for one in lint_regime(AMENDED) if one.clause_ids == ("cluster-memory",) and "Only HBM" in one.message
    ]
    assert gap.kind == "gap" and "GB uncovered at one place" in gap.message
    assert "RTX-A6000" in gap.message and "H20" not in gap.message


@pytest.mark.parametrize("name", ["eu-ai-act", "us-ca-sb53"])
def test_runs_without_hardware(name):
    assert kinds(lint_regime(load_regime(name))) == [((load_regime(name).run_clauses[0].id,), "gap")]


def test_an_expired_order():
    found = {one.clause_ids: one.message for one in lint_regime(load_regime("us-eo-14110"))}
    assert "Expired on 2025-01-20" in found["model-reporting", "biological-model-reporting", "cluster-reporting"]
    assert kinds(lint(cluster(status="expired"), duty("a", 1))) == [(("line",), "gap")]


def test_a_purposive_limb():
    found = [one for one in lint_regime(AMENDED) if "purpose" in one.message]
    assert [one.clause_ids for one in found] == [("cluster-compute",), ("cluster-memory",)]


def test_schedules_that_agree_or_do_not_meet_are_left_alone():
    small = {"metric": "h100_equivalents", "over": 16, "up_to": 100}
    large = {"metric": "h100_equivalents", "over": 100}
    assert lint(duty("a", 120, size=small), duty("b", 730, size=large)) == []
    assert lint(duty("a", 120), duty("b", 120)) == []
    assert lint(duty("a", 120), duty("b", 730).model_copy(update={"subject": "other"})) == []
    assert kinds(lint(duty("a", 120), duty("b", 90))) == [(("b", "a"), "contradiction")]
    assert kinds(lint(duty("a", 120, size=small), duty("b", 90))) == [(("b", "a"), "contradiction")]


def test_one_number_with_both_comparisons():
    assert kinds(lint(cluster("a"), cluster("b", ">="))) == [(("a", "b"), "contradiction")]
    assert lint(cluster("a"), cluster("b", ">=", threshold=17.0)) == []
    runs = run(name="a", one=(1e22, None)), run(">=", name="b", two=(1e22, None))
    assert kinds(lint(cluster(), *runs)) == [(("a", "b"), "contradiction")]


def test_bands_that_leave_a_hole_cross_or_end():
    assert lint(cluster(), run(low=(1e22, 1e24), high=(1e24, None))) == []
    assert kinds(lint(cluster(), run(low=(1e22, 1e23), high=(1e24, None)))) == [(("run",), "gap")]
    assert kinds(lint(cluster(), run(low=(1e22, 1e25), high=(1e24, None)))) == [(("run",), "contradiction")]
    assert kinds(lint(cluster(), run(low=(1e22, None), high=(1e24, None)))) == [(("run",), "contradiction")]
    assert kinds(lint(cluster(), run(low=(1e22, 1e24)))) == [(("run",), "gap")]
    empty = kinds(lint(cluster(), run(low=(1e24, 1e22), high=(1e24, None))))
    assert (("run",), "contradiction") in empty


def test_a_sound_rule_has_no_findings():
    assert lint(cluster(), run(low=(1e22, 1e24), high=(1e24, None)), duty("a", 120)) == []


@pytest.mark.parametrize("name", regimes())
def test_findings_name_clauses_that_exist(name):
    regime = load_regime(name)
    ids = {clause.id for clause in regime.clauses}
    assert all(set(one.clause_ids) <= ids and one.kind in {"gap", "contradiction"} for one in lint_regime(regime))
