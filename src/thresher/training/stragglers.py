"""Stragglers: how much longer the slowest of many members takes than the typical one."""

from __future__ import annotations

from thresher.arrays import Array, namespace, normal_quantile_of_upper_tail


def slowest_of(members: Array, *, spread: Array) -> Array:
    """Expected time of the slowest of ``members`` over the mean, 1 + spread x z(members).

    Times are normal with coefficient of variation ``spread``; z is Blom's approximation (1958) to the expected largest of n
    standard normals, the quantile at (n - 0.375) / (n + 0.25). One member gives exactly 1; z grows as sqrt(2 ln n).
    """
    xp = namespace(members)
    n = xp.maximum(members, 1.0 + 0.0 * members)
    return 1.0 + spread * normal_quantile_of_upper_tail(xp, 0.625 / (n + 0.25))
