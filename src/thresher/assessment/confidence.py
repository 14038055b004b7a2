"""The words of an answer under uncertainty: how sure, within which budget, by which form of the penalty, what would change it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from thresher.assessment.formats import OUT_OF_REACH, dollars, flop, many, number, percent, round_dollars, span, times
from thresher.assessment.sensitivity import Bar, Flip, Sensitivity, Shift
from thresher.assessment.uncertainty import Committed, FamilyAnswer, GoalUncertainty, Interval
from thresher.evasion.space import settings
from thresher.simulation.draws import FAMILY, LAW_ROW, ROW, dimensions
from thresher.sources import Quantity

HALF, SURE = 0.5, 0.9
"""A conclusion is held where more than half of the draws agree; `yes` without reserve takes nine tenths."""
DEAR = 2.0
"""Unseen training is called dear above this many times the cost of the declared datacentre."""
AT_THE_EDGE = 0.05
"""Nearer than this, in standard deviations, a verdict has no side."""
DRIVERS, SHIFTS, BARS = 3, 3, 8
DISTRIBUTIONS: Mapping[str, str] = {
    "pert": "PERT: mode at the value, ends of the range as bounds",
    "lognormal": "lognormal: median at the value, range as central 90%",
    "fixed": "fixed",
}
SPOKEN: Mapping[str, str] = {
    "mfu": "MFU", "tcp": "TCP", "tpu": "TPU", "bf16": "BF16", "fp8": "FP8", "fp4": "FP4", "mw": "MW", "kw": "kW", "kwh": "kWh",
    "gb": "GB", "mbps": "Mbit/s", "usd": "dollars", "1e12": "1e12",
}  # fmt: skip


# How sure


def draws_of(found: GoalUncertainty) -> int:
    """How many worlds were drawn."""
    return len(found.by_draw["cost_usd"])


def share_of_draws(share: float, draws: int) -> str:
    """A share of the draws: in all 1,000 draws, in 92% of 1,000 draws, in none of 48 draws."""
    if share in (0.0, 1.0):
        return f"in {'none of' if share == 0.0 else 'all'} {many(draws, 'draw')}"
    return f"in {percent(share)} of {many(draws, 'draw')}"


def verdict(found: GoalUncertainty) -> str:
    """Yes or no, as sure as the draws are; below half of them it is never yes."""
    where = share_of_draws(found.reached, draws_of(found))
    if found.reached == 0.0:
        return f"Not as far as this search went: within reach {where} of everything uncertain"
    if found.reached < HALF:
        return f"More likely not: within reach {where} of everything uncertain"
    return f"{'Yes' if found.reached >= SURE else 'More likely than not: yes'}, {where} of everything uncertain"


def half_and_most(found: Interval, words: Callable[[float], str]) -> tuple[str, str]:
    """The middle half and the middle nine tenths of a figure."""
    return span(found.q25, found.q75, words), span(found.q05, found.q95, words)


def end(value: float, words: Callable[[float], str]) -> str:
    """One quantile; an infinite one is out of reach."""
    return OUT_OF_REACH if value == math.inf else words(value)


def both_intervals(found: Interval, words: Callable[[float], str]) -> str:
    """The two intervals of a figure: 50% $59.1 to 161 million; 90% $39.8 to 976 million."""
    half, most = half_and_most(found, words)
    return f"50% {half}; 90% {most}"


def median_and_most(found: Interval, words: Callable[[float], str]) -> str:
    """A median with its 90% interval."""
    return f"{end(found.q50, words)} (90% interval {span(found.q05, found.q95, words)})"


def chosen(found: GoalUncertainty, what: str, most: int = 3) -> str:
    """How often each mode, number format or chip is best: pipeline 65%, swarm 34%."""
    return ", ".join(f"{name} {percent(share)}" for name, share in list(found.chosen.get(what, {}).items())[:most])


def within_budgets(found: GoalUncertainty) -> list[tuple[float, float]]:
    """The budgets that tell something apart: from the first that ever suffices to the first that no larger one betters."""
    ladder = [(usd, share) for usd, share in found.within_budget if share > 0.0]
    best = max((share for _, share in ladder), default=0.0)
    return ladder[: 1 + next((at for at, (_, share) in enumerate(ladder) if share == best), -1)]


def budget_line(found: GoalUncertainty) -> str:
    """The chance of meeting the target for a budget: within $100 million 54%, $300 million 84%."""
    ladder = within_budgets(found)
    if not ladder:
        return f"within none of the budgets tried, up to {round_dollars(found.within_budget[-1][0])}"
    return "within " + ", ".join(f"{round_dollars(usd)} {percent(share)}" for usd, share in ladder)


def within_verdict_budget(found: GoalUncertainty) -> float:
    """The share of draws in which the target is met for no more than the verdict's budget."""
    return dict(found.within_budget)[settings()["verdict_budget"]]


