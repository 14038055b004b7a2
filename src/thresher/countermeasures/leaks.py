"""Leaks: how soon those who know of a programme give it away, by three published ways of counting.

They disagree by two orders of magnitude for small teams, so they stand side by side: Grimes's model of conspiracies, the time
until covert nuclear programmes were identified, and events in which an insider alone gave a programme away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from thresher.arrays import Array, logarithm, namespace
from thresher.checks import at_least_zero, one_number, plain, together
from thresher.countermeasures.parameters import (
    identification_rows,
    leak_rates,
    quantities,
)
from thresher.errors import InputError

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
CURVES = ("refit", "ai-futures")
GRID, LEAST_TAIL = 2001, 1e-6
"""Times at which a mixture of curves is inverted, and the tail at which they stop."""


def leak_probability(people: Any, years: Any, rate: float | None = None) -> Any:
    """The probability that some of ``people`` give a secret away within ``years`` (Grimes 2016, corrected form).

    L = 1 - exp(-sum of dt (1 - (1 - p)^N)), doi 10.1371/journal.pone.0147905 with its correction of March 2016
    (10.1371/journal.pone.0151003), which matters where the number of people changes.

    Parameters
    ----------
    people
        N, those who know; a number or an array.
    years
        How long they have known; broadcasts with ``people``.
    rate
        p, leaks per person and year; Grimes's largest case (PRISM, 4.09e-6) by default.

    Returns
    -------
    A probability, of the shape that ``people`` and ``years`` broadcast to; for numbers a number.

    Raises
    ------
    InputError
        People or years below zero, or a rate outside [0, 1].
    """
    p = leak_rates()["prism"] if rate is None else one_number("rate", rate, most=1.0)
    count, time = together(people=at_least_zero("people", people), years=at_least_zero("years", years))
    return plain(-np.expm1(-time * leaks_per_year(count, p)))


def leak_probability_changing(people: Sequence[float], years: Sequence[float], rate: float | None = None) -> float:
    """As `leak_probability`, for ``people[i]`` who know during the ``i``-th interval of ``years[i]``.

    The form that was published first, and is still copied, puts the last number of people in place of each: it is wrong here.
    """
    p = leak_rates()["prism"] if rate is None else one_number("rate", rate, most=1.0)
    counts, spans = at_least_zero("people", people), at_least_zero("years", years)
    if counts.shape != spans.shape or counts.ndim != 1:
        raise InputError("years", f"as many intervals as there are numbers of people ({counts.size})", spans.size)
    return float(-np.expm1(-np.sum(spans * leaks_per_year(counts, p))))


def leaks_per_year(people: Array, rate: Array) -> Array:
    """The hazard of Grimes's model: the chance that at least one of N leaks in a year, 1 - (1 - p)^N, taken as a rate."""
    xp = namespace(people, rate)
    certain = 1.0 - 1e-15  # a rate of one is a leak in the first year, not a logarithm of nothing
    kept = (
        xp.log1p(-xp.minimum(rate, 0.0 * rate + certain)) if hasattr(rate, "shape") else np.log1p(-min(rate, certain))
    )
    return -xp.expm1(people * kept)


def identification_shape_and_mean(workers: Array, p: Mapping[str, Array]) -> tuple[Array, Array]:
    """Shape and mean (years) of the gamma distribution of the time until a covert programme is identified.

    Refit (``identification_form`` 0): mean = m exp(b (log10 workers - 2)), a shape of its own; all three a row of the
    posterior of ``tools/fit_identification.py``. AI Futures (1): mean = A / log10(workers)^B, shape = mean / theta.
    """
    xp = namespace(workers, *p.values())
    log_workers = xp.log10(workers)
    refit = p["identification_mean_years"] * xp.exp(p["identification_slope"] * (log_workers - 2.0))
    published = p["ai_futures_a"] * xp.exp(-p["ai_futures_b"] * logarithm(log_workers))
    as_published = p["identification_form"] > 0
    mean = xp.where(as_published, published, refit)
    shape = xp.where(as_published, published / p["ai_futures_theta"], p["identification_shape"] + 0.0 * mean)
    return shape, mean


def identification_cumulative_hazard(years: Array, shape: Array, mean: Array) -> Array:
    """-ln of the chance that a programme is not identified by ``years``: gamma distributed with that shape and mean."""
    xp = namespace(years, shape, mean)
    unseen = special.gammaincc(shape, years * shape / mean)
    return -xp.log(xp.maximum(unseen, 1e-300 + 0.0 * unseen))


@dataclass(frozen=True, slots=True)
class IdentificationTime:
    """Years until a covert programme is identified: the mean, and quantiles of a new programme's time."""

    mean: float
    q05: float
    q25: float
    q50: float
    q75: float
    q95: float


def time_to_identification(workers: float, curve: str = "refit") -> IdentificationTime:
    """How long a covert programme of so many workers stays unidentified, in years.

    Parameters
    ----------
    workers
        People in covert roles; more than one.
    curve
        ``refit``: ours, of twelve covert nuclear programmes (``data/covert_programmes.csv``), averaged over its posterior,
        with the dependence on workers as uncertain as the data leave it. ``ai-futures``: that project's posterior means of a
        fit to the same programmes (A = 23.358, B = 1.7489, theta = 3.88 years).

    Raises
    ------
    InputError
        One worker or fewer, or an unknown curve.
    """
    if curve not in CURVES:
        raise InputError("curve", f"one of {', '.join(CURVES)}", curve)
    count = one_number("workers", workers)
    if count <= 1.0:
        raise InputError("workers", "more than 1", workers)
    fixed = {name: quantities()[name].value for name in ("ai_futures_a", "ai_futures_b", "ai_futures_theta")}
    form = float(CURVES.index(curve))
    shape, mean = identification_shape_and_mean(
        np.asarray([count]), {**fixed, **identification_rows(), "identification_form": np.asarray([form])}
    )
    longest = float(np.max(special.gammaincinv(shape, 1.0 - LEAST_TAIL) * mean / shape))
    years = np.geomspace(LEAST_TAIL * longest, longest, GRID)
    reached = np.mean(special.gammainc(shape[:, None], years * (shape / mean)[:, None]), axis=0)
    return IdentificationTime(float(np.mean(mean)), *(float(np.interp(q, reached, years)) for q in QUANTILES))
