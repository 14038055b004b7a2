"""The words and number formats of an assessment, in one place: the terminal and the page say the same."""

# ruff: noqa: PLR2004 - the sizes at which a number changes its form

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from thresher.assessment import confidence
from thresher.assessment.assess import Assessment, GoalAnswer
from thresher.assessment.formats import (
    NOTHING,
    OUT_OF_REACH,
    dollars,
    flop,
    many,
    number,
    percent,
    power,
    round_dollars,
    round_flop,
    significant,
    span,
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
    """One goal's plan at central values, attribute by attribute: the lines of the table by target."""
    labels = (
        "Cost", "of which chips (study's count)", "Capability reached", "Hardware of a node", "Nodes", "Chips", "Number format",
        "Mode", "Nodes per copy of the model", "Copies of the model", "Model", "Training tokens", "Inner steps",
        "Update size", "Activation compression", "Length of the run", "Power", "People", "Nearest clause", "Share of its line",
        "Operations performed", "Run clause says", "Declared datacentre", "Unseen over declared", "Beyond the evidence",
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
        clause_value(answer), flop(o["flop"]), run_status(answer),
        dollars(answer.declared.outcome["cost_usd"]) if answer.declared else NOTHING, times(answer.cost_ratio), beyond(plan),
    )  # fmt: skip
    return list(zip(labels, values, strict=True))


def _whole(value: float) -> str:
    return f"{value:,.0f}"


SPREADS: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "Cost": ("cost_usd", dollars),
    "of which chips (study's count)": ("cost_chips_only_usd", dollars),
    "Capability reached": ("flop_quality", flop),
    "Nodes": ("nodes", _whole),
    "Chips": ("chips", _whole),
    "Nodes per copy of the model": ("stages", number),
    "Copies of the model": ("replicas", number),
    "Model": ("params", number),
    "Training tokens": ("tokens", number),
    "Inner steps": ("inner_steps", number),
    "Update size": ("bits_per_param", number),
    "Activation compression": ("activation_compression", times),
    "Length of the run": ("days", lambda value: many(value, "day")),
    "Power": ("power_mw", power),
    "People": ("people", _whole),
    "Operations performed": ("flop", flop),
    "Declared datacentre": ("declared_cost_usd", dollars),
    "Unseen over declared": ("cost_ratio", times),
}
"""The outcome whose interval stands beside each line of the table, and how its ends are written."""
OFTEN: Mapping[str, str] = {"Hardware of a node": "chip", "Number format": "precision", "Mode": "mode"}
"""The lines that hold a name, and how often the draws choose which."""


def spread(answer: GoalAnswer, label: str, names: int = 3) -> tuple[str, ...]:
    """What the draws say of a line of the table: its middle half and middle nine tenths, or how often each name is best."""
    found = answer.uncertainty
    of_target = answer.target_flop_quality is not None
    if found is None or label == ("Capability reached" if of_target else "Unseen over declared"):
        return ()  # given for a target; for a budget the declared site is that of the median capability
    if label in OFTEN:
        return tuple(text for text in (confidence.chosen(found, OFTEN[label], names),) if text)
    name, words = SPREADS.get(label, ("", number))
    if name not in found.outcomes or math.isnan(found.outcomes[name].q50):
        return ()
    return confidence.half_and_most(found.outcomes[name], words)


def below(answer: GoalAnswer, label: str) -> str:
    """What the draws say of a line of the table, in one line: the median and both intervals, or how often each name is best."""
    found = answer.uncertainty
    name, words = SPREADS.get(label, ("", number))
    if found is None or not (said := spread(answer, label)):
        return ""
    if label in OFTEN:
        return f"best in: {said[0]}"
    figure = found.outcomes[name]
    return f"median {confidence.end(figure.q50, words)}; {confidence.both_intervals(figure, words)}"


def widest(answer: GoalAnswer, label: str) -> str:
    """The 90% interval of a line of the table; a dash where there is none."""
    said = spread(answer, label)
    return said[-1] if said else NOTHING


def card_figure(answer: GoalAnswer) -> str:
    """The figure of a goal over the draws: the median of the least cost, or of the most capability for a budget."""
    if answer.uncertainty is None:
        return NOTHING
    figures = answer.uncertainty.outcomes
    if answer.target_flop_quality is not None:
        return confidence.end(figures["cost_usd"].q50, dollars)
    return confidence.capability(figures["flop_quality"].q50)


