"""The words and number formats of an assessment, in one place: the terminal and the page say the same."""

# ruff: noqa: PLR2004 - the sizes at which a number changes its form

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from thresher.assessment.assess import Assessment, GoalAnswer
from thresher.assessment.formats import (
    NOTHING,
    dollars,
    flop,
    many,
    number,
    percent,
    power,
    round_dollars,
    round_flop,
    significant,
    times,
)
from thresher.evasion.best_response import AdversaryPlan
from thresher.evasion.space import settings
from thresher.learning.horizon import Extrapolation
from thresher.regime import Regime
from thresher.simulation import default
from thresher.sources import load_quantities

NO_LIMIT_SHARE = 0.9
"""A largest model this near the search's own limit is a limit of the search, not of the node."""

MODES: Mapping[str, str] = {
    "flat": "every node holds the whole model, and all average their updates now and then",
    "hierarchical": "every node holds the whole model; averages are frequent within a region and seldom between regions",
    "pipeline": "groups of neighbouring nodes hold one copy of the model between them",
    "swarm": "nodes anywhere on the internet hold one copy of the model between them",
    "datacenter": "one site holds everything",
}
AXES: Mapping[str, str] = {
    "params": "model parameters",
    "replicas": "copies that average updates",
    "replicas_at_size": "copies of a large model",
    "tokens": "training tokens",
    "inner_steps": "inner steps",
    "bits_per_param": "update compression",
    "stages": "pipeline stages",
    "activation_compression": "activation compression",
    "params_in_fp8": "model parameters in FP8",
    "params_in_fp4": "model parameters in FP4",
    "one_site_params": "model parameters, one site",
    "one_site_tokens": "training tokens, one site",
}
COST_PARTS = ("chips", "servers", "network", "hosting", "power", "people")
QUALITY_FLOP = (
    "Quality-adjusted FLOP: the operations that one well-run datacentre would need for a model as good."
    " Training in pieces wastes some, so the operations performed are more."
)


# Plans


def goal(answer: GoalAnswer) -> str:
    """What was asked for: 1e25 FLOP, or $50 million."""
    if answer.target_flop_quality is not None:
        return f"{round_flop(answer.target_flop_quality)} FLOP"
    return round_dollars(answer.budget_usd if answer.budget_usd is not None else math.nan)


def goal_long(answer: GoalAnswer) -> str:
    """What was asked for, in words."""
    if answer.target_flop_quality is not None:
        return f"{round_flop(answer.target_flop_quality)} quality-adjusted FLOP"
    return f"a budget of {goal(answer)}"


def hardware(plan: AdversaryPlan) -> str:
    """The machines of a plan: 78 nodes of 12 MI300X."""
    return f"{many(plan.nodes, 'node')} of {plan.chips_per_node:,} {plan.chip}"


def is_split(plan: AdversaryPlan) -> bool:
    """Whether no node of the plan holds the whole model."""
    return plan.outcome.get("stages", 1.0) > 1


def holding(plan: AdversaryPlan) -> str:
    """Who holds the model."""
    if is_split(plan):
        return f"no node holds the model; {many(plan.outcome['stages'], 'node')} hold a copy between them"
    if plan.mode == "datacenter" or plan.nodes == 1:
        return "one site holds the model"
    return "every node holds the whole model"


def compression(plan: AdversaryPlan) -> str:
    """How small the synchronised updates are."""
    if plan.outcome.get("replicas", 1.0) <= 1:
        return "none: one copy"
    return f"{significant(plan.choices['bits_per_param'])} bits a parameter"


def activations(plan: AdversaryPlan) -> str:
    """How small the activations between stages are."""
    return times(plan.choices["activation_compression"]) if is_split(plan) else "none sent"


def farthest(plan: AdversaryPlan) -> Extrapolation | None:
    """The axis on which the plan lies farthest beyond what was measured."""
    return max((item for item in plan.horizon if math.isfinite(item.ratio)), key=lambda item: item.ratio, default=None)


def beyond(plan: AdversaryPlan) -> str:
    """How far the plan lies beyond the evidence, and on which axis."""
    axis = farthest(plan)
    if axis is None:
        return NOTHING
    if axis.ratio <= 1:
        return "within the evidence"
    return f"{times(axis.ratio)} ({AXES.get(axis.axis, axis.axis)})"


def evidence(item: Extrapolation) -> str:
    """One axis of the evidence horizon as a sentence."""
    known = load_quantities("thresher.learning", "horizon.yaml").get(item.axis)
    if known is None:
        return item.line
    extreme = "least" if item.axis == "bits_per_param" else "most"
    verdict = (
        f"{times(item.ratio).capitalize()} beyond the evidence." if item.ratio > 1 else "Within what was measured."
    )
    where = "; ".join(part for part in (known.observed, item.source) if part)
    return (
        f"{capital(known.note)}: {number(item.value)} here, the {extreme} ever measured {number(item.measured)}"
        f" ({where}). {verdict}"
    )