def commitments(found: GoalUncertainty) -> list[tuple[float, Committed | None]]:
    """The plan that is so sure, for each confidence asked for; None where no single plan found is."""
    plans = {plan.confidence: plan for plan in found.committed}
    return [(confidence, plans.get(confidence)) for confidence in settings()["commitment"]["confidences"]]


def committed_machines(plan: Committed) -> str:
    """The machines of a committed plan: 259 nodes of 6 GB200, fp8, pipeline."""
    return (
        f"{many(plan.choices['nodes'], 'node')} of {plan.chips_per_node:,} {plan.chip}, {plan.precision}, {plan.mode}"
    )


def commitment_line(found: GoalUncertainty, *, by_budget: bool = False) -> str:
    """What it takes to be so sure with one plan fixed beforehand."""
    parts = []
    for confidence, plan in commitments(found):
        if plan is not None:
            if by_budget:
                what = f"at least {capability(plan.sure_flop_quality)} within the budget"
            else:
                what = median_and_most(plan.cost_usd, dollars)
            parts.append(f"{percent(confidence)} sure: {what}, {committed_machines(plan)}")
    return "; ".join([*parts, *_no_plan_so_sure(found)])


def _no_plan_so_sure(found: GoalUncertainty) -> list[str]:
    lacking = [percent(confidence) for confidence, plan in commitments(found) if plan is None]
    return [f"no single plan found is {' or '.join(lacking)} sure"] if lacking else []


def commitment_sentence(found: GoalUncertainty) -> str:
    """The same for the first screen: what the adversary who must commit pays."""
    paid = [
        f"{dollars(plan.cost_usd.q50)} to be {percent(share)} sure"
        for share, plan in commitments(found)
        if plan is not None
    ]
    none = _no_plan_so_sure(found)
    if not paid:
        return f"For one that must commit before knowing, {none[0]}."
    start = f"One that must commit to a plan before knowing would pay {' and '.join(paid)}"
    return f"{'; '.join([start, *none])}."


def committed_figure(plan: Committed, by_budget: bool) -> str:
    """What a committed plan costs at the median, or for a budget is sure to reach."""
    return f"at least {capability(plan.sure_flop_quality)}" if by_budget else end(plan.cost_usd.q50, dollars)


def committed_interval(plan: Committed, by_budget: bool) -> str:
    """The intervals of the same."""
    return both_intervals(plan.flop_quality, flop) if by_budget else both_intervals(plan.cost_usd, dollars)


def capability(value: float) -> str:
    """A capability with its unit."""
    return f"{flop(value)} FLOP"


# By form of the penalty


@dataclass(frozen=True, slots=True)
class Conclusion:
    """Something said of a target, its denial, whether it holds under each form of the penalty, and the figures behind."""

    claim: str
    denial: str
    holds: Mapping[str, bool]
    figures: Mapping[str, str]

    @property
    def survives(self) -> bool:
        """Whether every form agrees, one way or the other."""
        return len(set(self.holds.values())) <= 1


def form(family: str) -> str:
    """A form of the penalty in words: data efficiency."""
    return family.replace("_", " ")


def conclusions(found: GoalUncertainty) -> tuple[Conclusion, ...]:
    """What may be concluded of a target, form by form; a form that has no plan to judge a claim by is left out of it."""
    budget = round_dollars(settings()["verdict_budget"])
    forms = found.by_family
    reached = [(one, one.reached > HALF, percent(one.reached)) for one in forms]
    bought = [(one, one.within_verdict_budget > HALF, percent(one.within_verdict_budget)) for one in forms]
    dear = [
        (one, one.cost_ratio.q50 > DEAR, _ratio(one.cost_ratio.q50))
        for one in forms
        if not math.isnan(one.cost_ratio.q50)
    ]
    split = [(one, one.split > HALF, percent(one.split)) for one in forms if not math.isnan(one.split)]
    where = "" if len(split) == len(forms) else " wherever within reach"
    return tuple(
        _conclusion(*row)
        for row in (
            ("within reach", "out of reach", reached),
            (f"within {budget}", f"not within {budget}", bought),
            ("dearer than twice a declared datacentre", "at most twice as dear as a declared datacentre", dear),
            (f"the model split over several nodes{where}", f"the whole model on every node{where}", split),
        )
        if row[2]
    )


def _ratio(value: float) -> str:
    return end(value, times)