def card_interval(answer: GoalAnswer) -> str:
    """The intervals of the same figure."""
    if answer.uncertainty is None:
        return NOTHING
    figures = answer.uncertainty.outcomes
    if answer.target_flop_quality is not None:
        return confidence.both_intervals(figures["cost_usd"], dollars)
    return confidence.both_intervals(figures["flop_quality"], flop)


def central_figure(answer: GoalAnswer) -> str:
    """What central values alone say of a goal: the figure and the machines."""
    plan = answer.plan
    if plan is None:
        return OUT_OF_REACH
    of_target = answer.target_flop_quality is not None
    figure = dollars(plan.outcome["cost_usd"]) if of_target else confidence.capability(plan.outcome["flop_quality"])
    return f"{figure}, {hardware(plan)}, {plan.precision}, {plan.mode}"


def short_rows(answer: GoalAnswer) -> list[tuple[str, str]]:
    """The lines of the terminal's table: all of them at central values; with draws fewer, each with its 90% interval."""
    found = answer.uncertainty
    if found is None:
        return rows(answer)
    cost = found.outcomes["cost_usd"]
    half, most = confidence.half_and_most(cost, dollars)
    lines = [
        ("Within reach", f"{percent(found.reached)} of draws"),
        ("Cost, median", OUT_OF_REACH if math.isinf(cost.q50) else dollars(cost.q50)),
        ("  half of the draws", half),
        ("  90% of the draws", most),
    ]
    for label, value in rows(answer):
        if label in SHORT:
            said = () if label == "Cost" else spread(answer, label, names=1 if label == "Mode" else 2)
            beside = f"\n({said[-1]})" if said else ""
            lines.append(("Cost, central values" if label == "Cost" else label, f"{value}{beside}"))
    return lines


SHORT = (
    "Cost", "Capability reached", "Hardware of a node", "Nodes", "Number format", "Mode", "Model", "Power", "People",
    "Share of its line", "Declared datacentre", "Unseen over declared", "Beyond the evidence",
)  # fmt: skip
"""What a reader with five minutes needs of ``rows``; the page has them all."""


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
    reached = [item for item in targets[: middle + 1] if within_reach(item)]
    return reached[-1] if reached else targets[middle]


def within_reach(answer: GoalAnswer) -> bool:
    """Whether a goal is met in most draws; at central values, where nothing was drawn."""
    found = answer.uncertainty
    return answer.plan is not None if found is None else found.reached >= confidence.HALF


def headline(assessment: Assessment) -> list[str]:
    """The answer in a few sentences, for the first screen."""
    answer = main_answer(assessment)
    if answer is None:
        return ["No target and no budget were asked for."]
    if answer.uncertainty is None:
        sentences = _central_headline(assessment, answer)
    else:
        sentences = [] if assessment.regime.cluster_clauses else [no_cluster_clause()]
        sentences += draws_sentences(assessment, answer)
    if answer.plan is None:
        return sentences
    sentences += [
        text
        for text in (
            nearest_sentence(answer),
            run_sentence(answer),
            evidence_sentence(answer.plan),
            "" if assessment.quick else without_fp4(answer),
        )
        if text
    ]
    return sentences


def draws_paragraphs(assessment: Assessment) -> list[tuple[str, list[str]]]:
    """What the draws say beyond the table, under headings, a line for each goal that has something to say."""
    answers = [item for item in assessment.answers if item.uncertainty is not None]
    targets = [item for item in answers if item.target_flop_quality is not None]
    driven = [item for item in targets if item.sensitivity is not None]

    def lines(items: Sequence[GoalAnswer], words: Callable[[GoalAnswer], str]) -> list[str]:
        return [f"{goal(item)}: {words(item).removesuffix('.')}." for item in items]

    found = [
        (KNOWS, lines(targets, budget_words)),
        (COMMITS, [] if assessment.quick else lines(answers, commitment_words)),
        (FORMS, lines(targets, form_words)),
        (DRIVES, lines(driven, driver_words)),
        (CHANGES, lines(driven, flip_words)),
    ]
    return [(heading, said) for heading, said in found if said]


