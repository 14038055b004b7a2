"""The rules on offer: those that ship, and a person's own."""

from __future__ import annotations

from functools import cache

from thresher.lab.settings import LabSettings
from thresher.regime import load_regime, regimes

FIRST_REGIME = "miri-2025"


@cache
def regime_choices(lab: LabSettings) -> tuple[tuple[str, str], ...]:
    """The regimes on offer: those that ship, and a person's own files, as they were when the lab began."""
    shipped = [(name, load_regime(name).title) for name in regimes()]
    return (*shipped, *((str(path), f"{load_regime(path).title} ({path.name})") for path in lab.regimes))
