"""The accounts of compute that must never be mixed: performed (legal status), local-equivalent, and quality (capability)."""

from __future__ import annotations

from typing import NamedTuple

from thresher.arrays import Array
from thresher.learning.loss_laws import LossLaw, model_loss_terms, optimal_compute_flop


class Worth(NamedTuple):
    """What a run is worth: its loss in nats per token and two equivalents in single-site FLOP.

    ``flop_local`` would reach the loss in one datacentre with the same model; ``flop_quality`` with the best model.
    """

    loss: Array
    flop_local: Array
    flop_quality: Array


def worth(params: Array, effective_tokens: Array, law: LossLaw) -> Worth:
    """The worth of a model of ``params`` that has learnt from ``effective_tokens`` single-site tokens.

    flop_local = 6 N D_effective; flop_quality is the closed-form optimum of the loss law at the same loss, so
    flop_quality <= flop_local always, with equality at the optimal allocation.
    """
    term_params, term_tokens = model_loss_terms(params, effective_tokens, law)
    reducible = term_params + term_tokens
    return Worth(law.E + reducible, 6.0 * params * effective_tokens, optimal_compute_flop(reducible, law))
