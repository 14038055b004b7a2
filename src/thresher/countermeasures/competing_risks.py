"""Competing risks in phases: causes with piecewise constant hazards and a shared frailty; everything in closed form.

Arrays have causes first and phases second: rates of shape (causes, phases, ...), lengths and starts of shape (phases, ...).
"""

from __future__ import annotations

from typing import Any

from thresher.arrays import Array, namespace

NO_FRAILTY = 1e-9
"""A variance below this is none."""
MOST = 600.0
"""Beyond this an exponential is larger than any number held."""
TINY = 1e-8
"""Below this a quotient of two small numbers is taken from its series."""


def survival(cumulative: Array, frailty_variance: Array) -> Array:
    """The chance of not being detected by a cumulative hazard, with a gamma frailty of mean 1 shared by all causes.

    S = (1 + v H)^(-1/v), and exp(-H) without frailty (Vaupel, Manton and Stallard 1979, doi 10.2307/2061224). Some programmes
    are easier to notice than others through every channel alike, so channels are not independent: those still unseen late
    are the discreet ones.
    """
    xp = namespace(cumulative, frailty_variance)
    v = frailty_variance + 0.0 * cumulative
    safe = xp.maximum(v, NO_FRAILTY + 0.0 * v)
    return xp.where(v > NO_FRAILTY, xp.exp(-xp.log1p(safe * cumulative) / safe), xp.exp(-cumulative))


def before_frailty(cumulative: Array, frailty_variance: Array) -> Array:
    """The cumulative hazard that, under the frailty, leaves as many unseen as ``cumulative`` does without: (e^(v H) - 1) / v."""
    xp = namespace(cumulative, frailty_variance)
    v = frailty_variance + 0.0 * cumulative
    safe = xp.maximum(v, NO_FRAILTY + 0.0 * v)
    return xp.where(v > NO_FRAILTY, xp.expm1(xp.minimum(safe * cumulative, MOST + 0.0 * v)) / safe, cumulative)


def spent(time: Array, starts: Array, lengths: Array) -> Array:
    """How much of each phase has passed at ``time``, in years: shape (phases, ...)."""
    xp = namespace(starts, lengths)
    passed = xp.maximum(time - starts, 0.0 * (time - starts))
    return xp.minimum(passed, lengths + 0.0 * passed)


def undetected(time: Array, rates: Array, starts: Array, lengths: Array, frailty_variance: Array) -> Array:
    """The chance of not being detected by ``time`` (years from the start), through any cause."""
    xp = namespace(rates, starts)
    total = xp.sum(rates, axis=0)
    return survival(xp.sum(total * spent(time, starts, lengths), axis=0), frailty_variance)


def detected_by_cause(time: Array, rates: Array, starts: Array, lengths: Array, frailty_variance: Array) -> Array:
    """The chance of having been detected by ``time``, first through each cause: shape (causes, ...); with `undetected` they
    add to 1.

    Within a phase the causes keep their proportions, so each has its share of what survival loses there.
    """
    xp = namespace(rates, starts)
    total = xp.sum(rates, axis=0)
    during = total * spent(time, starts, lengths)
    before = xp.cumulative_sum(during, axis=0) - during
    lost = survival(before, frailty_variance) - survival(before + during, frailty_variance)
    share = rates / xp.where(total > 0.0, total, 1.0 + 0.0 * total)
    return xp.sum(share * lost, axis=1)


def expected_share_done(phase: int, rates: Array, lengths: Array, frailty_variance: Array) -> Array:
    """The expected share of a phase that is done before detection or its end: the mean of `survival` over it, in closed form.

    With a = 1 + v H at its start, h what the phase adds and k = 1 - 1/v, it is a^k (e^(k r) - 1) / (k v h), r = ln(1 + v h / a);
    without frailty e^(-H) (1 - e^(-h)) / h.
    """
    xp = namespace(rates, lengths)
    during = xp.sum(rates, axis=0) * lengths
    before, added = xp.sum(during[:phase], axis=0), during[phase]
    nothing = 0.0 * (before + added + frailty_variance)
    v = xp.maximum(frailty_variance + nothing, NO_FRAILTY + nothing)
    a = 1.0 + v * before
    power = 1.0 - 1.0 / v
    step = v * added / a
    r = xp.log1p(step)
    with_frailty = (
        xp.exp(power * xp.log(a)) * _mean_exponential(xp, power * r) * _quotient(xp, r, step, 1.0 - 0.5 * step) / a
    )
    without = xp.exp(-before) * _mean_exponential(xp, -added)
    return xp.where(frailty_variance + nothing > NO_FRAILTY, with_frailty, without)


def _mean_exponential(xp: Any, x: Array) -> Array:
    """(e^x - 1) / x, which is 1 at 0."""
    return _quotient(xp, xp.expm1(x), x, 1.0 + 0.5 * x)


def _quotient(xp: Any, over: Array, under: Array, near_nothing: Array) -> Array:
    """A quotient whose value where both vanish is known."""
    some = xp.abs(under) > TINY
    return xp.where(some, over / xp.where(some, under, 1.0 + 0.0 * under), near_nothing)
