"""Each countermeasure in words, from ``data/countermeasures.yaml``: what it assumes, catches, burdens, and cannot see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from thresher.countermeasures.hiding import routes
from thresher.countermeasures.parameters import document

THRESHOLDS = "thresholds"
"""The countermeasure that is the rule itself."""


@dataclass(frozen=True, slots=True)
class Text:
    """A countermeasure in words. ``study_band`` is the study's rank against those who are no state, 1 highest, None unranked."""

    title: str
    assumes: str
    catches: str
    burdens: str
    blind: str
    study_band: int | None
    study_band_states: int | None


@cache
def texts() -> Mapping[str, Text]:
    """Every countermeasure by name, the thresholds last."""
    found: Any = document("countermeasures.yaml")
    rows = {**found["countermeasures"], THRESHOLDS: found[THRESHOLDS]}
    return {
        name: Text(
            row["title"], row["assumes"], row["catches"], row["burdens"], row["blind"], row["study"]["non_state"],
            row["study"]["state"],
        )
        for name, row in rows.items()
    }  # fmt: skip


def title(countermeasure: str) -> str:
    """A countermeasure's title; the name itself where it is nobody's."""
    row = texts().get(countermeasure)
    return countermeasure if row is None else row.title


def route_title(route: str) -> str:
    """How chips are come by, in words."""
    return routes()[route]["title"]