def clause_value(answer: GoalAnswer) -> str:
    """How much of the nearest clause's line one node reaches."""
    nearest = answer.nearest_clause
    if nearest is None:
        return NOTHING
    return f"{percent(nearest.share)} ({measured(nearest.value)} of {number_of_line(nearest.threshold)} {nearest.unit})"


def measured(value: float) -> str:
    """What a clause measures of a node: 15.8, 1,152, 2.0e18."""
    return number(value) if value < 1e6 else flop(value)


def number_of_line(threshold: float) -> str:
    """A clause's line: 16, 1,280, 1e20."""
    return round_flop(threshold) if threshold >= 1e6 else f"{threshold:,.10g}"


def run_status(answer: GoalAnswer) -> str:
    """What the training-run clauses say, in a few words."""
    return "; ".join(dict.fromkeys(item.consequence for item in answer.run_status)) or "below every line"


def rows(answer: GoalAnswer) -> list[tuple[str, str]]:
    """One goal's plan, attribute by attribute: the lines of the table by target."""
    labels = (
        "Cost", "of which chips (study's count)", "Capability reached", "Hardware of a node", "Nodes", "Chips", "Number format",
        "Mode", "Nodes per copy of the model", "Copies of the model", "Model", "Training tokens", "Inner steps",
        "Update size", "Activation compression", "Length of the run", "Power", "People", "Nearest clause", "Share of its line",
        "Run clause says", "Declared datacentre", "Unseen over declared", "Beyond the evidence",
    )  # fmt: skip
    plan = answer.plan
    if plan is None:
        return [(label, NOTHING if index else "out of reach") for index, label in enumerate(labels)]
    o = plan.outcome
    nearest = answer.nearest_clause
    values = (
        dollars(o["cost_usd"]), dollars(o["cost_chips_only_usd"]), f"{flop(o['flop_quality'])} FLOP",
        f"{plan.chips_per_node:,} {plan.chip}", f"{plan.nodes:,}", f"{plan.nodes * plan.chips_per_node:,}", plan.precision,
        plan.mode, number(o["stages"]), number(o["replicas"]), f"{number(plan.choices['params'])} parameters",
        number(o["tokens"]), number(o["inner_steps"]), compression(plan), activations(plan), many(o["days"], "day"),
        power(o["power_mw"]), f"{plan.footprint.people:,.0f}", nearest.id if nearest else "no clause on hardware",
        clause_value(answer), run_status(answer),
        dollars(answer.declared.outcome["cost_usd"]) if answer.declared else NOTHING, times(answer.cost_ratio), beyond(plan),
    )  # fmt: skip
    return list(zip(labels, values, strict=True))


# Sentences


def question(assessment: Assessment) -> str:
    """The question that was asked."""
    if assessment.regime.cluster_clauses:
        return "Could a training run be split into pieces too small for this rule to see?"
    return "What does this rule see of the hardware of a training run?"


def capital(text: str) -> str:
    """Text that starts a sentence."""
    return text[:1].upper() + text[1:]


def main_answer(assessment: Assessment) -> GoalAnswer | None:
    """The answer the headline speaks of: the middle target, or the hardest one within reach below it."""
    targets = [item for item in assessment.answers if item.target_flop_quality is not None] or list(assessment.answers)
    targets.sort(key=lambda item: item.target_flop_quality or item.budget_usd or 0.0)
    if not targets:
        return None
    middle = (len(targets) - 1) // 2
    reached = [item for item in targets[: middle + 1] if item.plan is not None]
    return reached[-1] if reached else targets[middle]


def headline(assessment: Assessment) -> list[str]:
    """The answer in a few sentences, for the first screen."""
    answer = main_answer(assessment)
    if answer is None:
        return ["No target and no budget were asked for."]
    first = plan_sentence(assessment, answer)
    if not assessment.regime.cluster_clauses:
        sentences = [no_cluster_clause(), first]
    elif answer.plan is None:
        sentences = [f"Not as far as this search went. {first}"]
    else:
        sentences = [f"Yes, on central values. Under {assessment.regime.name} {first[:1].lower()}{first[1:]}"]
    if answer.plan is None:
        return sentences
    sentences += [
        text
        for text in (
            nearest_sentence(answer),
            run_sentence(answer),
            evidence_sentence(answer.plan),
            without_fp4(answer),
        )
        if text
    ]
    return sentences


