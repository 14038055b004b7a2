"""The words of detection: whether, when and by what a plan would be noticed, and what that costs in false alarms."""

from __future__ import annotations

import math
from collections.abc import Sequence

from thresher.assessment.assess import Assessment, GoalAnswer
from thresher.assessment.formats import dollars, number, percent, span
from thresher.assessment.wording import goal, lower, main_answer
from thresher.countermeasures.accounting import largest_likelihood_ratio
from thresher.countermeasures.channels import channels
from thresher.countermeasures.hiding import Hiding, routes
from thresher.countermeasures.parameters import quantities
from thresher.countermeasures.programmes import countermeasures, settings
from thresher.countermeasures.texts import title
from thresher.countermeasures.timeline import Cause, Timeline
from thresher.simulation.cost import MONTHS_PER_YEAR
from thresher.sources import Quantity

NOTICED = "Would it be noticed? Chance that the cheapest plans are detected"
SHOWN = 3
"""Countermeasures named in a line."""
LEAST_SHOWN = 0.005
UNSIGNED = {
    "reconciliation_luck": "whether holders are seen to be short",
    "location_luck": "whether displaced chips contradict",
    "purchase_luck": "whether purchases can be tied together",
    "contract_luck": "whether contracts can be tied together",
    "leak_model": "which model of leaks holds",
}
"""What is so or not, or has no order: the sign of its correlation says nothing, and is left out."""
LEAK_MODELS = {
    "prism": "Grimes 2016, the case of PRISM", "tuskegee": "Grimes 2016, the case of Tuskegee",
    "fbi": "Grimes 2016, the case of FBI forensics", "identification": "Time until covert programmes were identified, our refit",
    "insider": "Events in which an insider alone gave a programme away",
}  # fmt: skip
TRIAGE = (
    "Leads compete for those who follow them, and are followed here in the order of what they are worth, which takes an"
    " analyst who knows what to look for: an optimist's reading, under which more of a countermeasure never lowers detection."
)
OVERLOADED = (
    "There are more leads than can be followed. In life, more of a countermeasure that brings many false alarms could then lower"
    " detection, by burying better leads; this model does not let it."
)


def noticed_line(answer: GoalAnswer) -> str:
    """Whether, by what and how soon the cheapest plans of a goal would be noticed."""
    found = answer.detection
    if found is None:
        return "nothing to say: too few draws have a plan within the actor's chips, dollars and people"
    first = [f"{title(one.countermeasure).lower()} {percent(one.first_by_finish)}" for one in by_share(found)[:SHOWN]]
    text = f"detected before the run is finished with a chance of {percent(1.0 - found.finish_mean)} ({finish_span(found)})"
    text += f", first by {', '.join(first)}" if first else ""
    done = f"{percent(found.share_done)} of the run is done on average before it is stopped or ends"
    return f"{means(answer)}{text}. {when(found)}; {done}"


def means(answer: GoalAnswer) -> str:
    """In how many of the draws that reach a goal the actor has the means for its plan; nothing to say where in all."""
    share = 1.0 if answer.noticed is None else answer.noticed.within_means
    return (
        "" if share >= 1.0 else f"where the actor has the means for it ({percent(share)} of the draws that reach it), "
    )


def main_timeline(assessment: Assessment) -> Timeline | None:
    """The timeline of the goal that the headline speaks of, or the first that there is."""
    main = main_answer(assessment)
    found = [item.detection for item in assessment.answers if item.detection is not None]
    return main.detection if main is not None and main.detection is not None else found[0] if found else None


def headline_sentence(assessment: Assessment) -> str:
    """One sentence for the first screen: the chance that the run of the headline is detected before it is finished."""
    answer = main_answer(assessment)
    if assessment.watch is None or answer is None or answer.detection is None:
        return ""
    found = answer.detection
    first = by_share(found)[:1]
    by = f", most often by {title(first[0].countermeasure).lower()}" if first else ""
    return (
        f"Under the programme {assessment.watch.programme.name} the cheapest such run of the actor {assessment.watch.actor.name}"
        " would be detected before it is finished with a chance of"
        f" {percent(1.0 - found.finish_mean)} ({finish_span(found)}){by}."
    )


def finish_span(found: Timeline) -> str:
    """The 90% interval of the chance of being detected before the end of training."""
    low, high = 1.0 - found.finish[-1], 1.0 - found.finish[0]
    return f"90% of the draws {span(low, high, percent)}"


def when(found: Timeline) -> str:
    """How soon detection has a chance of one half, and of one in ten."""
    tenth, half, _ = found.detected_years
    if math.isinf(tenth):
        return "Not even one in ten is detected by the time the machines are gone"
    late = "half never" if math.isinf(half) else f"half within {months(half)}"
    return f"One in ten is detected within {months(tenth)} of the first purchase, {late}"


def months(years: float) -> str:
    """A time in months."""
    return "never" if math.isinf(years) else f"{number(round(MONTHS_PER_YEAR * years, 1))} months"


def by_share(found: Timeline) -> list[Cause]:
    """The countermeasures that detect first, most often first."""
    ranked = sorted(found.causes, key=lambda one: -one.first_by_finish)
    return [one for one in ranked if one.first_by_finish >= LEAST_SHOWN]


