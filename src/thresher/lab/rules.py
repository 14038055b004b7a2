"""The rules on offer: those that ship, and a person's own."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from thresher.lab.settings import LabSettings
from thresher.regime import load_regime, regimes

FIRST_REGIME = "miri-2025"


@cache
def regime_choices(lab: LabSettings) -> tuple[tuple[str, str], ...]:
    """The regimes on offer: those that ship, and a person's own files, under the titles they had when the lab began."""
    shipped = [(name, load_regime(name).title) for name in regimes()]
    return (*shipped, *((str(path), f"{load_regime(path).title} ({path.name})") for path in lab.regimes))


def edition_of(*names: str) -> tuple[tuple[int, int], ...]:
    """The state of a person's own files among some names: answers are kept under it, so that an edited rule is read anew."""
    found = [Path(name) for name in names if name.endswith((".yaml", ".yml"))]
    return tuple((file.stat().st_mtime_ns, file.stat().st_size) for file in found if file.is_file())
