"""What the model says of a plan: the table of outcomes, with title, unit, formula in words, and what each follows from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from thresher.sources import read_table


@dataclass(frozen=True, slots=True)
class OutcomeField:
    """One outcome: its group and title, unit, how it follows, from which other numbers, and the parameters it rests on.

    Names of ``parameters`` may hold ``{format}``, ``{generation}``, ``{site}`` and ``{tariff}``, which the plan decides.
    """

    name: str
    group: str
    title: str
    unit: str
    how: str
    follows_from: tuple[str, ...]
    parameters: tuple[str, ...]


@cache
def outcome_fields() -> dict[str, OutcomeField]:
    """Every outcome that a simulated plan may have, by name, from ``data/outcomes.csv``."""
    return {
        row["name"]: OutcomeField(
            row["name"], row["group"], row["title"], row["unit"], row["how"],
            _names(row["follows_from"]), _names(row["parameters"]),
        )
        for row in read_table("thresher.simulation", "outcomes.csv")
    }  # fmt: skip


def _names(cell: str) -> tuple[str, ...]:
    return tuple(filter(None, cell.split("|")))