def false_alarms(found: Timeline) -> str:
    """False alarms a year in an innocent world: the median, and the middle nine tenths of the draws."""
    middle, low, high = found.false_leads_per_year
    return f"{number(middle)} a year (90% of the draws {span(low, high)})" if high > 0.0 else "none"


def false_alarm_line(found: Timeline) -> str:
    """False alarms a year where nothing is hidden, and what they cost in inspections."""
    if found.false_leads_per_year[2] == 0.0:
        return "No false alarms where nothing is hidden"
    text = (
        f"False alarms where nothing is hidden: {false_alarms(found)}; {number(found.capacity)} leads can be followed, of"
        f" which false ones take up to {dollars(found.followed_usd_per_year)} a year of investigators' time"
    )
    return f"{text}: more than inspectors" if found.overloaded else text


def totals_line(answers: Sequence[GoalAnswer]) -> str:
    """What a national total of chips could say of the plans: next to nothing."""
    plans = [(goal(item), item.plan.footprint.chips) for item in answers if item.plan is not None]
    if not plans:
        return ""
    p = quantities()
    registered, error = p["registered_chips"].value, p["total_median_relative_error"].value
    parts = [f"{largest_likelihood_ratio(chips / registered, error):.6g} for {name}" for name, chips in plans]
    return (
        f"National totals see nothing: against {number(registered)} chips, counted with a median error of {percent(error)},"
        f" no shortfall could move the odds that something is hidden by more than a factor of {', '.join(parts)}."
    )


def drivers_line(found: Timeline) -> str:
    """What the chance of finishing undetected goes with most closely over the draws."""
    if not found.drivers:
        return ""
    named = ((UNSIGNED.get(one.parameter), one) for one in found.drivers)
    parts = [
        f"{one.parameter.replace('_', ' ')} {one.correlation:+.2f}"
        if name is None
        else f"{name} {abs(one.correlation):.2f}"
        for name, one in named
    ]
    return f"What it goes with, by rank over the draws (below 0: more of it, more detection): {', '.join(parts)}"


def programme_line(assessment: Assessment) -> str:
    """Who tries, and what the state does."""
    watch = assessment.watch
    if watch is None:
        return ""
    return (
        f"Programme {watch.programme.name} ({lower(watch.programme.title)}) against the actor {watch.actor.name}"
        f" ({lower(watch.actor.title)}), who knows it."
    )


def hidden_as(way: Hiding) -> str:
    """How a plan is hidden, in words: never more than the class of it."""
    housed = "in known facilities" if way.colocated else "on premises of its own"
    route = routes()[way.route]
    lots = f", bought in lots of {number(way.lot_sites)} of a site's chips" if route["bought"] == "1" else ""
    return f"{route['title']}{lots}" + (f", housed {housed}" if route["own_site"] == "1" else "")


def leak_lines(found: Timeline) -> list[tuple[str, str]]:
    """The chance that people alone give it away by the end of training, by each published way of counting."""
    return [(LEAK_MODELS.get(name, name), span(low, high, percent)) for name, (low, high) in found.leaks.items()]


def leak_range(found: Timeline) -> str:
    """The range over the published ways of counting, which differ by two orders of magnitude for small teams."""
    low, high = min(one for one, _ in found.leaks.values()), max(one for _, one in found.leaks.values())
    return f"People alone, by the published models of leaks, unprotected and unrewarded: {span(low, high, percent)}"


def noticed_paragraph(assessment: Assessment) -> tuple[str, list[str]] | None:
    """The paragraph of the terminal: a line for each goal, what it goes with, then leaks and false alarms; the page says more."""
    watch = assessment.watch
    if watch is None:
        return None
    lines = [f"{goal(item)}: {noticed_line(item)}." for item in assessment.answers]
    if (shown := main_timeline(assessment)) is not None:
        lines += [f"{drivers_line(shown)}."] if shown.drivers else []
        lines += [f"{leak_range(shown)}. {false_alarm_line(shown)}."]
    who = f"Programme {watch.programme.name}, against the actor {watch.actor.name}, who knows it"
    return NOTICED, [*lines, f"{who}; thresher programmes lets it trade cost for discretion."]


def settings_of(countermeasure: str, assessment: Assessment) -> list[tuple[str, str, str]]:
    """The settings of a countermeasure: what each is, where the programme has it, and its unit."""
    if assessment.watch is None:
        return []
    values = assessment.watch.programme.settings
    return [
        (settings()[name].description, number(values[name]), settings()[name].unit)
        for name in countermeasures().get(countermeasure, ())
    ]


def channel_titles(found: Timeline, countermeasure: str) -> Sequence[str]:
    """What a countermeasure looks at, channel by channel, and how often each is the first to detect before training ends."""
    return [
        f"{row['title']} ({percent(found.first_by_channel[name])})"
        for name, row in channels().items()
        if row["countermeasure"] == countermeasure
    ]


def cause_of(found: Timeline, countermeasure: str) -> Cause | None:
    """What a timeline says of one countermeasure."""
    return next((one for one in found.causes if one.countermeasure == countermeasure), None)


def parameters_of_detection() -> list[Quantity]:
    """Every parameter of detection, with its source."""
    return list(quantities().values())
