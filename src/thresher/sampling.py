"""Sampling: how many things to check to find one that is missing, and the chance to hit a hidden site, without replacement."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from thresher.arrays import Array, namespace
from thresher.checks import at_least_zero, one_number, plain, together
from thresher.errors import InputError

MOST_TERMS = 2_000_000
"""Products of more terms than this are taken by beta functions, which lose some digits in large populations."""
ROUNDING = 1e-12
NEARLY_ALL = 1.0 - 1e-6
"""The largest chance that a check may have of finding something."""


def inspection_detection_probability(population: Any, diverted: Any, sampled: Any) -> Any:
    """The exact chance that a random sample of ``sampled`` from ``population`` holds at least one of the ``diverted``.

    Hypergeometric: 1 - C(N - d, n) / C(N, n). Whole numbers or arrays of them, that broadcast.

    Raises
    ------
    InputError
        Numbers below zero or not whole, or more diverted or sampled than there are.
    """
    whole, missing, checked = together(
        population=at_least_zero("population", population, whole=True),
        diverted=at_least_zero("diverted", diverted, whole=True),
        sampled=at_least_zero("sampled", sampled, whole=True),
    )
    for name, value in (("diverted", missing), ("sampled", checked)):
        if (value > whole).any():
            raise InputError(name, f"at most the population, {population}", value.tolist())
    return plain(np.asarray(-np.expm1(np.vectorize(_log_unseen, otypes=[float])(whole, missing, checked))))


def _log_unseen(population: float, diverted: float, sampled: float) -> float:
    """ln of the chance that none of the diverted is sampled: the product over the fewer of the two, which loses no digits."""
    fewer, more = sorted((diverted, sampled))
    if fewer + more > population:
        return -np.inf
    if fewer > MOST_TERMS:
        return float(
            special.betaln(population - more + 1.0, fewer) - special.betaln(population - more - fewer + 1.0, fewer)
        )
    return float(np.sum(np.log1p(-more / (population - np.arange(fewer)))))


def inspection_sample_size(population: int, diverted: int, confidence: float) -> int:
    """The fewest checks that find at least one of ``diverted`` among ``population`` with this confidence, exactly.

    The usual formula of safeguards, n = (1 - beta^(1/d)) (N - (d - 1)/2) with beta = 1 - confidence, is where the search starts
    (`approximate_sample_size`); the answer is by the hypergeometric distribution itself.

    Raises
    ------
    InputError
        Numbers that are not whole, none diverted, more diverted than there are, or a confidence outside [0, 1].
    """
    start = round(approximate_sample_size(population, diverted, confidence))
    whole, missing = int(population), int(diverted)
    low, high = -1, whole - missing + 1  # so many find one for certain
    for step in (min(high, max(0, start)), start - 2, start + 2):  # near the answer, where the formula is any good
        if low < step < high:
            low, high = (low, step) if _finds(whole, missing, step, confidence) else (step, high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _finds(whole, missing, middle, confidence) else (middle, high)
    return high


def _finds(population: int, diverted: int, sampled: int, confidence: float) -> bool:
    """Whether a sample misses all no more often than asked for; logarithms keep apart what is nearly certain from what is."""
    wanted = np.log1p(-confidence) if confidence < 1.0 else -np.inf
    return _log_unseen(population, diverted, sampled) <= wanted * (1.0 - ROUNDING)


def approximate_sample_size(population: float, diverted: float, confidence: float) -> float:
    """The usual formula, not rounded: n = (1 - beta^(1/d)) (N - (d - 1)/2) (IAEA safeguards).

    Raises
    ------
    InputError
        As `inspection_sample_size`.
    """
    whole, missing = one_number("population", population, whole=True), one_number("diverted", diverted, whole=True)
    sure = one_number("confidence", confidence, most=1.0)
    if not 1.0 <= missing <= whole:
        raise InputError("diverted", f"a whole number from 1 to the population, {population}", diverted)
    return float((1.0 - (1.0 - sure) ** (1.0 / missing)) * (whole - (missing - 1.0) / 2.0))


def hits_per_year(hidden: Array, population: Array, checks_per_year: Array, found: Array) -> Array:
    """The hazard of hitting one of ``hidden`` things among ``population`` with so many random checks a year, and knowing it
    for what it is.

    -n ln(1 - q d / N): each of n checks finds with the chance q d / N, q being ``found``. With few checks of many it is the
    usual formula of safeguards; the same check may fall on the same thing twice, so that each further check is worth as much
    as the last.
    """
    xp = namespace(hidden, population, checks_per_year, found)
    share = hidden / population
    share = found * xp.minimum(share, 1.0 + 0.0 * share)
    return -checks_per_year * xp.log1p(-xp.minimum(share, NEARLY_ALL + 0.0 * share))
