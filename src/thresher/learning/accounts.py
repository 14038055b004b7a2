"""The accounts of compute that must never be mixed: performed (legal status), local-equivalent, and quality (capability)."""

from __future__ import annotations

from typing import NamedTuple

from thresher.arrays import Array, namespace
from thresher.learning.loss_laws import LossLaw, model_loss_terms, optimal_compute_flop


class Worth(NamedTuple):
    """What a run is worth: its loss in nats per token and two equivalents in single-site FLOP.

    ``flop_local`` would reach the loss in one datacentre with the same model; ``flop_quality`` with the best model.
    """

    loss: Array
    flop_local: Array
    flop_quality: Array


def dense_equivalent_params(params: Array, active_params: Array, *, total_exponent: Array) -> Array:
    """The dense model that a mixture of experts is worth: active^(1 - x) total^x; the model itself when all are active.

    A rule of thumb (the geometric mean, x = 1/2), not a law: no loss law of mixtures was measured under infrequent
    synchronisation.
    """
    xp = namespace(params, active_params)
    return xp.exp((1.0 - total_exponent) * xp.log(active_params) + total_exponent * xp.log(params))


def worth(params: Array, effective_tokens: Array, law: LossLaw, *, active_params: Array | None = None) -> Worth:
    """The worth of a model that has learnt from ``effective_tokens`` single-site tokens.

    ``params`` are dense-equivalent parameters, ``active_params`` those a token passes through (all by default).
    flop_local = 6 N_active D_effective; flop_quality is the closed-form optimum of the (dense) loss law at the same loss. For
    a dense model flop_quality <= flop_local always, with equality at the optimal allocation; a mixture of experts may be worth
    more than its operations.
    """
    term_params, term_tokens = model_loss_terms(params, effective_tokens, law)
    reducible = term_params + term_tokens
    return Worth(
        law.E + reducible,
        6.0 * (params if active_params is None else active_params) * effective_tokens,
        optimal_compute_flop(reducible, law),
    )