def _conclusion(claim: str, denial: str, rows: Iterable[tuple[FamilyAnswer, bool, str]]) -> Conclusion:
    rows = list(rows)
    return Conclusion(
        claim, denial, {one.family: held for one, held, _ in rows}, {one.family: figure for one, _, figure in rows}
    )


def survival(found: GoalUncertainty) -> str:
    """Which conclusions survive every form of the penalty and which do not, in a sentence or two."""
    if len(found.by_family) < 2:  # noqa: PLR2004 - one form agrees with itself
        only = form(found.by_family[0].family) if found.by_family else "none"
        return f"Only one form of the penalty was drawn ({only}); nothing can be said of the others."
    drawn = conclusions(found)
    lasting = [one.claim if all(one.holds.values()) else one.denial for one in drawn if one.survives]
    parted = [
        f"{one.claim} holds for {_named(one, held=True)}, not for {_named(one, held=False)}"
        for one in drawn
        if not one.survives
    ]
    sentences = [f"Survives every form of the penalty: {'; '.join(lasting) or 'nothing'}."]
    sentences += [f"Does not: {'; '.join(parted)}."] if parted else []
    return " ".join(sentences)


def _named(conclusion: Conclusion, *, held: bool) -> str:
    return ", ".join(
        f"{form(family)} ({conclusion.figures[family]})" for family, holds in conclusion.holds.items() if holds is held
    )


# What drives it, and what would change it


def drivers(found: Sensitivity) -> str:
    """The groups that explain most of the cost: links and stragglers 53%, form of the replica penalty 18%."""
    parts = [
        f"{one.title} {percent(max(one.total, 0.0))} (±{100 * one.total_error:.0f})" for one in found.indices[:DRIVERS]
    ]
    return ", ".join(parts)


def parameter(name: str) -> str:
    """A parameter's name as people would say it: link rate factor, staff dollars per person year."""
    special = {ROW: "size of the penalty", LAW_ROW: "loss law", FAMILY: "form of the penalty"}
    return special.get(name) or " ".join(SPOKEN.get(word, word) for word in name.split("_"))


def ordinal(place: int) -> str:
    """A place in a row: 1st, 22nd, 76th."""
    teens = 10 <= place % 100 < 20  # noqa: PLR2004 - eleventh, not eleven-first
    return f"{place}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(place % 10, 'th')}"


def shift(moved: Shift) -> str:
    """Where one parameter stands at a flip: link rate factor at 0.24 (median 1)."""
    if moved.value is None or moved.median is None:
        place = ordinal(min(99, max(1, round(100 * moved.quantile))))
        return f"the {parameter(moved.name)} at {'the' if moved.name == LAW_ROW else 'its'} {place} percentile" + (
            " of its refits" if moved.name == LAW_ROW else ""
        )
    here, there = (number(float(f"{value:.3g}")) for value in (moved.value, moved.median))
    return f"{parameter(moved.name)} at {here} (median {there})"


def flip(found: Flip, most: int = SHIFTS) -> str:
    """The nearest world in which a verdict flips, under one form of the penalty, as a sentence."""
    claim = f"the verdict (within {round_dollars(settings()['verdict_budget'])})"
    stands = "holds at the medians" if found.holds else "does not hold at the medians"
    if found.distance is None:
        return f"Under the {form(found.family)} form {claim} {stands}, and no world near enough was found in which it flips."
    if found.distance < AT_THE_EDGE:
        return f"Under the {form(found.family)} form {claim} stands on the edge at the medians: any change may flip it."
    moved = ", ".join(shift(one) for one in found.shifts[:most])
    return (
        f"Under the {form(found.family)} form {claim} {stands} and flips {found.distance:.1f} standard deviations away:"
        f" {moved}."
    )


def nearest_flip(found: Sensitivity) -> Flip | None:
    """The flip that takes the least, over the forms of the penalty; None where none was found."""
    reachable = [one for one in found.flips if one.distance is not None]
    return min(reachable, key=lambda one: one.distance or 0.0, default=None)


def flip_line(found: Sensitivity) -> str:
    """The nearest flip in words, or that there is none."""
    nearest = nearest_flip(found)
    if nearest is not None:
        return flip(nearest)
    budget = round_dollars(settings()["verdict_budget"])
    return f"Under no form of the penalty was a world found in which the verdict (within {budget}) flips."


def bars(found: Sensitivity) -> Sequence[Bar]:
    """The widest swings, for a chart."""
    return found.tornado[:BARS]


def distribution(row: Quantity) -> str:
    """How a parameter is drawn, in words."""
    if row.distribution == "fixed" or row.name not in dimensions():
        return "fixed" if row.distribution == "fixed" else "not drawn"
    return DISTRIBUTIONS[row.distribution]
