"""The words of `programmes`, in one place: the terminal and the page say the same."""

from __future__ import annotations

import math
from collections.abc import Sequence

from thresher.assessment import noticing
from thresher.assessment.formats import NOTHING, dollars, flop, many, number, percent, round_flop, span
from thresher.assessment.wording import lower
from thresher.countermeasures.programmes import Programme, settings
from thresher.countermeasures.texts import THRESHOLDS, route_title, texts, title
from thresher.portfolios.answers import ActorAnswer, Portfolio, Reply
from thresher.portfolios.search import Rung
from thresher.portfolios.values import PerDollar, Worth

MAIN = "company"
"""The actor that the headline speaks of, where it is among those asked for."""
TOP_SETTINGS, TOP_DIFFERENCES = 5, 6
FAR_APART = 2
"""Places between our rank and the study's band from which the difference is explained."""
WEAKNESSES = (
    "Most coefficients of detection are judgement: few programmes of this kind were ever found, none of exactly this kind."
    " The ranges are"
    " wide on purpose; read orders of magnitude and orders of rank, and not the second figure.",
    "Published models of leaks disagree by two orders of magnitude for small teams. The answers mix them with equal"
    " weights unless a"
    " programme's assumptions say otherwise.",
    "The adversary knows the programme exactly and picks the best of a pool of plans and of a few ways to hide; what is"
    " not in the pool"
    " (a chip that does not exist yet, a way of hiding no one wrote down) is in no answer.",
    "Findings about one site, chip or purchase lead to the whole with one probability for all of them; in life it differs, and a"
    " service that finds one site may watch it for the others.",
    "Leads are followed in the order of their worth, as by an analyst who knows what to look for; the figures for leads"
    " taken as they"
    " come stand beside. Investigations take no time here.",
    "The state's search is greedy, step by step and then pruned; a cheaper programme may exist. Costs are the means of"
    " wide ranges.",
    "Countermeasures do not change prices, and no one is deterred or moves abroad while a programme is being set up.",
)


QUESTION = "Would we catch it, and what would make sure?"


def main_answer(portfolio: Portfolio) -> ActorAnswer:
    """The actor that the headline speaks of."""
    named = [one for one in portfolio.answers if one.actor.name == MAIN]
    return (named or list(portfolio.answers))[0]


def headline(portfolio: Portfolio) -> list[str]:
    """The answer in a few sentences."""
    one = main_answer(portfolio)
    goal = f"{round_flop(portfolio.target)} quality-adjusted FLOP"
    if not one.replies:
        return [
            f"The actor {one.actor.name} can afford no plan of the search that reaches {goal} under {portfolio.regime.name}."
        ]
    chances = ", ".join(f"{percent(reply.success)} under {reply.programme.name}" for reply in one.replies)
    sentences = [
        f"Under {portfolio.regime.name} the actor {one.actor.name}, who knows the programme and picks its"
        " plan and its"
        f" way to hide by it, reaches {goal} undetected with a chance of {chances}.",
        cheapest_sentence(portfolio, one),
    ]
    if first := sorted(one.worth, key=lambda item: item.rank)[:3]:
        parts = ", ".join(f"{title(item.countermeasure).lower()} ({percent(item.shapley)})" for item in first)
        sentences.append(f"Of what {portfolio.weighed.name} does, most of the fall in that chance is due to {parts}.")
    return sentences


def cheapest_sentence(portfolio: Portfolio, one: ActorAnswer) -> str:
    """The cheapest programme found that holds the bound."""
    bound = percent(portfolio.bound)
    if not one.replies:
        return "It can afford no plan that reaches the target: no programme is needed."
    if one.cheapest is None:
        best = min(one.rungs, key=lambda rung: (round(rung.success, 3), rung.cost_usd_per_year))
        return (
            f"No programme found{within_cap(portfolio)} holds that under {bound}: the most effective leaves"
            f" {percent(best.success)} and costs {dollars(best.cost_usd_per_year)} a year."
        )
    if len(one.rungs) == 1:
        return f"It is under {bound} with no programme at all."
    return (
        f"The cheapest programme found that holds it under {bound} leaves {percent(one.cheapest.success)} and costs the state"
        f" {dollars(one.cheapest.cost_usd_per_year)} a year: {raised(one.cheapest.programme)}."
    )


