"""Every number of the policy page as one that opens: what it is, how it follows, and the sources of what it follows from."""

from __future__ import annotations

from dataclasses import dataclass

from thresher.assessment import wording as say
from thresher.assessment.assess import ClauseMargin, GoalAnswer
from thresher.assessment.explain import explain_capability, explain_cost
from thresher.catalog import chip
from thresher.evasion.best_response import AdversaryPlan
from thresher.lab.opening import Number, SourceLine, cited, cited_chip
from thresher.result import Explanation
from thresher.simulation import default


@dataclass(frozen=True, slots=True)
class _About:
    """A line of the table: the outcome behind it, its unit, how it follows, and the names of parameters it rests on."""

    outcome: str
    unit: str
    how: str
    rests_on: tuple[str, ...] = ()


PRICES = (
    "chip_price_factor", "covert_chip_premium", "server_cost_per_chip_dollar", "node_interconnect_cost_per_chip_dollar",
    "colocation_usd_per_kw_month", "electricity_small_site_usd_per_kwh", "internet_usd_per_mbps_month", "site_setup_usd",
    "spare_chip_fraction", "staff_usd_per_person_year", "technician_usd_per_person_year",
)  # fmt: skip
UTILISATION = (
    "mfu_factor", "generation_factor_blackwell", "generation_factor_hopper", "generation_factor_ampere", "small_unit_mfu",
    "failures_per_chip_year", "repair_hours_small_site", "link_rate_factor", "protocol_efficiency",
)  # fmt: skip
LEARNING = (
    "replica_factor", "replica_size_exponent", "replica_token_exponent", "inner_step_scale", "critical_batch_tokens_at_1e12",
    "staleness_data_cost", "number_format_data_cost_fp8", "number_format_data_cost_fp4", "activation_data_cost",
    "validated_activation_compression",
)  # fmt: skip
MEMORY = (
    "state_bytes_bf16",
    "state_bytes_fp8",
    "state_bytes_fp4",
    "usable_memory_fraction",
    "working_bytes_per_activation",
)
POWER = ("mean_power_fraction", "server_power_per_chip_power", "power_usage_effectiveness_small_site")
PEOPLE = ("people_core_team", "operators_per_site", "technicians_per_mw")
ABOUT = {
    "Cost": _About("cost_usd", "USD", "chips, servers, links, hosting, power and people over the run; see its parts", PRICES),
    "of which chips (study's count)": _About("cost_chips_only_usd", "USD", "chips x price, as the study counts"),
    "Capability reached": _About("flop_quality", "FLOP", "the optimally allocated single-site run with the same loss", LEARNING),
    "Nodes": _About("nodes", "nodes", "chosen: the fewest, with all else, that reach the capability at least cost"),
    "Chips": _About("chips", "chips", "nodes x chips per node"),
    "Nodes per copy of the model": _About("stages", "nodes", "the fewest whose memory holds the model and its optimiser", MEMORY),
    "Copies of the model": _About("replicas", "copies", "nodes / nodes per copy: those that average pseudo-gradients"),
    "Model": _About("params", "parameters", "chosen: between what a copy's memory holds and what the tokens can train"),
    "Training tokens": _About("tokens", "tokens", "tokens a step x steps in the time at work", UTILISATION),
    "Inner steps": _About("inner_steps", "steps", "the fewest between synchronisations that the links allow and that pay"),
    "Length of the run": _About("days", "days", "chosen: up to the longest run allowed"),
    "Power": _About("power_mw", "MW", "chips x TDP x utilisation x overhead of server and site", POWER),
    "People": _About("people", "people", "engineers by chips and sites, and those who house and buy", PEOPLE),
    "Operations performed": _About("flop", "FLOP", "6 x parameters x tokens"),
}  # fmt: skip
OF_THE_CHIP = ("Cost", "of which chips (study's count)", "Power", "Operations performed")
"""The lines that follow from the figures of the chip itself."""


def numbers(answer: GoalAnswer, prefix: str) -> list[tuple[str, Number | str, str]]:
    """The lines of the table for one goal: label, its number (words, where nothing opens), and what the draws say."""
    found: list[tuple[str, Number | str, str]] = []
    for at, (label, words) in enumerate(say.rows(answer)):
        below = say.below(answer, label)
        explanation = None if answer.plan is None else _explained(answer, answer.plan, label)
        if explanation is None:
            found.append((label, words, below))
        else:
            found.append((label, Number(f"{prefix}-{at}", words, explanation, _sources(answer, label), below), below))
    return found


def _explained(answer: GoalAnswer, plan: AdversaryPlan, label: str) -> Explanation | None:
    match label:
        case "Cost":
            return explain_cost(plan)
        case "Capability reached":
            return explain_capability(plan)
        case "Nearest clause" | "Share of its line":
            return None if answer.nearest_clause is None else _explain_clause(answer.nearest_clause)
        case "Declared datacentre" | "Unseen over declared":
            return None if answer.declared is None else explain_cost(answer.declared)
        case "Beyond the evidence":
            return _explain_horizon(plan)
    about = ABOUT.get(label)
    value = None if about is None else _value(plan, about.outcome)
    return None if about is None or value is None else Explanation(label, value, about.unit, about.how)


def _explain_clause(nearest: ClauseMargin) -> Explanation:
    line = say.number_of_line(nearest.threshold)
    how = f"of one node; the line stands at {line} ({nearest.reference})"
    return Explanation(f"clause {nearest.id}", nearest.value, nearest.unit, how)


def _explain_horizon(plan: AdversaryPlan) -> Explanation:
    parts = tuple(
        Explanation(say.AXES.get(one.axis, one.axis), one.ratio, "x", say.evidence(one)) for one in plan.horizon
    )
    farthest = max((one.ratio for one in plan.horizon), default=0.0)
    return Explanation("the farthest of", farthest, "x", "over the largest value ever measured, axis by axis", parts)


def _value(plan: AdversaryPlan, name: str) -> float | None:
    own = {"nodes": plan.nodes, "chips": plan.nodes * plan.chips_per_node, "people": plan.footprint.people}
    return own.get(name, plan.outcome.get(name, plan.choices.get(name)))


def _sources(answer: GoalAnswer, label: str) -> tuple[SourceLine, ...]:
    """The sources of the parameters a line rests on, and of its chip."""
    about, plan = ABOUT.get(label), answer.plan
    found = () if about is None else tuple(cited(default.quantities()[name]) for name in about.rests_on)
    return found if plan is None or label not in OF_THE_CHIP else (cited_chip(chip(plan.chip)), *found)
