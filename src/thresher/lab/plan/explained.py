"""Every outcome of a plan as a number that opens: its formula, what it follows from, and the sources of the parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from thresher.assessment import formats
from thresher.assessment.explain import capability_of
from thresher.catalog.chips import chip
from thresher.lab.opening import Number, SourceLine, cited, cited_chip
from thresher.lab.plan.form import label
from thresher.learning.loss_laws import LossLaw
from thresher.result import Explanation
from thresher.simulation import default
from thresher.simulation.outcomes import OutcomeField, outcome_fields
from thresher.simulation.plans import AUTO, EXCHANGED_FORMAT, Value, plan_fields
from thresher.sources import load_quantities
from thresher.training.utilisation import generation_factor

DEPTH = 3
"""How far a formula is followed."""
CHIP_FIGURES = {
    "chip_tflops": ("peak rate of a chip", "TFLOP/s"),
    "chip_memory_gb": ("memory of a chip", "GB"),
    "chip_tdp_w": ("power of a chip (TDP)", "W"),
}
LAW = "besiroglu_2024"
"""The loss law of the preset."""


@dataclass(frozen=True, slots=True)
class Group:
    """Outcomes that are told together: a title, and rows of title and number."""

    title: str
    rows: tuple[tuple[str, Number], ...]


class Explained:
    """Explains the outcomes of one simulated plan.

    Parameters
    ----------
    plan, outcome
        A checked plan and what ``simulate_plan`` says of it.
    automatic
        What the model took for the fields left to it.
    columns
        The plan's figures as the model takes them; those of its chip among them.
    """

    def __init__(
        self,
        plan: Mapping[str, Value],
        outcome: Mapping[str, Any],
        automatic: Mapping[str, float],
        columns: Mapping[str, float],
    ) -> None:
        self._plan = plan
        self._outcome = outcome
        self._automatic = automatic
        self._columns = columns
        self._chip = chip(str(plan["chip"]))

    def number(self, name: str) -> Number:
        """One outcome as a number that opens."""
        row = outcome_fields()[name]
        return Number(
            f"plan-{name}", formats.quantity(self._outcome[name], row.unit), self._tree(row), self._sources(row)
        )

    def groups(self) -> list[Group]:
        """All outcomes there are, by group."""
        found: dict[str, list[tuple[str, Number]]] = {}
        for name, row in outcome_fields().items():
            if name in self._outcome:
                number = self.number(name)
                listed = Number(f"all-{name}", number.words, number.explanation, number.sources)
                found.setdefault(row.group, []).append((row.title, listed))
        return [Group(title, tuple(rows)) for title, rows in found.items()]

    def _tree(self, row: OutcomeField) -> Explanation:
        if row.name == "flop_quality":
            return capability_of(self._outcome, float(self._columns["nodes"] * self._columns["chips_per_node"]))
        return self._node(row.name, DEPTH, ())

    def _node(self, name: str, depth: int, above: tuple[str, ...]) -> Explanation:
        """A number with its formula and what it follows from; nothing is told below itself."""
        row, field = outcome_fields().get(name), plan_fields().get("duration_days" if name == "days" else name)
        if name in CHIP_FIGURES:
            title, unit = CHIP_FIGURES[name]
            return Explanation(
                title, self._columns[name], unit, f"{self._chip.chip}, dense, in the plan's number format"
            )
        if field is not None and self._plan[field.name] != AUTO:
            how = "the network profile's, or as stated" if field.section == "network" else "as the plan states it"
            return Explanation(
                row.title if row else label(field).lower(), float(self._plan[field.name] or 0.0), field.unit, how
            )
        if row is None:
            assert field is not None
            value = self._automatic.get(field.name, math.nan)
            return Explanation(
                label(field).lower(), value, field.unit, f"left to the model: {field.description.lower()}"
            )
        parts = (
            tuple(
                self._node(one, depth - 1, (*above, name))
                for one in row.follows_from
                if one not in above and self._has(one)
            )
            if depth > 1
            else ()
        )
        return Explanation(row.title, self._outcome[name], row.unit, row.how, parts)

    def _has(self, name: str) -> bool:
        """Whether there is such a number for this plan: not all modes have all outcomes."""
        return name in self._outcome or name in plan_fields() or name in CHIP_FIGURES

    def _sources(self, row: OutcomeField) -> tuple[SourceLine, ...]:
        """The sources of the parameters that an outcome and what it follows from at once rest on, and of its chip."""
        rows = [row, *(known for name in row.follows_from if (known := outcome_fields().get(name)))]
        names = dict.fromkeys(self._parameter(name) for one in rows for name in one.parameters)
        figures = {name for one in rows for name in one.follows_from} & {*CHIP_FIGURES, "chip_price_usd"}
        law = _law_lines() if "loss" in {one.name for one in rows} else ()
        of_chip = [cited_chip(self._chip)] if figures else []
        return (*law, *of_chip, *(cited(default.quantities()[name]) for name in names))

    def _parameter(self, name: str) -> str:
        """A parameter's name, with what this plan uses in place of what the table leaves open."""
        one_site = self._plan["mode"] == "datacenter"
        return name.format(
            format=EXCHANGED_FORMAT[str(self._plan["precision"])],
            generation=generation_factor(self._chip.generation).name.removeprefix("generation_factor_"),
            site="datacentre" if one_site else "small_site",
            tariff="electricity_usd_per_kwh" if one_site else "electricity_small_site_usd_per_kwh",
        )


@cache
def _law_lines() -> tuple[SourceLine, ...]:
    known = load_quantities("thresher.learning", "loss_laws.yaml")
    file = "learning/data/loss_laws.yaml"
    return tuple(cited(known[f"{LAW}_{name}"], file) for name in LossLaw._fields)