def no_cluster_clause() -> str:
    """What it means that a rule has no clause on hardware."""
    return (
        "No clause of this rule looks at hardware: nothing bounds the chips that may stand together, and the cheapest run"
        " may be one ordinary site. Only what the rule says of the run itself applies, if anyone knows of the run."
    )


def plan_sentence(assessment: Assessment, answer: GoalAnswer) -> str:
    """What the goal costs, with what, and beside the open way."""
    plan = answer.plan
    bounded = bool(assessment.regime.cluster_clauses)
    if plan is None:
        return f"{capital(goal_long(answer))} is out of reach: {answer.why_not}."
    o = plan.outcome
    cost = f"about {dollars(o['cost_usd'])}"
    machines = hardware(plan) + (" that no clause on hardware covers" if bounded else "")
    start = (
        f"a developer could reach {goal_long(answer)} for {cost}"
        if answer.target_flop_quality is not None
        else f"with {goal_long(answer)} a developer could reach {flop(o['flop_quality'])} quality-adjusted FLOP for {cost}"
    )
    text = capital(f"{start}, with {machines}, in {many(o['days'], 'day')}")
    if answer.declared is None:
        return f"{text}. No declared datacentre of the search reaches the same."
    if not bounded and plan.mode == "datacenter":
        return f"{text}, at one site."
    in_the_open = dollars(answer.declared.outcome["cost_usd"])
    return f"{text}: {times(answer.cost_ratio)} the cost of one openly declared datacentre ({in_the_open})."


def nearest_sentence(answer: GoalAnswer) -> str:
    """Which clause comes nearest to covering a node, and by what margin."""
    nearest = answer.nearest_clause
    if nearest is None:
        return ""
    return (
        f"The clause that comes nearest to covering a node is {nearest.id} ({nearest.reference}):"
        f" {measured(nearest.value)} of {number_of_line(nearest.threshold)} {nearest.unit}, {percent(nearest.share)} of its line."
    )


def run_sentence(answer: GoalAnswer) -> str:
    """What the rule would say of the run itself."""
    if answer.plan is None:
        return ""
    performed = f"{flop(answer.plan.outcome['flop'])} operations"
    if not answer.run_status:
        return f"The {performed} it performs cross no line for training runs."
    says = " and ".join(f"“{item.consequence}” by clause {item.clause}" for item in answer.run_status)
    return f"The run itself, {performed}, would be {says}, once anyone knew of it."


def evidence_sentence(plan: AdversaryPlan) -> str:
    """How far the plan lies beyond what was measured, in one sentence."""
    outside = sorted((item for item in plan.horizon if item.ratio > 1), key=lambda item: -item.ratio)
    unproven = f" {format_evidence(plan)}" if plan.precision == "fp4" else ""
    if not outside:
        return f"In size and tokens the plan lies within what was ever measured.{unproven}"
    parts = ", ".join(f"{AXES.get(item.axis, item.axis)} {times(item.ratio)}" for item in outside[:3])
    return f"The plan goes beyond anything ever measured: {parts} the largest on record.{unproven}"


def format_evidence(plan: AdversaryPlan) -> str:
    """What the choice of number format rests on; nothing to say of bf16, the reference."""
    row = default.quantities().get(f"number_format_data_cost_{plan.precision}")
    if row is None or not row.observed:
        return ""
    return f"Training in {plan.precision} was observed at {row.observed} ({row.source.address})."


def legal_lines(regime: Regime, answer: GoalAnswer) -> list[str]:
    """What each run clause says of the operations performed."""
    plan = answer.plan
    if plan is None:
        return []
    says = {item.clause: item for item in answer.run_status}
    lines = []
    for clause in regime.run_clauses:
        where = f"{clause.id} ({clause.reference})"
        if clause.id in says:
            lines.append(
                f"{where}: {flop(says[clause.id].flop_counted)} operations performed; {says[clause.id].consequence}."
            )
        elif "pretraining" in clause.training:
            line = min(band.above for band in clause.bands)
            lines.append(f"{where}: not reached; its first line is {round_flop(line)} operations.")
        else:
            lines.append(f"{where}: counts {', '.join(clause.training)} only; not this run.")
    return lines or ["The rule has no clause on training runs."]


def best_of_each(answer: GoalAnswer, plans: Mapping[str, AdversaryPlan]) -> str:
    """The best of each mode or number format in a line, cheapest or most capable first."""
    by_budget = answer.target_flop_quality is None
    found = [
        f"{kind} {flop(best.outcome['flop_quality']) + ' FLOP' if by_budget else dollars(best.outcome['cost_usd'])}"
        for kind, best in plans.items()
    ]
    return f"{goal(answer)}: {', '.join(found)}"


