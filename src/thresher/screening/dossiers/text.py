"""Text of records as a page may show it: what is invisible made visible, what is long cut, numbers as people read them."""

from __future__ import annotations

import math
import unicodedata
from typing import Any

_JOINERS = "\u200c\u200d"
"""Invisible, but part of how some scripts and emoji are written; they reorder nothing."""
_UNSEEN = {"Cc", "Cf", "Zl", "Zp", "Cs", "Cn", "Co"}
_WIDE = "WF"
_NOTHING = "–"


def visible(text: str) -> str:
    """The text with every control, reordering or invisible character written out, as ``[U+202E]``.

    Such characters make a page show another text than the records hold; line ends and tabs become spaces.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_seen, text))


def _seen(character: str) -> str:
    if character in "\n\t\r":
        return " "
    if character in _JOINERS or unicodedata.category(character) not in _UNSEEN:
        return character
    return f"[U+{ord(character):04X}]"


def short(text: str | None, most: int = 60) -> str:
    """At most so many characters, a cut marked; nothing is a dash. The whole text stands among the cited rows."""
    if not text:
        return _NOTHING
    return text if len(text) <= most else text[: most - 1] + "…"


def fit(text: str, columns: int) -> str:
    """The text, made visible, cut to so many columns of a drawing; letters of East Asian scripts and emoji take two."""
    text, used = visible(text), 0
    for at, character in enumerate(text):
        used += 2 if unicodedata.east_asian_width(character) in _WIDE else 1
        if used > columns:
            return text[: max(at - 1, 0)] + "…"
    return text


def finalised(value: Any) -> Any:
    """What a template puts out: plain text made visible; marked-up text, which templates alone make, as it is."""
    return value if hasattr(value, "__html__") or not isinstance(value, str) else visible(value)


def number(value: float | None) -> str:
    """A number for reading: 1,250, 12.5, 0.125; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return _NOTHING
    if value == round(value) or abs(value) >= 1000:  # noqa: PLR2004 - no decimals beyond
        return f"{value:,.0f}"
    return f"{value:.3g}"


def signed(value: float) -> str:
    """A number with two decimals and its sign: +1.25, −0.40, 0.00."""
    text = f"{abs(value):.2f}"
    return text if float(text) == 0 else ("+" if value > 0 else "−") + text


def percent(share: float) -> str:
    """A share as a percentage that never reads as sure: 62%, 0.31%, 99.6%, over 99.9%."""
    value = 100.0 * share
    if value > 99.9:  # noqa: PLR2004
        return "over 99.9%" if value < 100.0 else "100%"  # noqa: PLR2004
    if value > 99.0 or 1.0 <= value < 10.0:  # noqa: PLR2004
        return f"{value:.1f}%"
    if value < 0.001:  # noqa: PLR2004
        return "under 0.001%" if value else "0%"
    return f"{value:.0f}%" if value >= 1.0 else f"{value:.2g}%"


def of_owners(probability: float) -> str:
    """A probability as a count of owners: about 6 in 10 owners, about 1 in 40 owners."""
    if probability > 0.95:  # noqa: PLR2004
        return f"more than {min(math.floor(1000 * probability), 999) / 10:g} in 100 owners"
    if probability >= 0.15:  # noqa: PLR2004
        return f"about {max(2, round(10 * probability))} in 10 owners"
    return f"about 1 in {round(1 / probability, -int(math.log10(1 / probability)) + 1):,.0f} owners"


def times(log10_of_ratio: float) -> str:
    """What a log10 ratio multiplies the odds by: × 12, ÷ 3.5."""
    ratio = 10.0 ** abs(log10_of_ratio)
    text = f"{ratio:.1f}" if ratio < 9.95 else f"{ratio:,.0f}"  # noqa: PLR2004
    return "× 1" if text == "1.0" else f"{'×' if log10_of_ratio > 0 else '÷'} {text}"
