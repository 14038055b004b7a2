"""Triage: leads compete for those who can follow them; how large a share of each channel's leads is followed."""

from __future__ import annotations

from collections.abc import Sequence

from thresher.arrays import Array, namespace


def share_followed_by_yield(hazards: Sequence[Array], leads: Sequence[Array], capacity: Array) -> list[Array]:
    """The share of each channel's leads that is followed if those with the best yield come first.

    Yield is the hazard that a channel adds for each lead it brings. Following the best first is the most that a capacity can
    do (a fractional knapsack), and with hazards and leads that grow together no channel more can make it less: an optimist's
    reading, since it takes an analyst who knows what to look for. See `share_followed_as_they_come`.

    Parameters
    ----------
    hazards
        By channel, of the plan that is looked for; they broadcast.
    leads
        By channel, leads a year; 0 where a channel needs no following up.
    capacity
        Leads a year that can be followed.
    """
    xp = namespace(*hazards, *leads)
    shares = []
    for own, (hazard, lead) in enumerate(zip(hazards, leads, strict=True)):
        before = 0.0 * (hazard + lead)
        for other, (rival, others) in enumerate(zip(hazards, leads, strict=True)):
            if other == own:
                continue
            mine, theirs = hazard * others, rival * lead  # yields compared without dividing by no leads
            first = (theirs > mine) | ((theirs == mine) & (other < own))
            before = before + xp.where(first, others + 0.0 * before, 0.0 * before)
        left = xp.maximum(capacity - before, 0.0 * before)
        shares.append(xp.where(left >= lead, 1.0 + 0.0 * left, left / xp.where(lead > 0.0, lead, 1.0 + 0.0 * lead)))
    return shares


def share_followed_as_they_come(leads: Sequence[Array], capacity: Array) -> Array:
    """The share of all leads that is followed if they are taken as they come: here more false alarms do lower detection."""
    total = leads[0]
    for lead in leads[1:]:
        total = total + lead
    xp = namespace(total, capacity)
    return xp.where(capacity >= total, 1.0 + 0.0 * total, capacity / xp.where(total > 0.0, total, 1.0 + 0.0 * total))
