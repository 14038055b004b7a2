"""Predicted losses of runs, with their uncertainty, from the posterior alone."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from thresher.learning.loss_rows import Rows, loss_sources, measured_rows
from thresher.learning.posterior import Posterior
from thresher.learning.replica_model import constants, expected, sweep_cells
from thresher.sources import load_quantities

RESOLUTION = 1e-9
"""Nats to which a quantile is found; far below what any source prints."""
MOST_HALVINGS = 200
GOLDEN = (5**0.5 - 1) / 2
"""Its multiples, without their whole parts, fill the interval evenly."""


UNSEEN = "a source never seen: its offset is not known, so the interval is wide"
PROBABILITIES = {"median": 0.5, "q05": 5 / 100, "q95": 95 / 100}


class Components(NamedTuple):
    """The normal distributions that a predictive one is a mixture of: mean and variance, draws by rows, and draws' weights."""

    mean: Any
    variance: Any
    weight: Any


def predictions(rows: Rows, posterior: Posterior, family: str | None = None) -> list[dict[str, Any]]:
    """``median``, ``q05`` and ``q95`` of each row's printed loss in nats, with a ``note`` where its source was never seen."""
    found = quantiles(predictive(rows, posterior, family), tuple(PROBABILITIES.values()))
    return [
        dict(zip(PROBABILITIES, row, strict=True)) | ({"note": UNSEEN} if source == len(loss_sources()) else {})
        for source, row in zip(rows.source.tolist(), found.tolist(), strict=True)
    ]


def predictive(rows: Rows, posterior: Posterior, family: str | None = None) -> Components:
    """The predictive distribution of each row's printed loss, over all families by weight or for one.

    It holds the uncertainty of the numbers, the error that the runs of one size share (known in part where a size of the
    same source was measured), the row's own noise, and rounding.
    """
    chosen = {family: 1.0} if family else posterior.weights
    parts = [_of_family(name, rows, posterior.draws[name], weight) for name, weight in chosen.items()]
    return Components(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def quantiles(components: Components, probabilities: tuple[float, ...]) -> np.ndarray:
    """Quantiles of each row's mixture, rows by probabilities: found by bisection, the same every time."""
    from scipy.special import ndtr  # noqa: PLC0415 - only where predictions are asked for

    mean, deviation = components.mean, np.sqrt(components.variance)
    weight = components.weight[:, None]
    found = []
    for probability in probabilities:
        low, high = (mean - 8.0 * deviation).min(axis=0), (mean + 8.0 * deviation).max(axis=0)
        for _ in range(MOST_HALVINGS):
            if (high - low).max() < RESOLUTION:
                break
            middle = 0.5 * (low + high)
            below = (weight * ndtr((middle - mean) / deviation)).sum(axis=0) < probability
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        found.append(0.5 * (low + high))
    return np.stack(found, axis=-1)


def with_unseen(draw: dict[str, Any]) -> dict[str, Any]:
    """A family's draws with numbers for a source never seen: its severity drawn evenly, its offset left to the variance."""
    from scipy.special import ndtri  # noqa: PLC0415

    spread = load_quantities("thresher.learning", "loss_rows.yaml")
    place = np.arange(1.0, len(draw["misfit"]) + 1.0)
    severity = np.exp(spread["unseen_severity_spread"].value * ndtri((place * GOLDEN) % 1.0))
    noise = np.hypot(spread["unseen_offset_spread"].value, spread["unseen_noise"].value) + 0.0 * place
    return {**draw, "offset_unseen": 0.0 * place, "severity_unseen": severity, "noise_unseen": noise}


def _of_family(family: str, rows: Rows, draw: Any, weight: float) -> tuple[Any, Any, Any]:
    draw = with_unseen(dict(draw))
    of_rows = expected(family, rows, draw, **constants())
    known = measured_rows()
    of_known = expected(family, known, draw, **constants())
    precision = 1.0 / of_known.variance
    residual = (known.loss - of_known.base - of_known.extra) * precision
    shared = draw["baseline_noise"] ** 2
    mean, variance = of_rows.base + of_rows.extra, of_rows.variance.copy()
    cells = sweep_cells(known)
    for place, key in enumerate(zip(rows.source.tolist(), rows.params.tolist(), rows.tokens.tolist(), strict=True)):
        cell = cells.get(key)
        posterior_variance = 1.0 / (1.0 / shared + (precision[:, cell].sum(axis=1) if cell is not None else 0.0))
        mean[:, place] += posterior_variance * (residual[:, cell].sum(axis=1) if cell is not None else 0.0)
        variance[:, place] += posterior_variance
    return mean, variance, np.full(len(shared), weight / len(shared))
