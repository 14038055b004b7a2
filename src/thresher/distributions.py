"""How uncertain numbers are drawn: the quantile function of each distribution that a parameter may name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from thresher.sources import Quantity

if TYPE_CHECKING:
    from numpy import ndarray

UPPER_SHARE = 0.95
"""A ``lognormal`` range reaches from one less this quantile to this one."""
WIDE_RATIO = 2.0
"""A positive ``pert`` range that spans more than this ratio is drawn in the logarithm."""
MODE_WEIGHT = 4.0
"""PERT's: the mean is (low + 4 mode + high) / 6."""


def quantile(quantity: Quantity, u: ndarray) -> ndarray:
    """The values of a quantity at the probabilities ``u``: monotone in ``u``, the same numbers every time.

    ``pert``: a beta distribution on [low, high] with its mode at ``value`` and shape 4 (Malcolm et al. 1959,
    doi 10.1287/opre.7.5.646); of the logarithm where ``low`` > 0 and ``high`` > 2 ``low``, so the mode is then that of the
    logarithm. ``lognormal``: median ``value``, 5% at ``low`` and 95% at ``high``, with a standard deviation of the logarithm
    of its own on each side of the median. ``fixed``: ``value`` throughout.

    Parameters
    ----------
    quantity
        A parameter with its range and distribution.
    u
        Probabilities between 0 and 1, exclusive, of any shape.

    Returns
    -------
    ndarray
        Values in the quantity's unit, of the shape of ``u``.
    """
    import numpy as np  # noqa: PLC0415 - with scipy, only where draws are made
    from scipy.special import betaincinv, ndtri  # noqa: PLC0415 - quicker to import than scipy.stats

    u = np.asarray(u, dtype=np.float64)
    low, value, high = quantity.low, quantity.value, quantity.high
    values: ndarray
    match quantity.distribution:
        case "pert":
            in_logarithm = low > 0 and high / low > WIDE_RATIO
            left, mode, right = (math.log(x) if in_logarithm else x for x in (low, value, high))
            before, after = (MODE_WEIGHT * part / (right - left) for part in (mode - left, right - mode))
            x = left + (right - left) * betaincinv(1.0 + before, 1.0 + after, u)
            values = np.clip(np.exp(x) if in_logarithm else x, low, high)
        case "lognormal":
            z = ndtri(u) / ndtri(UPPER_SHARE)
            values = value * np.exp(z * np.where(z < 0, math.log(value / low), math.log(high / value)))
        case _:
            values = np.full(u.shape, value)
    return values