def within_cap(portfolio: Portfolio) -> str:
    """That the search keeps to the rule's own cap on inspections, where it has one."""
    cap = inspections_cap(portfolio)
    return "" if cap is None else f" within the rule's {many(cap, 'challenge inspection')} a year"


def raised(programme: Programme) -> str:
    """The settings of a programme that stand above where they stand unsaid."""
    parts = [
        f"{name} {number(value)}" for name, value in programme.settings.items() if value > settings()[name].default
    ]
    return ", ".join(parts) or "nothing"


def replies_row(portfolio: Portfolio, one: ActorAnswer) -> list[str]:
    """An actor's row in the table of programmes: the chance of success under each."""
    if not one.replies:
        return ["cannot afford it"] + [NOTHING] * (len(compared(portfolio)) - 1)
    return [f"{percent(reply.success)}{' (deterred)' if reply.deterred else ''}" for reply in one.replies]


def compared(portfolio: Portfolio) -> Sequence[str]:
    """The names of the programmes that were compared."""
    return next(
        ([reply.programme.name for reply in one.replies] for one in portfolio.answers if one.replies), ["programme"]
    )


LEGEND = (
    "Chance that the actor reaches the target undetected, over all draws, with the plan and the way to hide that do best"
    " against the"
    " programme. Deterred: even its least risky choice is riskier than it accepts."
)


def reply_cells(reply: Reply) -> list[tuple[str, str]]:
    """Everything that stands in the table of one actor's replies."""
    seen = reply.timeline
    first = ", ".join(
        f"{title(one.countermeasure)} {percent(one.first_by_finish)}" for one in noticing.by_share(seen)[:3]
    )
    low, high = seen.finish[0], seen.finish[-1]
    alarms = f"{noticing.false_alarms(seen)}; {number(seen.capacity)} leads can be followed"
    return [
        ("Reaches the target undetected", percent(reply.success)),
        ("leads taken as they come", percent(reply.as_they_come)),
        ("Not detected before the end of training", f"{percent(reply.undetected)} (90% of draws {span(low, high, percent)})"),
        ("Reaches the target if not detected", percent(reply.reaches)),
        ("Deterred", "yes" if reply.deterred else "no"),
        ("Plan", reply.plan),
        ("Hidden as", noticing.hidden_as(reply.way)),
        ("First to detect", first or NOTHING),
        ("When", noticing.when(seen)),
        ("Expected time until detected or over", noticing.months(seen.expected_years)),
        ("Done before it is stopped or ends, on average", f"{percent(seen.share_done)}, {flop(reply.flop_done)} FLOP"),
        ("Expected quality-adjusted FLOP of success", flop(reply.expected_flop)),
        ("Goes with, by rank over the draws", noticing.drivers_line(seen).rsplit(": ", 1)[-1] or NOTHING),
        ("People alone, by published models", noticing.leak_range(seen).rsplit(": ", 1)[1]),
        ("False alarms a year where nothing is hidden", alarms),
        ("of which taken up by false alarms", f"up to {dollars(seen.followed_usd_per_year)} a year of investigators' time"),
        ("Cost to the state", f"{dollars(reply.cost_usd_per_year)} a year"),
        ("Burden on others", f"{dollars(reply.burden_usd_per_year)} a year"),
    ]  # fmt: skip


def worth_row(one: Worth) -> list[str]:
    """A countermeasure's row: our rank, the study's, and its three values."""
    band = texts()[one.countermeasure].study_band
    study = "not ranked" if band is None else f"band {band}"
    turns_to = route_title(one.turns_to) if one.turns_to else NOTHING
    values = (points(one.shapley), points(one.alone), points(one.last))
    return [str(one.rank), title(one.countermeasure), study, *values, turns_to]


WORTH_COLUMNS = (
    "Rank",
    "Countermeasure",
    "The study",
    "Shapley",
    "Alone",
    "Last added",
    "Against it alone the actor takes",
)


def points(share: float) -> str:
    """A fall of a chance in percentage points."""
    return f"{100.0 * share:.1f} points"


def ranked(one: ActorAnswer) -> list[Worth]:
    """The countermeasures by rank."""
    return sorted(one.worth, key=lambda item: item.rank)