TWO_READINGS = (
    "Two readings of the same draws. An adversary who knows the world re-plans in every draw, hardware included: what it pays is"
    " the least that anyone could, and its chances are the best. One who must commit before knowing buys one set of machines and"
    " trains one model whatever the world turns out to be; only its inner steps follow the links. A real one learns as it goes,"
    " and stands between."
)
ONE_READING = (
    "An adversary who knows the world re-plans in every draw, hardware included: what it pays is the least that anyone could, and"
    " its chances are the best. What one must pay who commits before knowing is for the whole search to say."
)
FORMS_DIFFER = (
    "What many copies cost in learning has been measured with few of them and on small models. Several forms of that penalty fit"
    " the measurements about as well and part beyond them. A conclusion survives where more than half of the draws agree"
    " under every form."
)
FLIPS = (
    "For each form of the penalty, the nearest world in which the verdict is the opposite: whether the target can be had within"
    " the verdict's budget. Distance is in standard deviations, every parameter at its median at the start and on a normal scale;"
    " one is an ordinary surprise, three are a rare one. The search is of first order and may miss a nearer world. The shifts are"
    " the largest, in order."
)
KNOWS = "If it knows the world and re-plans in every draw (least cost, most evasion)"
COMMITS = "If it must commit to one plan before knowing (median cost, spent whether or not it succeeds)"
FORMS = "By form of the replica penalty, in more than half of its draws"
DRIVES = "What drives the cost: share of the variance of its logarithm, interactions included"
CHANGES = "What would change the conclusion"


def budget_words(answer: GoalAnswer) -> str:
    """The chance of meeting a target within budgets."""
    return "" if answer.uncertainty is None else confidence.budget_line(answer.uncertainty)


def commitment_words(answer: GoalAnswer) -> str:
    """What one plan for all draws takes."""
    if answer.uncertainty is None:
        return ""
    return confidence.commitment_line(answer.uncertainty, by_budget=answer.target_flop_quality is None)


def form_words(answer: GoalAnswer) -> str:
    """Which conclusions survive every form of the penalty."""
    return "" if answer.uncertainty is None else confidence.survival(answer.uncertainty)


def driver_words(answer: GoalAnswer) -> str:
    """What drives the cost of a target."""
    return "" if answer.sensitivity is None else confidence.drivers(answer.sensitivity)


def flip_words(answer: GoalAnswer) -> str:
    """The nearest world in which the verdict on a target flips."""
    return "" if answer.sensitivity is None else confidence.flip_line(answer.sensitivity)


def _central_headline(assessment: Assessment, answer: GoalAnswer) -> list[str]:
    first = plan_sentence(assessment, answer)
    if not assessment.regime.cluster_clauses:
        return [no_cluster_clause(), first]
    if answer.plan is None:
        return [f"Not as far as this search went. {first}"]
    return [f"Yes, on central values. Under {assessment.regime.name} {first[:1].lower()}{first[1:]}"]


def draws_sentences(assessment: Assessment, answer: GoalAnswer) -> list[str]:
    """What the draws say of a goal, what one plan for all of them takes, and what central values alone would have said."""
    found = answer.uncertainty
    if found is None:
        return []
    by_budget = answer.target_flop_quality is None
    start = confidence.verdict(found)
    if not by_budget and found.reached > 0.0:
        budget = settings()["verdict_budget"]
        start += f" (within {round_dollars(budget)} in {percent(confidence.within_verdict_budget(found))})"
    sentences = [f"{start}. {_knowing_sentence(assessment, answer)}"]
    if found.reached > 0.0 and not by_budget and not assessment.quick:
        sentences.append(confidence.commitment_sentence(found))
    sentences.append(_central_sentence(assessment, answer))
    return sentences


def _knowing_sentence(assessment: Assessment, answer: GoalAnswer) -> str:
    """What the adversary who knows the world pays, or reaches, over the draws."""
    found = answer.uncertainty
    if found is None or found.reached == 0.0:
        return f"{capital(goal_long(answer))} under {assessment.regime.name} is out of reach."
    figures = found.outcomes
    unseen = ", unseen by every clause on hardware" if assessment.regime.cluster_clauses else ""
    who = f"Under {assessment.regime.name} a developer who knows the world"
    if answer.target_flop_quality is None:
        reach = confidence.median_and_most(figures["flop_quality"], flop)
        return f"{who} could reach, with {goal_long(answer)}, a median of {reach} quality-adjusted FLOP{unseen}."
    cost, aim = figures["cost_usd"], goal_long(answer)
    if math.isinf(cost.q05):
        return f"{who} can reach {aim} in fewer than one draw of 20{unseen}."
    if math.isinf(cost.q50):
        return f"{who} would need more than {dollars(cost.q05)} for {aim} in 19 draws of 20{unseen}, and in most cannot reach it."
    text = f"{who} could reach {aim} for a median of {confidence.median_and_most(cost, dollars)}{unseen}"
    ratio = figures["cost_ratio"]
    if not math.isfinite(ratio.q50):
        return f"{text}."
    return (
        f"{text}: {times(ratio.q50)} the cost of one openly declared datacentre ({span(ratio.q05, ratio.q95, times)})."
    )


