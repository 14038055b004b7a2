"""What was asked of the map, checked: the rule, the lines, the adversary, how fine; as a sweep, a command and a policy page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from starlette.datastructures import ImmutableMultiDict

from thresher.errors import InputError
from thresher.evasion.space import settings as search_settings
from thresher.lab.adversary import HEADING as ADVERSARY
from thresher.lab.adversary import days_field, network_field
from thresher.lab.fields import NO_LINE, Field, Filled, fill, written
from thresher.lab.pages import address
from thresher.lab.rules import FIRST_REGIME, regime_choices
from thresher.lab.settings import LabSettings
from thresher.thresholds.lines import Cell, Line, axes, parse_values
from thresher.thresholds.sweep import Sweep, prepare_sweep

AXES = ("compute", "memory")
USUAL_LINES = {"compute": "1, 4, 8, 16, 32, 64, 128", "memory": "160, 320, 640, 1280, 2560, 5120, none"}
"""Some of `thresher design`'s own lines: as many as are worked out while one looks on."""
USUAL_TARGET, USUAL_DRAWS = 1e25, 64
DRAWS = (32, USUAL_DRAWS, 128, 200)
MOST_CELLS = 144
"""Combinations that are worked out on a page; the command takes more."""
COST, MULTIPLE, CHANCE = "cost", "multiple", "chance"
COLOURS = {
    COST: "cost imposed: the median",
    MULTIPLE: "cost imposed, as a multiple of the rule as written",
    CHANCE: "P(success): the target within the budget",
}
FEWEST_DOLLARS, MOST_DOLLARS = 1e6, 1e12
SHOWN, RULE, EFFORT = "What is shown", "The rule", "How fine"
EXPECTED_LINES = "LINE, LINE, ... or LOW:HIGH:COUNT, for instance 320, 640, 1280, none"


@dataclass(frozen=True, slots=True)
class Asked:
    """A map: all that its numbers depend on."""

    regime: str
    values: Mapping[str, tuple[Line, ...]]
    target: float
    network: str
    days: float
    draws: int

    def sweep(self) -> Sweep:
        """The sweep, checked and ready to run."""
        return prepare_sweep(
            self.regime, vary=AXES, values=self.values, targets=[self.target], draws=self.draws,
            network_profile=self.network, longest_days=self.days,
        )  # fmt: skip

    def command(self) -> list[str]:
        """The command that gives the same numbers."""
        words = ["thresher", "design", self.regime]
        words += [f"--values={name}={','.join(map(_plain, lines))}" for name, lines in self.values.items()]
        words += [f"--target={written(self.target)}", f"--draws={self.draws}"]
        words += [] if self.network == "study" else [f"--network={self.network}"]
        words += [] if self.days == search_settings()["longest_days"] else [f"--max-days={written(self.days)}"]
        return [*words, "--json", "-"]

    def policy(self, cell: Cell) -> str:
        """The policy page of one combination of lines, the rest carried along."""
        query = [("regime", self.regime), *((name, _plain(line)) for name, line in cell.items())]
        query += [("targets", written(self.target))]
        query += [] if self.network == "study" else [("network", self.network)]
        query += [] if self.days == search_settings()["longest_days"] else [("days", written(self.days))]
        return address("/policy", query)


@dataclass(frozen=True, slots=True)
class Question:
    """The page as it stands: its form, the map asked for, and how it is coloured."""

    form: Filled
    asked: Asked
    colour: str
    budget: float


def controls(lab: LabSettings) -> list[Field]:
    """The fields of the page."""
    s = search_settings()
    low, high = s["target_bounds"]
    return [
        Field("colour", "Colour by", "choice", COST, choices=list(COLOURS.items()), heading=SHOWN),
        Field(
            "budget", "Budget for P(success)", "number", float(s["verdict_budget"]), "USD", FEWEST_DOLLARS, MOST_DOLLARS,
            slider=(FEWEST_DOLLARS, MOST_DOLLARS), log=True, heading=SHOWN, help="recolours at once: nothing is worked out anew",
        ),
        Field("regime", "Regime", "choice", FIRST_REGIME, choices=regime_choices(lab), heading=RULE),
        *(_lines_field(name) for name in AXES),
        Field(
            "target", "Capability wanted", "number", USUAL_TARGET, "quality-adjusted FLOP", low, high, heading=ADVERSARY,
            help="the rules' own lines: 1e24, 1e25, 1e26",
        ),
        network_field(),
        days_field(slides=False),
        Field(
            "draws", "Draws of everything uncertain", "choice", str(USUAL_DRAWS), choices=[(str(one), str(one)) for one in DRAWS],
            heading=EFFORT, help=f"at most {MOST_CELLS} combinations here; the command takes more",
        ),
    ]  # fmt: skip


def _lines_field(name: str) -> Field:
    axis = axes([name])[0]
    return Field(
        name, f"Lines on {axis.title}", "text", USUAL_LINES[name], heading=RULE,
        help=f"{axis.unit}, parted by commas; none: no line; 1:128:8: a row of eight, each the same multiple of the one before",
    )  # fmt: skip


def read(query: ImmutableMultiDict[str, str], lab: LabSettings) -> Question:
    """The question that an address asks; what is wrong with it is told in the form's problems."""
    form = fill(controls(lab), query)
    lines, problems = _lines(form)
    if problems:
        form = replace(
            form,
            values={**form.values, **{name: USUAL_LINES[name] for name in problems}},
            problems={**form.problems, **problems},
        )
    asked = Asked(form["regime"], lines, form["target"], form["network"], form["days"], int(form["draws"]))
    return Question(form, asked, form["colour"], form["budget"])


def _lines(form: Filled) -> tuple[dict[str, tuple[Line, ...]], dict[str, str]]:
    """The lines of each axis, and what is wrong: the usual ones stand in for those."""
    usual = {name: _parsed(name, name, USUAL_LINES[name]) for name in AXES}
    found, problems = {}, {}
    for name in AXES:
        try:
            found[name] = _parsed(name, form.fields[name].label, form[name])
        except InputError as error:
            found[name], problems[name] = usual[name], str(error)
    count = math.prod(len(lines) for lines in found.values())
    if count > MOST_CELLS:
        many = InputError("Lines", f"at most {MOST_CELLS} combinations here (thresher design takes more)", count)
        return usual, dict.fromkeys(AXES, str(many))
    return found, problems


def _parsed(name: str, label: str, text: str) -> tuple[Line, ...]:
    """Lines as `design --values` reads them, in order of strictness."""
    try:
        given = parse_values([f"{name}={text}"])[name]
    except InputError:
        raise InputError(label, EXPECTED_LINES, text) from None
    try:
        return axes([name], {name: given})[0].values
    except InputError as error:
        raise InputError(label, error.expected, error.value) from None


def _plain(line: Line) -> str:
    return NO_LINE if line is None else written(line)
