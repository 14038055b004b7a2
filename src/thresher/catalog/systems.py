"""Reference systems: what legitimate users run, from a gaming PC to a cloud slice, for the burden of a rule."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from thresher.catalog._tables import read_rows, typed


@dataclass(frozen=True, slots=True)
class ReferenceSystem:
    """A legitimate system: its chips, memory in GB, and its H100-equivalents as the study published them.

    ``note`` says where the published figure and our chip's rate part, and why; empty where they agree.
    """

    system: str
    category: str
    chip: str
    count: int
    memory_gb: float
    h100_equivalents: float
    note: str


@cache
def reference_systems() -> tuple[ReferenceSystem, ...]:
    """The reference systems in the order of the file."""
    return tuple(typed(ReferenceSystem, row) for row in read_rows("reference_systems.csv"))
