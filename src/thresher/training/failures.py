"""Failures and churn: the share of time that nodes, groups of nodes and whole sites spend at work (goodput)."""

from __future__ import annotations

from thresher.arrays import Array

HOURS_PER_YEAR = 8766.0


def failures_per_hour(chips: Array, *, failures_per_chip_year: Array, departures_per_day: Array) -> Array:
    """Stops of one node per hour: hardware and software failures of its chips, and its owner's departures."""
    return chips * failures_per_chip_year / HOURS_PER_YEAR + departures_per_day / 24.0


def outage_hours(*, repair_share: Array, repair_hours: Array, restart_hours: Array, lost_hours: Array) -> Array:
    """Node-hours lost per failure: the restart, the work since the last common state, and the share that waits for a repair.

    ``repair_share`` is the probability of a repair times the part of the node it takes out; ``repair_hours`` includes the
    download of the state that the others have reached meanwhile.
    """
    return restart_hours + lost_hours + repair_share * repair_hours


def availability(failures_per_hour: Array, outage_hours: Array, *, nodes_that_stop_together: Array) -> Array:
    """Share of time at work, MTBF / (MTBF + MTTR).

    A lone DiLoCo replica stops alone; the nodes of a pipeline group stop together when any of them fails, so the group's rate is
    the nodes' sum; a synchronous site stops as one.
    """
    return 1.0 / (1.0 + nodes_that_stop_together * failures_per_hour * outage_hours)
