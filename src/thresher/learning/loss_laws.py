"""Loss laws: what parameters and tokens are worth, and the single-site compute that reaches a given loss."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from thresher.arrays import Array, logarithm, namespace
from thresher.sources import load_quantities


class LossLaw(NamedTuple):
    """L(N, D) = E + A / N^alpha + B / D^beta, in nats per token (Hoffmann et al. 2022, arXiv 2203.15556, approach 3)."""

    E: Array
    A: Array
    alpha: Array
    B: Array
    beta: Array


def loss_law(name: str) -> LossLaw:
    """A published law by name: ``besiroglu_2024`` (the default everywhere) or ``hoffmann_2022``."""
    values = load_quantities("thresher.learning", "loss_laws.yaml")
    return LossLaw(*(values[f"{name}_{field}"].value for field in LossLaw._fields))


@cache
def loss_law_draws() -> LossLaw:
    """One thousand bootstrap refits of ``besiroglu_2024``: a law whose fields are arrays, draw by draw, not to be written to.

    The five parameters of a draw belong together (ln A with alpha and ln B with beta correlate above 0.99): take a row,
    never a mixture of rows. Rows are ordered by the exponent alpha beta / (alpha + beta) with which the reducible loss of
    an optimally allocated run falls as compute grows, largest first. It drives how loss turns into compute: the first row
    needs the least compute, and the last the most, for the same excess over its own E (rank correlation 0.998 with the
    compute for what ``besiroglu_2024`` exceeds E by at 1e25 FLOP), so that a quantile of the row has a meaning. For the
    same total loss the order is nearly the reverse, as draws with a large exponent have a large E.
    """
    import numpy as np  # noqa: PLC0415 - the laws themselves are plain numbers

    text = files("thresher.learning").joinpath("data", "loss_law_draws.csv").read_text("utf-8")
    rows = [LossLaw(*(float(row[field]) for field in LossLaw._fields)) for row in csv.DictReader(text.splitlines())]
    rows.sort(key=lambda law: law.alpha * law.beta / (law.alpha + law.beta), reverse=True)
    columns: np.ndarray = np.asarray(rows).T.copy()
    columns.flags.writeable = False
    return LossLaw(*columns)


def model_loss_terms(params: Array, tokens: Array, law: LossLaw) -> tuple[Array, Array]:
    """The two reducible terms, A / N^alpha and B / D^beta, in nats per token."""
    xp = namespace(params, tokens)
    return law.A * xp.exp(-law.alpha * xp.log(params)), law.B * xp.exp(-law.beta * xp.log(tokens))


def optimal_compute_flop(reducible_loss: Array, law: LossLaw) -> Array:
    """The least single-site training compute (6 N D, in FLOP) whose loss exceeds E by ``reducible_loss`` nats.

    Minimising A N^-alpha + B D^-beta at fixed 6 N D gives alpha A N^-alpha = beta B D^-beta (Hoffmann et al. 2022,
    equation 4), so a reducible loss r splits as r beta/(alpha+beta) for the parameters and r alpha/(alpha+beta) for
    the tokens, and N and D follow in closed form. No penalty for batch size or site is included: this is the ideal run
    that ``flop_quality`` compares with.
    """
    xp = namespace(reducible_loss)
    log_r = xp.log(reducible_loss)
    total = law.alpha + law.beta
    log_params = (logarithm(law.A * total / law.beta) - log_r) / law.alpha
    log_tokens = (logarithm(law.B * total / law.alpha) - log_r) / law.beta
    return 6.0 * xp.exp(log_params + log_tokens)


def compute_at_fixed_ratio_flop(
    reducible_loss: Array, log_params_guess: Array, tokens_per_param: float, law: LossLaw, newton_steps: int = 3
) -> Array:
    """The compute, in FLOP, that reaches a loss when tokens are ``tokens_per_param`` times the parameters.

    The published calculator bisects for this. In the logarithm of the parameters the logarithm of the reducible loss is
    a log-sum of two lines of nearly equal slope, so Newton's error e shrinks to about 1e-4 e^2 per step: three steps
    from any guess within a factor of 1e8 reach the last digits.

    Parameters
    ----------
    reducible_loss
        Nats per token above E.
    log_params_guess
        Natural logarithm of a first guess of the parameters.
    """
    xp = namespace(reducible_loss, log_params_guess)
    target = xp.log(reducible_loss)
    b_at_ratio = law.B * tokens_per_param**-law.beta
    x = log_params_guess
    for _ in range(newton_steps):
        a, b = law.A * xp.exp(-law.alpha * x), b_at_ratio * xp.exp(-law.beta * x)
        total = a + b
        x = x + (xp.log(total) - target) * total / (law.alpha * a + law.beta * b)
    return 6.0 * tokens_per_param * xp.exp(2.0 * x)