def differences(one: ActorAnswer) -> list[str]:
    """Where our ranking parts from the study's, and why, from what the game says."""
    found = []
    count = len(one.worth)
    first_band = sum(texts()[item.countermeasure].study_band == 1 for item in one.worth)
    for item in ranked(one):
        text = texts()[item.countermeasure]
        name = text.title
        if text.study_band == 1 and item.rank > first_band + FAR_APART - 1:
            turned = f", who then takes {route_title(item.turns_to)}" if item.turns_to else ""
            found.append(
                f"{name}: in the study's first band against those who are no state, {_ordinal(item.rank)} of {count} here."
                " Alone it takes"
                f" {points(item.alone)} off the actor's chance{turned}. What it cannot see: {lower(text.blind)}"
            )
        elif text.study_band is None and item.rank <= FAR_APART + 1:
            because = (
                "without lines one ordinary site would do, which leaves far less to notice"
                if item.countermeasure == THRESHOLDS
                else f"it catches {lower(text.catches).rstrip('.')}, which is what the thresholds force a run into"
            )
            found.append(
                f"{name}: {_ordinal(item.rank)} of {count} here, without a rank of its own in the study: {because}."
            )
    return found[:TOP_DIFFERENCES]


def per_dollar_line(one: PerDollar) -> str:
    """A setting for its dollar."""
    row = settings()[one.setting]
    rate = NOTHING if math.isinf(one.fall_per_million) else f"{100.0 * one.fall_per_million:.3g} points"
    return f"{row.setting} ({row.countermeasure.replace('_', ' ')}): {rate} for each $1 million a year"


def top_per_dollar(one: ActorAnswer) -> list[PerDollar]:
    """The settings that do most for their dollar."""
    return [item for item in one.per_dollar if item.fall > 0.0][:TOP_SETTINGS]


def rung_row(rung: Rung) -> list[str]:
    """A step of the way up."""
    what = {
        "": "where everything stands unsaid",
        "pruned": "what is not needed taken back",
    }.get(rung.raised, rung.raised)
    return [what, f"{dollars(rung.cost_usd_per_year)} a year", percent(rung.success)]


def cap_line(portfolio: Portfolio) -> str:
    """What the rule itself allows of challenge inspections."""
    cap = inspections_cap(portfolio)
    if cap is None:
        return ""
    over = [
        reply.programme.name
        for reply in main_answer(portfolio).replies
        if reply.programme.settings["challenge_inspections"] > cap
    ]
    text = f"The rule allows {many(cap, 'challenge inspection')} a year; the search for the cheapest programme keeps to that"
    return f"{text}, the programme {' and '.join(over)} does not." if over else f"{text}."


def inspections_cap(portfolio: Portfolio) -> float | None:
    """The most challenge inspections a year that the rule's own text allows."""
    return portfolio.inputs["challenge_inspections_at_most"]  # type: ignore[no-any-return]


def budget_lines(portfolio: Portfolio) -> list[str]:
    """The best programme found within the state's budget, actor by actor."""
    return [
        f"{one.actor.name}: {percent(one.within_budget.success)} for {dollars(one.within_budget.cost_usd_per_year)} a year"
        f" ({raised(one.within_budget.programme)})."
        for one in portfolio.answers
        if one.within_budget is not None
    ]


def overload_line(portfolio: Portfolio) -> str:
    """Whether there are more leads than inspectors, under which programmes, and what that could do."""
    over = [reply for reply in main_answer(portfolio).replies if reply.timeline.overloaded]
    if not over:
        return ""
    worst = max(over, key=lambda reply: reply.as_they_come - reply.success)
    return (
        f"More leads than can be followed under {', '.join(reply.programme.name for reply in over)}. With the best leads"
        " first the chance"
        f" of success under {worst.programme.name} is {percent(worst.success)}; taken as they come it would be"
        f" {percent(worst.as_they_come)}, and there more of a noisy countermeasure could do harm."
    )


def basis(portfolio: Portfolio) -> str:
    """What the figures rest on."""
    return (
        f"{many(portfolio.inputs['draws'], 'draw')} of everything uncertain about training and detection (seed"
        f" {portfolio.inputs['seed']});"
        f" {many(portfolio.inputs['plans'], 'plan')} in play; the adversary maximises"
        f" {OBJECTIVES.get(portfolio.objective, portfolio.objective)}."
    )


OBJECTIVES = {
    "finish": "its chance to reach the target undetected",
    "expected": "the expected capability that it gets undetected",
    "within-risk": "nothing but cheapness, within the risk that it accepts",
}


def _ordinal(place: int) -> str:
    return {1: "1st", 2: "2nd", 3: "3rd"}.get(place, f"{place}th")
