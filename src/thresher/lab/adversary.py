"""The fields of an adversary that several pages have: its links, and how long its run may last."""

from __future__ import annotations

from thresher.catalog import networks
from thresher.evasion.space import settings
from thresher.lab.fields import Field

HEADING = "The adversary"
LEAST_SLIDER_DAYS = 30.0


def network_field() -> Field:
    """The links between sites, by the catalog's profiles."""
    known = [(one.network, f"{one.network}: {one.name}") for one in networks().values()]
    return Field("network", "Links between sites", "choice", "study", choices=known, heading=HEADING)


def days_field(*, slides: bool) -> Field:
    """The longest run considered, with a slider where an answer can follow one."""
    usual, most = float(settings()["longest_days"]), float(settings()["longest_days_allowed"])
    return Field(
        "days", "Longest run", "number", usual, "days", 1, most, heading=HEADING, help="the study: 1.5 years",
        slider=(LEAST_SLIDER_DAYS, most) if slides else None, log=slides,
    )  # fmt: skip
