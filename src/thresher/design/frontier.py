"""The efficient frontier: thresholds that no other beats at imposing cost on evasion for the burden they bring."""

from __future__ import annotations

import numpy as np


def efficient(cost_imposed: np.ndarray, burden: np.ndarray, tolerance: float) -> np.ndarray:
    """Which candidates no other dominates, shape of the inputs.

    One dominates another if it imposes more cost (by more than ``tolerance``, the error of the search) for no more burden, or no
    less cost for less burden. An infinite cost, out of reach, is the most that can be imposed.
    """
    cost, weight = np.asarray(cost_imposed, dtype=float), np.asarray(burden, dtype=float)
    dearer = (cost[:, None] > cost[None, :] * (1.0 + tolerance)) & (weight[:, None] <= weight[None, :])
    lighter = (weight[:, None] < weight[None, :]) & (cost[:, None] >= cost[None, :])
    return np.asarray(~np.any(dearer | lighter, axis=0))