def _central_sentence(assessment: Assessment, answer: GoalAnswer) -> str:
    """What central values alone would have said, and how many draws are worse for the adversary."""
    found, plan, start = answer.uncertainty, answer.plan, "Central values are only one of these worlds"
    if found is None or plan is None or answer.target_flop_quality is None:
        return f"{start}: {lower(plan_sentence(assessment, answer))}"
    cost = plan.outcome["cost_usd"]
    dearer = sum(drawn > cost for drawn in found.by_draw["cost_usd"].tolist()) / confidence.draws_of(found)
    beside = f", {times(answer.cost_ratio)} the declared datacentre" if answer.declared is not None else ""
    days = many(plan.outcome["days"], "day")
    return f"{start}, cheaper than {percent(dearer)} of them: {dollars(cost)}, with {hardware(plan)} in {days}{beside}."


def lower(text: str) -> str:
    """Text that goes on after a colon."""
    return text[:1].lower() + text[1:]


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


def bests(assessment: Assessment, of: str) -> str:
    """The heading of the best plans of each kind; a quick search looks only into kinds that promise the cheapest plan."""
    return f"Best of each {of}" + (" that the quick search looked into" if assessment.quick else "")


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
        lines.append(f"{size}.{'' if assessment.quick else _whole_model_alternative(answer)}")
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


CENTRAL_VALUES = "Central values only, as asked: no figure here has an interval. Prices are indicative and dated."


def basis(assessment: Assessment) -> str:
    """What the figures are: central values alone, or with intervals over how many draws; and of which search."""
    return " ".join([*([quick_words(assessment)] if assessment.quick else []), _drawn_basis(assessment)])


def quick_words(assessment: Assessment) -> str:
    """That an answer is a quick one, and how far such answers were from the whole search's."""
    share = {name: percent(value).replace(".0%", "%") for name, value in settings()["quick"]["measured"].items()}
    drawn = f"; its medians over draws were within {share['draws']}" if assessment.draws is not None else ""
    return (
        f"A quick answer, of a coarser search: at central values its plans were at most {share['half']} dearer than the whole"
        f" search's in half of the cases tried, and at most {share['most']} in 19 of 20{drawn}."
    )


def _drawn_basis(assessment: Assessment) -> str:
    if assessment.draws is None:
        return CENTRAL_VALUES
    return (
        f"Intervals are over {many(assessment.draws, 'draw')} of everything uncertain (seed {assessment.seed}): of costs over"
        " all draws, “out of reach” where none is enough; of a plan's own figures over the draws that reach the goal. An interval"
        " is as good as the distributions behind it, and says nothing of what no distribution covers. Prices are indicative and"
        " dated."
    )


def weaknesses(assessment: Assessment) -> tuple[str, ...]:
    """Where the answer is weak."""
    return (WEAK_CENTRAL if assessment.draws is None else WEAK_DRAWS, *WEAKNESSES)


WEAK_CENTRAL = (
    "Central values only. Every parameter has a range (see the table of parameters); this report does not carry them through to"
    " intervals, so no third figure of any number should be leant on."
)
WEAK_DRAWS = (
    "The intervals hold for the distributions assumed: many are our judgement, groups of parameters are drawn independently, and"
    " one factor moves the prices of all chips together. The search in every draw is quicker than the one at central values and"
    " may miss the cheapest plan by some per cent, in a few draws by more. How likely each form of the penalty is rests on few"
    " measurements; see what holds under each."
)
WEAKNESSES = (
    "The learning cost of many copies of a model that average seldom is fitted to small models and few copies; at the sizes and"
    " counts of these plans it is extrapolated. The evidence horizon says how far.",
    "Prices are indicative and dated: list prices, resellers and press reports, for one chip rather than for thousands bought"
    " unnoticed.",
    "Training in FP4 at this scale is unproven; plans in fp4 assume that what holds for smaller models goes on holding.",
    "Swarm training compresses what passes between nodes in a learned subspace; its authors' result has not been independently"
    " replicated, and compression beyond theirs is extrapolated.",
    "The adversary here is competent and unhurried: no learning on the job and no failed attempts. Detection is judged beside the"
    " cheapest plans and does not change them; its coefficients rest on judgement oftener than any others of this report.",
    "Only chips of the catalog that are for sale with known figures are considered, and one kind of chip to a plan.",
)
