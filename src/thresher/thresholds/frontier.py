"""The efficient frontier: thresholds that no other beats at imposing cost on evasion for the burden they bring."""

from __future__ import annotations

import numpy as np


def dominates(cost_imposed: np.ndarray, burden: np.ndarray, tolerance: float) -> np.ndarray:
    """Which candidate dominates which, shape (candidates, candidates): row over column.

    One dominates another if it imposes more cost (by more than ``tolerance``, the error of the search) for no more burden, or no
    less cost for less burden. An infinite cost, out of reach, is the most that can be imposed.
    """
    cost, weight = np.asarray(cost_imposed, dtype=float), np.asarray(burden, dtype=float)
    dearer = (cost[:, None] > cost[None, :] * (1.0 + tolerance)) & (weight[:, None] <= weight[None, :])
    lighter = (weight[:, None] < weight[None, :]) & (cost[:, None] >= cost[None, :])
    return np.asarray(dearer | lighter)


def efficient(cost_imposed: np.ndarray, burden: np.ndarray, tolerance: float) -> np.ndarray:
    """Which candidates no other dominates, shape of the inputs."""
    return np.asarray(~np.any(dominates(cost_imposed, burden, tolerance), axis=0))


def rivals(cost_imposed: np.ndarray, burden: np.ndarray, tolerance: float) -> list[int | None]:
    """For each candidate the efficient one that beats it by most: the dearest, then lightest, then last; None if it is efficient.

    Domination is transitive, so whoever is dominated is so by someone on the frontier.
    """
    beats = dominates(cost_imposed, burden, tolerance)
    best = ~np.any(beats, axis=0)
    found: list[int | None] = []
    for one in range(len(best)):
        over = np.flatnonzero(beats[:, one] & best)
        order = sorted(over, key=lambda other: (cost_imposed[other], -burden[other], other))
        found.append(int(order[-1]) if order else None)
    return found
