"""What was asked on the policy page, checked: a rule with its lines, an adversary, a programme; answered, or as a command."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.datastructures import ImmutableMultiDict

from thresher.api import assess
from thresher.assessment.assess import Assessment
from thresher.countermeasures.actors import Actor, load_actor
from thresher.countermeasures.programmes import Programme, load_programme, programme_for
from thresher.countermeasures.programmes import settings as levers
from thresher.errors import InputError
from thresher.evasion.space import DISTRIBUTED_MODES, NUMBER_FORMATS, settings
from thresher.lab.fields import Filled, fill, written
from thresher.lab.policy.controls import LINES, MOST_TARGETS, OTHER, choosers, controls
from thresher.lab.rules import edition_of
from thresher.lab.settings import LabSettings
from thresher.regime import Regime, load_regime
from thresher.thresholds.lines import amended

DRAWS = 200
Pairs = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """One rule under one adversary and one programme: small, hashable, all that the answer depends on."""

    regime: str
    lines: Pairs
    targets: tuple[float, ...]
    network: str
    days: float | None
    chips: tuple[str, ...]
    formats: tuple[str, ...]
    modes: tuple[str, ...]
    nodes: int | None
    actor: str
    budget: float | None
    programme: str
    levers: Pairs
    edition: tuple[tuple[int, int], ...] = ()

    def rule(self) -> Regime:
        """The regime with its lines moved."""
        written = load_regime(self.regime)
        cell = {name: None if math.isinf(line) else line for name, line in self.lines}
        return amended(written, cell) if cell else written

    def actor_with_budget(self) -> Actor:
        """Who tries, with the budget given."""
        own = load_actor(self.actor)
        return own if self.budget is None else replace(own, budget_usd=self.budget)

    def programme_with_settings(self) -> Programme:
        """What the state does, with the settings moved."""
        base = load_programme(self.programme or programme_for(load_regime(self.regime)))
        return base.with_settings(base.name, dict(self.levers)) if self.levers else base

    def answer(self, draws: int | None, progress: Callable[[str], None]) -> Assessment:
        """The quick assessment: the same numbers as those of the command."""
        return assess(
            self.rule(), targets=self.targets, network_profile=self.network, chips=self.chips or None,
            precisions=self.formats or NUMBER_FORMATS, modes=self.modes or DISTRIBUTED_MODES, longest_days=self.days,
            node_limit=self.nodes, draws=draws, programme=self.programme_with_settings(), actor=self.actor_with_budget(),
            quick=True, slow_links="bandwidth" in dict(self.lines), progress=progress,
        )  # fmt: skip

    def command(self) -> list[str]:
        """The command that gives the same numbers."""
        words = ["thresher", "assess", self.regime, "--quick"]
        words += [f"--line={name}={'none' if math.isinf(line) else written(line)}" for name, line in self.lines]
        if list(self.targets) != [float(one) for one in settings()["targets"]]:
            words += [f"--target={written(one)}" for one in self.targets]
        words += [] if self.network == "study" else [f"--network={self.network}"]
        words += [] if self.days is None else [f"--max-days={written(self.days)}"]
        words += [] if self.nodes is None else [f"--max-nodes={self.nodes}"]
        for option, values in (("--chip", self.chips), ("--precision", self.formats), ("--mode", self.modes)):
            words += [f"{option}={value}" for value in values]
        words += [] if self.actor == "company" else [f"--actor={self.actor}"]
        words += [] if self.budget is None else [f"--actor-budget={written(self.budget)}"]
        words += [f"--programme={self.programme}"] if self.programme else []
        words += [f"--set={name}={written(value)}" for name, value in self.levers]
        return [*words, "--json", "-"]


@dataclass(frozen=True, slots=True)
class Question:
    """The page as it stands: its form, the rule asked about, and the one beside it."""

    form: Filled
    first: Asked
    second: Asked | None


def read(query: ImmutableMultiDict[str, str], lab: LabSettings) -> Question:
    """The question that an address asks; what is wrong with it is told in the form's problems."""
    form = fill(controls(lab, *_chosen(query, lab)), query)
    targets, problem = _targets(form["targets"])
    if problem:
        form = replace(form, problems={**form.problems, "targets": problem})
    second = _asked(form, targets, form["against"], OTHER) if form["against"] else None
    return Question(form, _asked(form, targets, form["regime"], ""), second)


def _chosen(query: ImmutableMultiDict[str, str], lab: LabSettings) -> tuple[Regime, Regime | None, Actor, Programme]:
    """The regimes, actor and programme that the other fields depend on; the usual ones where they are not known."""
    usual = fill(choosers(lab), query)
    regime = load_regime(usual["regime"])
    beside = load_regime(usual["against"]) if usual["against"] else None
    return regime, beside, load_actor(usual["actor"]), load_programme(usual["programme"] or programme_for(regime))


def _targets(text: str) -> tuple[tuple[float, ...], str]:
    """The capabilities wanted, sorted; the usual ones and what is wrong where they make no sense."""
    usual = tuple(float(one) for one in settings()["targets"])
    low, high = settings()["target_bounds"]
    expected = f"up to {MOST_TARGETS} numbers from {low:g} to {high:g}, parted by commas"
    try:
        found = tuple(sorted({float(part) for part in text.replace(";", ",").split(",") if part.strip()}))
    except ValueError:
        return usual, str(InputError("Capabilities wanted", expected, text))
    if not 1 <= len(found) <= MOST_TARGETS or not all(low <= one <= high for one in found):
        return usual, str(InputError("Capabilities wanted", expected, text))
    return found, ""


def _asked(form: Filled, targets: tuple[float, ...], regime: str, other: str) -> Asked:
    values, fields = form.values, form.fields
    lines = tuple((name, values[name + other]) for name in LINES if _moved(values, name + other, fields))
    moved = tuple((name, values[name]) for name in levers() if values[name] is not None)

    def unless_usual(name: str) -> Any:
        return None if values[name] == fields[name].default else values[name]

    return Asked(
        regime, lines, targets, values["network"], unless_usual("days"), values["chips"], values["formats"], values["modes"],
        unless_usual("nodes"), values["actor"], values["budget"], values["programme"], moved,
        edition_of(regime, values["programme"]),
    )  # fmt: skip


def _moved(values: Mapping[str, Any], name: str, fields: Mapping[str, Any]) -> bool:
    return values[name] is not None and not fields[name].disabled