def without_fp4(answer: GoalAnswer) -> str:
    """What the answer is without FP4, whose training at scale is unproven; nothing to say where another format wins."""
    others = [plan for precision, plan in answer.by_precision.items() if precision != "fp4"]
    if answer.plan is None or answer.plan.precision != "fp4" or not others:
        return ""
    best = others[0]
    if answer.target_flop_quality is None:
        return (
            f"Without FP4 the most is {flop(best.outcome['flop_quality'])} FLOP ({hardware(best)}, {best.precision})."
        )
    return f"Without FP4 the cheapest costs {dollars(best.outcome['cost_usd'])} ({hardware(best)}, {best.precision})."


def largest_model(params: float) -> str:
    """The largest model a node holds; a figure at the search's own limit is a lower bound."""
    limit = settings()["most_params"]
    return f"{number(params)} or more (the search stops there)" if params >= NO_LIMIT_SHARE * limit else number(params)


def memory_lines(assessment: Assessment, answers: Sequence[GoalAnswer]) -> list[str]:
    """What a memory limit per node does and does not bound, told from the plans of some answers."""
    lines = []
    largest = assessment.largest_node_params
    if largest and assessment.regime.cluster_clauses:
        chip, params = next(iter(largest.items()))
        lines.append(
            f"The largest model that one unseen node holds whole has about {largest_model(params)} parameters"
            f" (a node of {chip}, in the leanest number format)."
        )
    lines.append(
        "In the modes pipeline and swarm no node holds the model: several hold one copy between them. A limit on the memory of"
        " a node therefore does not bound the size of the model; it sets how many nodes share a copy."
    )
    for answer in answers:
        plan = answer.plan
        if plan is None:
            continue
        own = largest.get(plan.chip)
        size = f"For {goal_long(answer)} the plan trains {number(plan.choices['params'])} parameters: {holding(plan)}"
        if is_split(plan) and own and plan.choices["params"] > own:
            ratio = times(plan.choices["params"] / own)
            size += f" ({ratio} the {number(own)} or so that an unseen node of {plan.chip} could hold whole)"
        lines.append(f"{size}.{_whole_model_alternative(answer)}")
    return lines


def _whole_model_alternative(answer: GoalAnswer) -> str:
    """What the goal costs when every node must hold the model: the most that a perfect memory rule could add."""
    if answer.plan is None or not is_split(answer.plan) or answer.target_flop_quality is None:
        return ""
    whole = [plan for plan in answer.by_mode.values() if not is_split(plan)]
    if not whole:
        return " No plan whose nodes each hold the model was found to reach it."
    cost = min(plan.outcome["cost_usd"] for plan in whole)
    ratio = cost / answer.plan.outcome["cost_usd"]
    return f" If every node had to hold the whole model, it would cost {dollars(cost)} ({times(ratio)} as much)."


def burden_sentence(assessment: Assessment) -> str:
    """Whom else the rule catches, in one sentence."""
    if not assessment.regime.cluster_clauses:
        return "The rule has no clause on hardware, so it covers none of the reference systems."
    covered = [item for item in assessment.burden if item.covered]
    unknown = [item for item in assessment.burden if item.covered is None]
    systems = f"Of {len(assessment.burden)} reference systems of legitimate users, standing alone,"
    text = f"{systems} the rule covers {len(covered) or 'none'}"
    text += f"; {len(unknown)} cannot be decided for want of a figure." if unknown else "."
    return text


def verdict(covered: bool | None) -> str:
    """Covered or not, in words."""
    return {True: "covered", False: "not covered", None: "undecided (a figure is missing)"}[covered]


CENTRAL_VALUES = "Central values only: prices are indicative and dated, and no figure here has an interval yet."

WEAKNESSES = (
    "Central values only. Every parameter has a range (see the table of parameters); this report does not yet carry them through"
    " to intervals, so no third figure of any number should be leant on.",
    "The learning cost of many copies of a model that average seldom is fitted to small models and few copies; at the sizes and"
    " counts of these plans it is extrapolated. The evidence horizon says how far.",
    "Prices are indicative and dated: list prices, resellers and press reports, for one chip rather than for thousands bought"
    " unnoticed.",
    "Training in FP4 at this scale is unproven; plans in fp4 assume that what holds for smaller models goes on holding.",
    "Swarm training compresses what passes between nodes in a learned subspace; its authors' result has not been independently"
    " replicated, and compression beyond theirs is extrapolated.",
    "The adversary here is competent and unhurried: no learning on the job, no failed attempts, no supplier who talks."
    " Detection by people, purchases, power or traffic is not part of this answer; the footprint says what there is to notice.",
    "Only chips of the catalog that are for sale with known figures are considered, and one kind of chip to a plan.",
)
