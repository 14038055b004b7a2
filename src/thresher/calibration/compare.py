"""How the families compare: leave one out, leave the largest out, and the weights that stacking gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import logsumexp, ndtr

from thresher.calibration.fit import Fit
from thresher.learning.loss_rows import Rows, loss_sources
from thresher.learning.replica_model import constants, expected, sweep_cells

LARGEST_PARAMS = 2.4e9
MOST_REPLICAS = 8.0
"""The rows left out together: from the largest size of the reference sweep on, and from its most replicas on."""
WEIGHT_FLOOR = 0.05
EM_STEPS = 20_000
LEAST_WEIGHT = 1e-9
BOOTSTRAPS = 2_000
INTERVAL = (0.05, 0.95)


def select(rows: Rows, mask: Any) -> Rows:
    """The rows of a mask."""
    return Rows(*(column[mask] for column in rows))


def is_largest(rows: Rows) -> Any:
    """The rows that leave-the-largest-out predicts: sizes from the largest swept on, and eight replicas and more."""
    return (rows.params >= LARGEST_PARAMS) | (rows.replicas >= MOST_REPLICAS)


def conditional(fit: Fit, rows: Rows, given: Any | None = None) -> tuple[Any, Any]:
    """Mean and variance of each row, draws by rows, given the other rows of its size (or those of the mask ``given``).

    Rows of one size share their baseline's error, so the others tell about it.
    """
    of_rows = expected(fit.family, rows, fit.draws, **constants())
    precision = 1.0 / of_rows.variance
    mean, variance = of_rows.base + of_rows.extra, of_rows.variance.copy()
    residual = (rows.loss - mean) * precision
    prior_precision = 1.0 / fit.draws["baseline_noise"] ** 2
    for cell in sweep_cells(rows).values():
        for place in np.flatnonzero(cell):
            others = cell & (np.arange(len(cell)) != place) & (True if given is None else given)
            shared = 1.0 / (prior_precision + precision[:, others].sum(axis=1))
            mean[:, place] += shared * residual[:, others].sum(axis=1)
            variance[:, place] += shared
    return mean, variance


def log_density(mean: Any, variance: Any, loss: Any) -> Any:
    """Logarithm of the normal density."""
    return -0.5 * ((loss - mean) ** 2 / variance + np.log(2.0 * np.pi * variance))


def leave_one_out(fit: Fit, rows: Rows) -> tuple[Any, Any, Any]:
    """Log predictive density of each row without it, the Pareto k of each, and whether 5% to 95% holds it.

    By Pareto-smoothed importance sampling (Vehtari et al. 2017, arXiv 1507.04544), with the densities given the other rows
    (Bürkner et al. 2021, arXiv 1810.10559).
    """
    from arviz_stats.base.array import array_stats  # noqa: PLC0415 - heavy, and wanted here only

    mean, variance = conditional(fit, rows)
    density = log_density(mean, variance, rows.loss)
    log_weight, pareto = array_stats.psislw(-density.T)  # type: ignore[no-untyped-call]
    log_weight = log_weight.T - logsumexp(log_weight.T, axis=0)
    below = np.sum(np.exp(log_weight) * ndtr((rows.loss - mean) / np.sqrt(variance)), axis=0)
    return logsumexp(log_weight + density, axis=0), pareto, _inside(below)


def leave_largest_out(fit: Fit, rows: Rows) -> tuple[Any, Any, Any]:
    """Of a fit to the other rows: log predictive density, median error, and whether 5% to 95% holds, of each largest row."""
    held = is_largest(rows)
    mean, variance = (column[:, held] for column in conditional(fit, rows, given=~held))
    loss = rows.loss[held]
    below = ndtr((loss - mean) / np.sqrt(variance)).mean(axis=0)
    density = logsumexp(log_density(mean, variance, loss), axis=0) - np.log(len(mean))
    return density, np.median(mean, axis=0) - loss, _inside(below)


def _inside(below: Any) -> Any:
    """Whether the central interval holds a value below which so much of the distribution lies."""
    return (below > INTERVAL[0]) & (below < INTERVAL[1])


def stack(densities: Mapping[str, Any]) -> dict[str, float]:
    """Weights that sum to 1 and give the mixture the highest log predictive density (Yao et al. 2018, arXiv 1704.02030)."""
    log_density = np.stack(list(densities.values()))
    weight = np.full(len(log_density), 1.0 / len(log_density))
    relative = np.exp(log_density - log_density.max(axis=0))
    for _ in range(EM_STEPS):  # each step raises the density, and keeps the weights on the simplex
        weight = weight * (relative / (weight @ relative)).mean(axis=1)
    weight = np.where(weight < LEAST_WEIGHT, 0.0, weight)
    return dict(zip(densities, (weight / weight.sum()).tolist(), strict=True))


def pseudo_bma(densities: Mapping[str, Any], seed: int) -> dict[str, float]:
    """Weights by log predictive density, averaged over a Bayesian bootstrap of the rows (the same paper's pseudo-BMA+).

    Shown beside stacking, which gives all to one of two families that predict alike.
    """
    log_density = np.stack(list(densities.values()))
    rows = log_density.shape[1]
    share = np.random.default_rng(seed).dirichlet(np.ones(rows), BOOTSTRAPS) * rows
    total = share @ log_density.T
    weight = np.exp(total - logsumexp(total, axis=1, keepdims=True)).mean(axis=0)
    return dict(zip(densities, weight.tolist(), strict=True))


def with_floor(weights: Mapping[str, float]) -> dict[str, float]:
    """Every family keeps the floor, the rest goes by ``weights``: what was measured cannot exclude a form beyond it."""
    rest = 1.0 - WEIGHT_FLOOR * len(weights)
    return {family: WEIGHT_FLOOR + rest * weight for family, weight in weights.items()}


def at_largest_sizes(rows: Rows) -> Any:
    """Of the rows that leave-the-largest-out predicts, those of the largest sizes with fewer replicas than the most."""
    held = select(rows, is_largest(rows))
    return (held.params >= LARGEST_PARAMS) & (held.replicas < MOST_REPLICAS)


def reference_source() -> int:
    """The place of the source that has no offset: the sweep that all others are compared with."""
    return next(place for place, one in enumerate(loss_sources()) if not one.offset)


def difference_error(densities: Mapping[str, Any], family: str) -> float:
    """Standard error of a family's difference from the best in total log predictive density; 0 for the best."""
    best = max(densities.values(), key=np.sum)
    return float(np.sqrt(len(best) * np.var(densities[family] - best)))
