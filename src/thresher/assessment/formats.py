"""Numbers as people read them: dollars, operations, shares, ratios, counts; the same on the terminal and the page."""

# ruff: noqa: PLR2004 - the sizes at which a number changes its form

from __future__ import annotations

import math
import re
from collections.abc import Callable

NOTHING = "–"
OUT_OF_REACH = "out of reach"


def significant(value: float) -> str:
    """At most three significant figures, with separators and no exponent."""
    if value == 0:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _scaled(value: float, steps: tuple[tuple[float, str], ...]) -> str:
    for size, name in steps:
        if abs(value) >= 0.9995 * size:  # so that 999.9 million reads 1 billion
            return (
                f"{value / size:#.3g}".rstrip(".") + f" {name}"
                if value < 999.5 * size
                else f"{value / size:,.0f} {name}"
            )
    return f"{value:,.0f}" if abs(value) >= 1000 else significant(value)


def number(value: float) -> str:
    """A number for reading: 337 billion, 11.1 trillion, 43, 0.125; a dash where there is none."""
    if not math.isfinite(value):
        return NOTHING
    if abs(value) < 1e6:
        return f"{value:,.0f}" if abs(value) >= 1000 else significant(value)
    return _scaled(value, ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")))


def dollars(value: float) -> str:
    """Dollars to three figures: $55.9 million; a dash where there are none."""
    return f"${number(value)}" if math.isfinite(value) else NOTHING


def round_dollars(value: float) -> str:
    """Dollars as people write a round sum: $50 million."""
    return re.sub(r"(\.\d*?)0+(?= |$)", r"\1", dollars(value)).replace(". ", " ")


def power(megawatts: float) -> str:
    """Power in the unit that reads best: 96.7 kW, 1.51 MW."""
    return f"{number(1e3 * megawatts)} kW" if megawatts < 1 else f"{number(megawatts)} MW"


def flop(value: float) -> str:
    """Operations to two figures: 1.0e25; a dash where there are none."""
    return f"{value:.1e}".replace("e+", "e") if math.isfinite(value) else NOTHING


def round_flop(value: float) -> str:
    """A round number of operations, as people write a line: 1e25."""
    return f"{value:.3g}".replace("e+", "e") if math.isfinite(value) else NOTHING


def percent(share: float) -> str:
    """A share as a percentage: 99%, 0.5%."""
    if not math.isfinite(share):
        return NOTHING
    value = 100 * share
    if 0 < value < 0.05:  # and 0.02% not as nothing
        return f"{value:.1g}%" if value >= 1e-4 else "under 0.0001%"
    # 99.6% must not read as the whole line
    return f"{value:.1f}%" if 99 < value < 100 or 0 < value < 10 else f"{value:.0f}%"


def times(ratio: float) -> str:
    """A ratio: 2.5 times."""
    if not math.isfinite(ratio):
        return NOTHING
    if ratio < 0.995:
        return f"{significant(float(f'{ratio:.2g}'))} times"
    return f"{ratio:.1f} times" if ratio < 9.95 else f"{ratio:,.0f} times"


def span(low: float, high: float, words: Callable[[float], str] = number) -> str:
    """An interval, a shared unit said once: $59.1 to 161 million, 90 to 3,150; an infinite end is out of reach."""
    first, last = (OUT_OF_REACH if value == math.inf else words(value) for value in (low, high))
    if first == last or OUT_OF_REACH in (first, last):
        return first if first == last else f"{first} to {last}"
    (figure, _, unit), (other, _, same) = first.partition(" "), last.partition(" ")
    return f"{figure} to {other.removeprefix('$')}{' ' if unit else ''}{unit}" if unit == same else f"{first} to {last}"


def many(count: float, noun: str) -> str:
    """A count with its noun: 1 node, 78 nodes, 2,620 nodes."""
    return f"{count:,.0f} {noun}" + ("" if round(count) == 1 else "s")


def quantity(value: float, unit: str) -> str:
    """A number with its unit, in the way this unit is best read."""
    if not math.isfinite(value):
        return NOTHING
    match unit:
        case "USD":
            return dollars(value)
        case "FLOP":
            return f"{flop(value)} FLOP"
        case "tokens per token":
            return f"{value:.2f} times the tokens"
        case "share" | "share of the peak rate":
            return percent(value) + unit.removeprefix("share")
        case _:
            return f"{number(value)} {unit}".strip()
