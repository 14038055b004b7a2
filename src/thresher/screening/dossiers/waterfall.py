"""A lead's probability as a sum: the prior and each reason's weight, step by step, as a drawing."""

from __future__ import annotations

import math
from typing import NamedTuple

from thresher.screening.dossiers.text import fit, percent, signed
from thresher.screening.evidence import probability_of
from thresher.screening.leads import Lead, Reason

TICKS = (1e-6, 1e-4, 0.01, 0.1, 0.5, 0.9, 0.99, 0.9999, 0.999999)
"""Probabilities that the axis may name."""
_LEFT, _WIDTH, _ROW, _TOP = 6.0, 660.0, 34.0, 4.0
_LEFT_OVER = 62.0
"""Room right of the longest bar for its figure."""


class Bar(NamedTuple):
    """A bar: its label, where it starts and how wide it is, its figure, and the reason it shows (None: prior or sum)."""

    label: str
    x: float
    width: float
    y: float
    kind: str
    figure: str
    reason: Reason | None


class Drawing(NamedTuple):
    """The waterfall in the units of its drawing; ticks are probabilities on an axis of log10 odds."""

    width: float
    height: float
    bars: list[Bar]
    ticks: list[tuple[str, float]]


def known_reasons(lead: Lead) -> list[Reason]:
    """The reasons that could be looked for, the weightiest first."""
    return [one for one in lead.reasons if one.level is not None]


def unknown_reasons(lead: Lead) -> list[Reason]:
    """The findings that could not be looked for, those first whose next record is expected to change most."""
    return sorted((one for one in lead.reasons if one.level is None), key=lambda one: (-one.worth, one.finding))


def running_totals(lead: Lead) -> list[float]:
    """The log10 odds after the prior and after each known reason; the last is the lead's."""
    totals = [lead.prior_log10_odds]
    for one in known_reasons(lead):
        totals.append(totals[-1] + one.log10_likelihood_ratio)
    return totals


def drawing_of(lead: Lead) -> Drawing:
    """A bar for the prior (from even odds), one for each reason that weighs anything, and one for the sum."""
    totals = running_totals(lead)
    ends = [0.0, *totals]
    low, high = min(ends) - 0.1, max(ends) + 0.1
    scale = (_WIDTH - _LEFT - _LEFT_OVER) / (high - low)
    steps: list[tuple[str, float, float, str, Reason | None]] = [
        ("Prior", 0.0, totals[0], "prior", None),
        *(
            (one.title, start, end, "up" if end > start else "down", one)
            for one, start, end in zip(known_reasons(lead), totals, totals[1:], strict=False)
            if abs(end - start) >= 0.005  # noqa: PLR2004 - what the figure beside it shows as 0.00
        ),
        ("All together", 0.0, totals[-1], "sum", None),
    ]
    bars = [
        Bar(
            fit(label, 90),
            _LEFT + (min(start, end) - low) * scale,
            max(abs(end - start) * scale, 1.0),
            _TOP + at * _ROW,
            kind,
            percent(probability_of(end)) if kind in ("prior", "sum") else signed(end - start),
            reason,
        )
        for at, (label, start, end, kind, reason) in enumerate(steps)
    ]
    odds = [(share, math.log10(share / (1 - share))) for share in TICKS]
    ticks = [(percent_of_tick(share), _LEFT + (at - low) * scale) for share, at in odds if low <= at <= high]
    return Drawing(_WIDTH, _TOP + len(bars) * _ROW + 26.0, bars, ticks)


def percent_of_tick(share: float) -> str:
    """A round probability as a percentage, in full: 0.0001%, 50%, 99.99%."""
    return f"{100 * share:.6g}%" if share >= 1e-4 else f"{100 * share:.4f}%"  # noqa: PLR2004
