"""What many replicas cost in learning: four published forms side by side, all in nats of loss.

Every family gives the loss, in nats per token, that M replicas which average every H inner steps add to the loss of the same
run with one replica. They agree on what was measured and part beyond it, which is why a draw carries its family.

Common terms: n = (N / 1e9)^-a falls (a > 0) with the parameters N, t = (D / 2e10)^-b with the tokens D, and the drift
h(H) = ln(1 + (H - 1) / H0) / ln(1 + (H_ref - 1) / H0) is 0 at one inner step and 1 at the reference of 30.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from thresher.arrays import Array, logarithm, namespace

REFERENCE_PARAMS = 1e9
REFERENCE_TOKENS = 20 * 1e9
LARGEST_EXPONENT = 32.0
"""Exponents are cut here: such a run learns nothing, and larger ones overflow."""


def drift(inner_steps: Array, *, inner_step_scale: Array, inner_step_reference: Array) -> Array:
    """How far replicas drift apart in ``inner_steps``, relative to the reference interval: h(H), 0 for one inner step."""
    xp: Any = namespace(inner_steps, inner_step_scale)
    at_reference = 1.0 + (inner_step_reference - 1.0) / inner_step_scale
    return xp.log(1.0 + (inner_steps - 1.0) / inner_step_scale) / logarithm(at_reference)


def power(
    *, loss: Array, extra_replicas: Array, drift: Array, size: Array, tokens: Array, token_term: Array, growth: Array,
    beta: Array,
) -> Array:  # fmt: skip
    """L (M^(s n h) - 1): the whole loss by a power of the replicas (Charles et al. 2025, arXiv 2503.09799).

    ``size`` is s n. The published calculator's form, with its 1.0923 N^-0.2342 for s n.
    """
    del tokens, token_term, growth, beta
    xp: Any = namespace(loss, extra_replicas)
    return loss * xp.expm1(_cut(xp, size * drift * xp.log1p(extra_replicas)))


def exponential(
    *, loss: Array, extra_replicas: Array, drift: Array, size: Array, tokens: Array, token_term: Array, growth: Array,
    beta: Array,
) -> Array:  # fmt: skip
    """L (exp(s n h (M - 1)) - 1): an exponent linear in replicas, after the form A N^(alpha + beta M) of the same paper."""
    del tokens, token_term, growth, beta
    xp: Any = namespace(loss, extra_replicas)
    return loss * xp.expm1(_cut(xp, size * drift * extra_replicas))


def data_efficiency(
    *, loss: Array, extra_replicas: Array, drift: Array, size: Array, tokens: Array, token_term: Array, growth: Array,
    beta: Array,
) -> Array:  # fmt: skip
    """T ((1 + s n t h (M - 1)^g)^beta - 1), T the token term B / D^beta: replicas waste tokens.

    1 / (s n t) is the critical number of further replicas, which doubles the tokens needed; it grows with size and tokens,
    so that more tokens heal the penalty.
    """
    del loss
    xp: Any = namespace(token_term, extra_replicas)
    wasted = size * tokens * drift * _to_power(xp, extra_replicas, growth)
    return token_term * xp.expm1(_cut(xp, beta * xp.log1p(wasted)))


def additive(
    *, loss: Array, extra_replicas: Array, drift: Array, size: Array, tokens: Array, token_term: Array, growth: Array,
    beta: Array,
) -> Array:  # fmt: skip
    """s n t h (M - 1)^g: nats that depend on nothing but size, tokens, replicas and inner steps."""
    del loss, beta
    xp: Any = namespace(token_term, extra_replicas)
    return size * tokens * drift * _to_power(xp, extra_replicas, growth)


FAMILIES: Mapping[str, Callable[..., Array]] = {
    "power": power,
    "exponential": exponential,
    "data_efficiency": data_efficiency,
    "additive": additive,
}
"""The families by name; a draw names its own by its place here."""

UNUSED: Mapping[str, Mapping[str, float]] = {
    "power": {"replica_token_exponent": 0.0, "replica_growth": 1.0},
    "exponential": {"replica_token_exponent": 0.0, "replica_growth": 1.0},
    "data_efficiency": {},
    "additive": {},
}
"""The numbers that a family does not have, with the value that stands for them in a draw."""


def replica_loss(
    family: str,
    *,
    loss: Array,
    token_term: Array,
    params: Array,
    tokens: Array,
    replicas: Array,
    drift: Array,
    replica_scale: Array,
    replica_size_exponent: Array,
    replica_token_exponent: Array,
    replica_growth: Array,
    beta: Array,
) -> Array:
    """Nats per token that ``replicas`` add, by the family named; 0 for one replica and for no drift.

    Parameters
    ----------
    loss, token_term
        The loss of the same run with one replica, and the part of it that the law lays to tokens, in nats per token.
    params, tokens, replicas
        Parameters, tokens of the whole run, replicas (at least 1).
    drift
        h(H), see ``drift``.
    replica_scale, replica_size_exponent, replica_token_exponent, replica_growth
        s, a, b and g; a family leaves alone those it does not have.
    beta
        The exponent of tokens in the loss law.
    """
    xp: Any = namespace(params, tokens, replicas)
    return FAMILIES[family](
        loss=loss,
        extra_replicas=replicas - 1.0,
        drift=drift,
        size=replica_scale * xp.exp(-replica_size_exponent * xp.log(params * (1.0 / REFERENCE_PARAMS))),
        tokens=xp.exp(-replica_token_exponent * xp.log(tokens * (1.0 / REFERENCE_TOKENS))),
        token_term=token_term,
        growth=replica_growth,
        beta=beta,
    )


def _to_power(xp: Any, extra_replicas: Array, growth: Array) -> Array:
    """(M - 1)^g, and 0 for M = 1."""
    some = extra_replicas > 0
    return xp.where(some, xp.exp(growth * xp.log(xp.where(some, extra_replicas, 1.0))), 0.0 * extra_replicas)


def _cut(xp: Any, exponent: Array) -> Array:
    return xp.where(exponent < LARGEST_EXPONENT, exponent, LARGEST_EXPONENT + 0.0 * exponent)
