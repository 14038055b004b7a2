"""Aggregate accounting: what a national total of chips or of energy says of a few hidden sites, which is next to nothing."""

from __future__ import annotations

import math

from thresher.arrays import Array, namespace

LAPLACE_MEDIAN = math.log(2.0)
"""The median absolute value of a Laplace distribution of scale 1."""


def total_likelihood_ratio(relative_error: Array, hidden_share: Array, median_relative_error: Array) -> Array:
    """The likelihood of an observed error of a total if a share of it is hidden, over that if nothing is.

    Errors of estimate are Laplace, with tails heavier than normal ones: f(x) = exp(-abs(x) / b) / 2b, b = median / ln 2; what is
    hidden moves the error by its share. The ratio never exceeds exp(share / b), and averages 1 when nothing is hidden.

    Parameters
    ----------
    relative_error
        Observed: (total accounted for - total expected) / total expected, with the sign such that a shortfall is positive.
    hidden_share
        What is hidden over the total.
    median_relative_error
        The median absolute relative error of such estimates.
    """
    xp = namespace(relative_error, hidden_share, median_relative_error)
    scale = median_relative_error / LAPLACE_MEDIAN
    return xp.exp((xp.abs(relative_error) - xp.abs(relative_error - hidden_share)) / scale)


def largest_likelihood_ratio(hidden_share: float, median_relative_error: float) -> float:
    """The most that any observed total can say: exp(share ln 2 / median error)."""
    return math.exp(hidden_share * LAPLACE_MEDIAN / median_relative_error)
