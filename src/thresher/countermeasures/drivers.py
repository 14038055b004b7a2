"""What drives a chance of detection: how closely it goes with each uncertain parameter, by rank over the draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from thresher.countermeasures.parameters import LEAK_MODEL

NOISE = 3.5
"""Correlations below so many standard errors of none, 1 / sqrt(draws), are not told from chance: among a hundred parameters
that have no part in it, one in twenty times a single one passes."""
GROUPS = 3
"""The members of the ensemble of leaks, which have no order: how far they part the draws stands in place of a correlation."""


@dataclass(frozen=True, slots=True)
class Driver:
    """A parameter and its rank correlation with the chance of finishing undetected: below 0, more of it means more detection. Of
    the choice among models of leaks, how far the models part the draws, without a sign."""

    parameter: str
    correlation: float


def drivers(chance: np.ndarray, p: Mapping[str, np.ndarray], most: int = 6) -> tuple[Driver, ...]:
    """The parameters that a chance goes with most closely over the draws, the closest first; those told from chance alone.

    Parameters
    ----------
    chance
        Shape (draws,).
    p
        Parameters and whatever else differs from draw to draw, arrays of shape (draws,).
    """
    wanted = _standard_ranks(np.asarray(chance))
    found = []
    for name, values in p.items():
        if np.ptp(values) == 0.0 or np.ptp(chance) == 0.0:
            continue
        share = _parted(wanted, values) if name == LEAK_MODEL else float(np.mean(wanted * _standard_ranks(values)))
        found.append(Driver(name, share))
    least = NOISE / np.sqrt(len(wanted))
    found.sort(key=lambda one: -abs(one.correlation))
    return tuple(one for one in found[:most] if abs(one.correlation) > least)


def _standard_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks with mean 0 and variance 1, ties sharing theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - 0.5 * (count + 1))[place]
    spread = ranks.std()
    return np.asarray((ranks - ranks.mean()) / (spread if spread > 0.0 else 1.0))


def _parted(ranks: np.ndarray, unit: np.ndarray) -> float:
    """The square root of the share of the variance between equal thirds of a uniform dimension."""
    group = np.minimum((unit * GROUPS).astype(int), GROUPS - 1)
    means = np.asarray([ranks[group == one].mean() if np.any(group == one) else 0.0 for one in range(GROUPS)])
    return float(np.sqrt(np.mean(means[group] ** 2)))
