"""What can be moved on the policy page: the lines of a rule, the adversary, the programme; and the rule beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from thresher.countermeasures.actors import Actor, actors, load_actor
from thresher.countermeasures.programmes import (
    Programme,
    Setting,
    countermeasures,
    load_programme,
    programme_for,
    programmes,
)
from thresher.countermeasures.programmes import settings as levers
from thresher.countermeasures.texts import title
from thresher.evasion.space import DISTRIBUTED_MODES, NUMBER_FORMATS, settings, usable_chips
from thresher.lab.adversary import HEADING as ADVERSARY
from thresher.lab.adversary import days_field, network_field
from thresher.lab.fields import Field
from thresher.lab.rules import FIRST_REGIME, regime_choices
from thresher.lab.settings import LabSettings
from thresher.regime import Regime
from thresher.thresholds.lines import axes
from thresher.thresholds.lines import settings as of_lines
from thresher.thresholds.sweep import line_as_written

LINES = ("compute", "memory", "bandwidth")
SLIDERS: Mapping[str, tuple[float, float]] = {
    "compute": (0.5, 1024.0),
    "memory": (40.0, 40960.0),
    "bandwidth": (0.01, 100.0),
}
"""The ends of the sliders, wide enough for every line anyone has proposed; boxes take all that the rule's own bounds allow."""
OTHER = "_2"
"""What the names of the second rule's fields end in."""
MOST_TARGETS = 4
RULE, BESIDE, MEANS, PROGRAMME = "The rule", "Beside it", "What it may use", "Countermeasures"


@cache
def programme_choices(lab: LabSettings) -> tuple[tuple[str, str], ...]:
    """The programmes on offer, likewise."""
    shipped = [(name, load_programme(name).title) for name in programmes()]
    return (*shipped, *((str(path), f"{load_programme(path).title} ({path.name})") for path in lab.programmes))


@cache
def actor_choices() -> tuple[tuple[str, str], ...]:
    """The actors on offer."""
    return tuple((one, load_actor(one).title) for one in actors())


def choosers(lab: LabSettings) -> list[Field]:
    """The fields whose values decide what stands in the blank ones."""
    rules = regime_choices(lab)
    others = [("", "none"), *rules]
    states = [("", "what the rule itself provides"), *programme_choices(lab)]
    return [
        Field("regime", "Regime", "choice", FIRST_REGIME, choices=rules, heading=RULE),
        Field("against", "Another regime beside it", "choice", "", choices=others, heading=BESIDE),
        Field("actor", "Who tries", "choice", "company", choices=actor_choices(), heading=ADVERSARY),
        Field("programme", "Programme", "choice", "", choices=states, heading=PROGRAMME),
    ]


def controls(lab: LabSettings, regime: Regime, beside: Regime | None, own: Actor, programme: Programme) -> list[Field]:
    """Every field of the page; what stands in a blank one follows from the regimes, the actor and the programme chosen."""
    rule, other, actor, state = choosers(lab)
    second = [] if beside is None else [replace(one, name=one.name + OTHER, heading=BESIDE) for one in _lines(beside)]
    measures = [replace(state, help=f"the rule provides: {programme_for(regime)}"), *_countermeasures(programme)]
    return [rule, *_lines(regime), other, *second, *_adversary(actor, own), *_means(), *measures]


def _lines(regime: Regime) -> list[Field]:
    found = []
    for name in LINES:
        axis = axes([name])[0]
        low, high = of_lines()["bounds"][name]
        written = line_as_written(regime, axis)
        linked = name == "bandwidth"
        found.append(
            Field(
                name, axis.title.capitalize(), "number", None, axis.unit, low, high, slider=SLIDERS[name], log=True, heading=RULE,
                shown=math.inf if written is None else written, unbounded=not linked,
                help="the rule has no such line" if written is None else f"the rule as written: {written:,.10g}",
                disabled="This rule does not count sites together by their links." if linked and written is None else "",
            )
        )  # fmt: skip
    return found


def _adversary(actor: Field, own: Actor) -> list[Field]:
    s = settings()
    return [
        Field(
            "targets", "Capabilities wanted", "text", ", ".join(f"{one:.0e}".replace("+", "") for one in s["targets"]),
            help=f"quality-adjusted FLOP, at most {MOST_TARGETS}, parted by commas", heading=ADVERSARY,
        ),
        actor,
        Field(
            "budget", "Budget", "number", None, "USD", 1e4, 1e15, slider=(1e6, 1e13), log=True, shown=own.budget_usd,
            help="as the actor has it; decides which runs it has the means for", heading=ADVERSARY,
        ),
        days_field(slides=True),
        network_field(),
    ]  # fmt: skip


def _means() -> list[Field]:
    chips, formats, modes = (
        [(name, name) for name in names]
        for names in ([item.chip for item in usable_chips()], NUMBER_FORMATS, DISTRIBUTED_MODES)
    )
    most = int(settings()["most_nodes"])
    return [
        Field("chips", "Chips", "choices", (), choices=chips, heading=MEANS),
        Field("formats", "Number formats", "choices", (), choices=formats, heading=MEANS),
        Field("modes", "Ways of working together", "choices", (), choices=modes, heading=MEANS),
        Field("nodes", "Most nodes", "integer", most, "nodes", 1, 10_000_000, heading=MEANS),
    ]


def _countermeasures(programme: Programme) -> list[Field]:
    return [
        _lever(levers()[name], programme.settings[name], f"{PROGRAMME}: {title(measure).lower()}")
        for measure, names in countermeasures().items()
        for name in names
    ]


def _lever(row: Setting, stands: float, heading: str) -> Field:
    """A setting of the programme; its label is the first words of its description, the rest its help."""
    label = row.description.split(":")[0].split(" (")[0]
    about = row.description.removeprefix(label).lstrip(":").strip(" ()")
    ends = (0.0, row.most)
    return Field(
        row.setting, label, "number", None, row.unit, *ends, slider=ends, shown=stands, help=about, heading=heading
    )
