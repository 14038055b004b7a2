"""Fits the years until a covert programme is identified from outside, by the number of people who work in it.

What: survival models, Gamma and Weibull, of T, the years from the start of construction until outsiders know what the
site is for. The mean is ``exp(a + b (log10(workers) - 2))``: ``exp(a)`` at 100 workers, and b = 0 where the workforce
does not matter. The tool writes 1,000 posterior draws of the Gamma model beside the data, and prints the fits, their
sensitivity and the residuals in Markdown.

Data: the twelve nuclear programmes of ``covert_programmes.csv`` (AI Futures Project, 2025), each read as an interval
that holds T:

- ``exact`` is a difference of calendar years, so t - 0.5 to t + 0.5. Strictly its error is triangular on t - 1 to
  t + 1; both that and a density at t are among the sensitivities, and hardly differ.
- ``upper bound`` is left-censored, 0 to t: nothing says how much sooner. The published analysis puts such a row at
  t / 2 and calls it exact.
- ``approximate`` is t - 2 to t + 2. Of the two rows, one says "several years" and one starts in the "early to mid
  1990s", a start uncertain by some five years; 1 and 3 years, and as exact, are among the sensitivities.

How: a posterior on a grid of (a, b, log of the coefficient of variation), which has no chains to diagnose. Both models
take the same coefficient of variation, and so the same priors, which makes their evidences comparable; the Gamma's
shape is its -2nd power.

- a ~ Normal(log 5, 1): 1 to 26 years in 90%.
- b ~ Normal(0, 0.5): ten times the workers multiply the mean by 0.44 to 2.3 in 90%. No dependence is assumed, in
  either direction.
- log variation ~ Normal(0, 0.5): centred on the exponential, a constant hazard; Gamma shapes of 0.19 to 5.2 in 90%.

The draws invert the posterior at evenly spread points (a Kronecker sequence) and are shuffled with a fixed seed, so
another run gives the same file.

Run from the root of the repository with scipy installed: ``python tools/fit_identification.py``.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from scipy.optimize import OptimizeResult, brentq, minimize
from scipy.special import gammainc, gammaln, logsumexp
from scipy.stats import chi2, gamma, kstest, norm

DATA = Path(__file__).resolve().parents[1] / "src" / "thresher" / "countermeasures" / "data"
PROGRAMMES = "covert_programmes.csv"
DRAWS = "identification_draws"

EXACT_HALF_WIDTH = 0.5
APPROXIMATE_HALF_WIDTH = 2.0
"""Years either side of the year stated: see above."""

MEAN_PRIOR = (np.log(5.0), 1.0)
SLOPE_PRIOR = (0.0, 0.5)
VARIATION_PRIOR = (0.0, 0.5)
"""Centre and standard deviation of a, of b and of the log of the coefficient of variation."""
AXES = (
    np.linspace(np.log(0.5), np.log(60.0), 73),
    np.linspace(-2.1, 2.1, 61),
    np.linspace(np.log(0.1), np.log(5.0), 61),
)
"""Grid of a, b and log variation: steps of about a third of a posterior standard deviation; b = 0 is on it."""

DRAW_COUNT = 1000
SEED = 0
KRONECKER_BASE = 1.2207440846057596
"""Root of x^4 = x + 1: multiples of its inverse powers fill a cube evenly."""
CENSORED = "upper bound"
PUBLISHED = {"a": 23.358, "b": 1.7489, "theta": 3.88}
"""Posterior means of the AI Futures Project (2026) for mean A / log10(workers)^B and scale theta."""

Cdf = Callable[..., np.ndarray]


@dataclass(frozen=True)
class Row:
    """A programme, and the interval of years that holds its time to identification."""

    programme: str
    workers: float
    years: float
    censoring: str
    low: float
    high: float


@dataclass(frozen=True)
class Fit:
    """A posterior on the grid, with the log likelihood of each row there, and the log evidence."""

    cdf: Cdf
    rows: tuple[Row, ...]
    row_log_likelihoods: np.ndarray
    weights: np.ndarray
    log_evidence: float


def gamma_cdf(years: float, mean: np.ndarray, variation: np.ndarray) -> np.ndarray:
    """P(T < years) of a Gamma with this mean and coefficient of variation."""
    shape = variation**-2.0
    return gammainc(shape, shape * years / mean)


def _weibull_shape(variation: np.ndarray) -> np.ndarray:
    """Shape of a Weibull with this coefficient of variation, interpolated in a fine table."""
    shapes = np.geomspace(60.0, 0.2, 4000)
    variations = np.sqrt(np.expm1(gammaln(1.0 + 2.0 / shapes) - 2.0 * gammaln(1.0 + 1.0 / shapes)))
    return np.exp(np.interp(np.log(variation), np.log(variations), np.log(shapes)))


def weibull_cdf(years: float, mean: np.ndarray, variation: np.ndarray) -> np.ndarray:
    """P(T < years) of a Weibull with this mean and coefficient of variation."""
    shape = _weibull_shape(variation)
    return -np.expm1(-((years / mean * np.exp(gammaln(1.0 + 1.0 / shape))) ** shape))


MODELS: dict[str, Cdf] = {"Gamma": gamma_cdf, "Weibull": weibull_cdf}


def read_rows(
    exact: float = EXACT_HALF_WIDTH, approximate: float = APPROXIMATE_HALF_WIDTH, bound_at: float | None = None
) -> tuple[Row, ...]:
    """The programmes as intervals of these half-widths; ``bound_at`` puts upper bounds at that share, as if exact."""
    with (DATA / PROGRAMMES).open(encoding="utf-8", newline="") as file:
        return tuple(_row(record, exact, approximate, bound_at) for record in csv.DictReader(file))


def _row(record: dict[str, str], exact: float, approximate: float, bound_at: float | None) -> Row:
    years, censoring = float(record["years_to_identification"]), record["censoring"]
    row = Row(record["programme"], float(record["workers"]), years, censoring.split(" (")[0], 0.0, years)
    if row.censoring == CENSORED and bound_at is None:
        return row
    centre = years * bound_at if row.censoring == CENSORED and bound_at else years
    half_width = approximate if row.censoring == "approximate" else exact
    return replace(row, low=max(centre - half_width, 0.0), high=centre + half_width)


def _grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    a, b, log_variation = np.meshgrid(*AXES, indexing="ij", sparse=True)
    return a, b, np.exp(log_variation)


def _mean(workers: float, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.exp(a + b * (np.log10(workers) - 2.0))


@cache
def _grid_cdf(cdf: Cdf, workers: float, years: float) -> np.ndarray:
    """P(T < years) of a programme at every point of the grid."""
    a, b, variation = _grid()
    return cdf(years, _mean(workers, a, b), variation)


@cache
def _row_log_likelihood(cdf: Cdf, workers: float, low: float, high: float) -> np.ndarray:
    inside = _grid_cdf(cdf, workers, high) - (_grid_cdf(cdf, workers, low) if low > 0.0 else 0.0)
    return np.log(np.maximum(inside, 1e-300))


def _triangular_log_likelihood(cdf: Cdf, row: Row) -> np.ndarray:
    """Log of the chance of a difference of calendar years, both ends uniform in their years.

    It is the mean of F(t + h) - F(t - h) over h from 0 to 1, here by Simpson's rule.
    """
    half_widths = np.linspace(0.0, 1.0, 9)
    simpson = np.array([1, 4, 2, 4, 2, 4, 2, 4, 1]) / 24.0
    total = sum(
        weight * (_grid_cdf(cdf, row.workers, row.years + h) - _grid_cdf(cdf, row.workers, row.years - h))
        for h, weight in zip(half_widths[1:], simpson[1:], strict=True)
    )
    return np.log(np.maximum(total, 1e-300))


def _log_prior(
    mean_prior: tuple[float, float], slope_prior: tuple[float, float], variation_prior: tuple[float, float]
) -> np.ndarray:
    """Log of the prior's mass in each cell; a slope of standard deviation 0 is fixed at 0."""
    a, b, log_variation = np.meshgrid(*AXES, indexing="ij", sparse=True)
    steps = [axis[1] - axis[0] for axis in AXES]
    slope = (
        norm.logpdf(b, *slope_prior) + np.log(steps[1])
        if slope_prior[1]
        else np.where(np.isclose(b, 0.0, atol=1e-9), 0.0, -np.inf)
    )
    return (
        norm.logpdf(a, *mean_prior) + slope + norm.logpdf(log_variation, *variation_prior) + np.log(steps[0] * steps[2])
    )


def fit(
    model: str = "Gamma",
    rows: tuple[Row, ...] | None = None,
    mean_prior: tuple[float, float] = MEAN_PRIOR,
    slope_prior: tuple[float, float] = SLOPE_PRIOR,
    variation_prior: tuple[float, float] = VARIATION_PRIOR,
    triangular: bool = False,
) -> Fit:
    """The posterior of a model on the grid; ``triangular`` reads exact rows as differences of calendar years."""
    cdf = MODELS[model]
    rows = rows or read_rows()
    by_row = np.stack(
        [
            _triangular_log_likelihood(cdf, row)
            if triangular and row.censoring == "exact"
            else _row_log_likelihood(cdf, row.workers, row.low, row.high)
            for row in rows
        ]
    )
    joint = by_row.sum(axis=0) + _log_prior(mean_prior, slope_prior, variation_prior)
    evidence = logsumexp(joint)
    return Fit(cdf, rows, by_row, np.exp(joint - evidence), float(evidence))


def weighted_quantiles(values: np.ndarray, weights: np.ndarray, shares: Iterable[float]) -> np.ndarray:
    """Quantiles of values on the grid under its weights; the mass of each distinct value counts as centred on it."""
    present = weights > 0.0
    distinct, cells = np.unique(np.round(np.broadcast_to(values, weights.shape)[present], 9), return_inverse=True)
    mass = np.bincount(cells, weights[present])
    return np.interp(list(shares), np.cumsum(mass) - 0.5 * mass, distinct)


def summary(result: Fit) -> dict[str, tuple[float, float, float]]:
    """Posterior mean and 5 and 95% quantiles of what the report names."""
    a, b, variation = _grid()
    values = {
        "mean_100": np.exp(a),
        "mean_1000": _mean(1000.0, a, b),
        "slope": b,
        "variation": variation,
        "shape": variation**-2.0,
        "within_1.5_at_100": _grid_cdf(result.cdf, 100.0, 1.5),
        "within_1.5_at_1000": _grid_cdf(result.cdf, 1000.0, 1.5),
    }
    return {
        name: (
            float(np.sum(result.weights * value)),
            *map(float, weighted_quantiles(value, result.weights, (0.05, 0.95))),
        )
        for name, value in values.items()
    }


def edge_mass(result: Fit) -> float:
    """The largest posterior mass on a face of the grid: should be negligible."""
    faces = (np.take(result.weights, end, axis=axis).sum() for axis in range(3) for end in (0, -1))
    return float(max(faces))


def left_out_weights(result: Fit) -> list[np.ndarray]:
    """The posterior without each row, on the grid."""
    weights = []
    with np.errstate(divide="ignore"):
        log_posterior = np.log(result.weights)
    for log_likelihood in result.row_log_likelihoods:
        joint = log_posterior - log_likelihood
        weights.append(np.exp(joint - logsumexp(joint)))
    return weights


def left_out_log_score(result: Fit) -> float:
    """Sum over rows of the log of the chance that a fit to the others gives the row's interval."""
    pairs = zip(result.row_log_likelihoods, left_out_weights(result), strict=True)
    return float(sum(np.log(np.sum(weights * np.exp(row))) for row, weights in pairs))


def maximum_likelihood(model: str, rows: tuple[Row, ...], with_slope: bool) -> tuple[np.ndarray, float]:
    """(a, b, log variation) that maximise the likelihood of the intervals, and the AIC; b = 0 without slope."""
    cdf = MODELS[model]
    workers, low, high = (np.array([getattr(row, name) for row in rows]) for name in ("workers", "low", "high"))

    def unpack(x: np.ndarray) -> np.ndarray:
        return np.array([x[0], x[2] if with_slope else 0.0, x[1]])

    def loss(x: np.ndarray) -> float:
        a, b, log_variation = unpack(x)
        mean, variation = _mean(workers, a, b), np.exp(log_variation)
        return -np.sum(np.log(np.maximum(cdf(high, mean, variation) - cdf(low, mean, variation), 1e-300)))

    start = np.array([np.log(4.0), -0.5, 0.0])[: 3 if with_slope else 2]
    result = _minimise(loss, start)
    return unpack(result.x), float(2.0 * result.fun + 2.0 * len(start))


def _minimise(loss: Callable[[np.ndarray], float], start: np.ndarray) -> OptimizeResult:
    return minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 20000})


def published_form(bound_at: float) -> dict[str, float]:
    """Maximum likelihood of T ~ Gamma(mu / theta, scale theta), mu = A / log10(workers)^B, with all rows exact.

    ``bound_at`` is the share of an upper bound at which it counts as exact: the published analysis halves it. ``p`` is of the
    likelihood ratio of B free against B = 0.
    """
    rows = read_rows(exact=0.0, approximate=0.0, bound_at=bound_at)
    workers, years = np.array([row.workers for row in rows]), np.array([row.high for row in rows])

    def loss(x: np.ndarray) -> float:
        theta = np.exp(x[1])
        mean = np.exp(x[0]) / np.log10(workers) ** (x[2] if len(x) > 2 else 0.0)
        return -gamma.logpdf(years, mean / theta, scale=theta).sum()

    free, fixed = _minimise(loss, np.array([2.0, 0.5, 1.0])), _minimise(loss, np.array([1.5, 0.5]))
    log_a, log_theta, power = free.x
    return {
        "A": float(np.exp(log_a)),
        "B": float(power),
        "theta": float(np.exp(log_theta)),
        "mean_100": float(np.exp(log_a) / 2.0**power),
        "mean_1000": float(np.exp(log_a) / 3.0**power),
        "p": float(chi2.sf(2.0 * (fixed.fun - free.fun), 1)),
    }


def _invert(mass: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cell, and place within it from -0.5 to 0.5, where the distribution in each row of ``mass`` reaches each point."""
    cumulative = np.cumsum(mass, axis=1)
    targets = points * cumulative[:, -1]
    cells = np.minimum(np.sum(cumulative < targets[:, None], axis=1), mass.shape[1] - 1)
    rows = np.arange(len(points))
    return cells, (targets - cumulative[rows, cells]) / mass[rows, cells] + 0.5


def draw(result: Fit, count: int = DRAW_COUNT, seed: int = SEED) -> np.ndarray:
    """Posterior draws of (a, b, log variation): a, then b given a, then the last given both, uniform in each cell."""
    points = (0.5 + np.arange(1, count + 1)[:, None] * KRONECKER_BASE ** -np.arange(1.0, 4.0)) % 1.0
    in_a = np.broadcast_to(result.weights.sum(axis=(1, 2)), (count, len(AXES[0])))
    first, place_a = _invert(in_a, points[:, 0])
    second, place_b = _invert(result.weights.sum(axis=2)[first], points[:, 1])
    third, place_c = _invert(result.weights[first, second], points[:, 2])
    placed = zip(AXES, (first, second, third), (place_a, place_b, place_c), strict=True)
    draws = np.column_stack([axis[cell] + place * (axis[1] - axis[0]) for axis, cell, place in placed])
    return np.random.default_rng(seed).permutation(draws)


def draws_csv(draws: np.ndarray) -> str:
    """The draws as the text of the data file."""
    a, b, log_variation = draws.T
    columns = np.column_stack([np.exp(a), b, np.exp(-2.0 * log_variation)])
    lines = (",".join(f"{value:.5g}" for value in row) for row in columns)
    return "mean_years_at_100,log10_workers_slope,shape\n" + "".join(f"{line}\n" for line in lines)


SIDECAR = """\
title: "Posterior draws of the years until a covert programme is identified, by workforce"
producer: "Computed here (tools/fit_identification.py) from the programmes compiled by the AI Futures Project"
citation: "AI Futures Project, covert compute model, nuclear_case_studies.csv (2025); covert_programmes.csv beside this file"
licence: "facts; see citation"
accessed: 2026-11-25
note: >-
  1,000 draws of T ~ Gamma(shape, scale = mean / shape), mean = mean_years_at_100 x exp(log10_workers_slope x
  (log10(workers) - 2)), fitted to twelve nuclear programmes of 40 to 3,500 workers as intervals (year +-0.5;
  approximate +-2; upper bounds left-censored). Priors: log of the mean at 100 ~ Normal(log 5, 1); slope ~
  Normal(0, 0.5), centred on no dependence; log of the coefficient of variation ~ Normal(0, 0.5). Sample rows whole.
  They carry the error of the fit, not that of its use for computing, nor of the selection of programmes that were
  found in the end. Satellites and procurement, by which several were found, are already inside the curve.
"""


def write_draws(result: Fit) -> None:
    """Write the draws and their sidecar beside the data."""
    (DATA / f"{DRAWS}.csv").write_text(draws_csv(draw(result)), "utf-8", newline="\n")
    (DATA / f"{DRAWS}.source.yaml").write_text(SIDECAR, "utf-8", newline="\n")


def predictive_quantiles(result: Fit, draws: np.ndarray, workers: float) -> list[float]:
    """5, 50 and 95% quantiles of the years of a new programme of so many workers."""
    a, b, log_variation = draws.T
    mean, variation = _mean(workers, a, b), np.exp(log_variation)
    return [
        brentq(lambda t, share=share: np.mean(result.cdf(t, mean, variation)) - share, 1e-6, 500.0)
        for share in (0.05, 0.5, 0.95)
    ]


def integral_transforms(result: Fit) -> tuple[np.ndarray, np.ndarray]:
    """P(T < years stated) of each row, from the fit to all rows and from the fit to the others."""
    values = [_grid_cdf(result.cdf, row.workers, row.years) for row in result.rows]
    inside = [np.sum(result.weights * value) for value in values]
    left_out = [np.sum(weights * value) for weights, value in zip(left_out_weights(result), values, strict=True)]
    return np.array(inside), np.array(left_out)


def _table(header: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    header = list(header)
    cells = [header, ["---"] * len(header), *(list(line) for line in lines)]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells) + "\n"


def _spread(values: tuple[float, float, float], digits: int = 2) -> str:
    return f"{values[0]:.{digits}f} ({values[1]:.{digits}f} to {values[2]:.{digits}f})"


COLUMNS = {
    "mean_100": "mean years at 100",
    "mean_1000": "at 1,000",
    "slope": "slope b",
    "variation": "variation",
    "within_1.5_at_100": "P(T < 1.5) at 100",
}


def _line(name: str, result: Fit) -> list[str]:
    values = summary(result)
    spreads = [_spread(values[column], 3 if column.startswith("within") else 2) for column in COLUMNS]
    return [name, *spreads]


def _scored_line(name: str, result: Fit) -> list[str]:
    return [*_line(name, result), f"{result.log_evidence:.2f}", f"{left_out_log_score(result):.2f}"]


FIT_HEADER = ["fit", *COLUMNS.values()]
SLOPE_PRIORS = {"b ~ Normal(0, 0.5)": SLOPE_PRIOR, "b = 0": (0.0, 0.0), "b ~ Normal(0, 2)": (0.0, 2.0)}


def models_report() -> str:
    """Both models with a slope, without one, and with hardly a prior on it; and their maximum likelihood."""
    fits = (
        (f"{model}, {name}", fit(model, slope_prior=prior)) for model in MODELS for name, prior in SLOPE_PRIORS.items()
    )
    lines = []
    for model in MODELS:
        for with_slope in (True, False):
            (a, b, log_variation), aic = maximum_likelihood(model, read_rows(), with_slope)
            numbers = (np.exp(a), np.exp(a + b), b, np.exp(log_variation), aic)
            lines.append([model, "free" if with_slope else "0", *(f"{number:.2f}" for number in numbers)])
    table = _table([*FIT_HEADER, "log evidence", "log score, left out"], (_scored_line(*pair) for pair in fits))
    header = ["maximum likelihood", "b", "mean at 100", "at 1,000", "slope", "variation", "AIC"]
    return f"## Models\n\n{table}{_table(header, lines)}"


def published_report() -> str:
    """The published parametrisation refitted, and what its published constants give."""
    lines = []
    for name, share in (("upper bounds halved, then exact", 0.5), ("upper bounds as exact", 1.0)):
        lines.append([name, *(f"{value:.3g}" for value in published_form(share).values())])
    scale, power, theta = PUBLISHED.values()
    means = [scale / np.log10(workers) ** power for workers in (100.0, 1000.0)]
    lines.append(["published posterior means", *(f"{value:.4g}" for value in (scale, power, theta, *means)), ""])
    header = ["published form", "A", "B", "theta", "mean at 100", "at 1,000", "p of B = 0"]
    within = ", ".join(f"{gamma.cdf(1.5, mean / theta, scale=theta):.3f}" for mean in means)
    text = f"With the published constants P(T < 1.5) is, at 100 and 1,000 workers: {within}.\n\n"
    return f"## Published form\n\n{_table(header, lines)}{text}"


def _sensitivities() -> Iterable[tuple[str, Fit]]:
    base = read_rows()
    yield "as shipped", fit()
    yield "exact: density at t (width 0.02)", fit(rows=read_rows(exact=0.01))
    yield "exact: triangular, +-1", fit(triangular=True)
    yield "approximate +-1", fit(rows=read_rows(approximate=1.0))
    yield "approximate +-3", fit(rows=read_rows(approximate=3.0))
    yield "approximate as exact", fit(rows=read_rows(approximate=0.5))
    yield "upper bounds at half, as exact", fit(rows=read_rows(bound_at=0.5))
    yield "upper bounds as exact", fit(rows=read_rows(bound_at=1.0))
    looser = (replace(row, high=row.high + 1.0) if row.censoring == CENSORED else row for row in base)
    yield "upper bounds a year later", fit(rows=tuple(looser))
    yield "without upper bounds", fit(rows=tuple(row for row in base if row.censoring != CENSORED))
    yield "prior of a ten times as wide", fit(mean_prior=(MEAN_PRIOR[0], 10.0))
    yield "prior of b: sd 1", fit(slope_prior=(0.0, 1.0))
    yield "prior of log variation: sd 1", fit(variation_prior=(0.0, 1.0))
    for count in (1, 3):
        unseen = Row("hypothetical, never identified", 100.0, 15.0, "lower bound", 15.0, np.inf)
        yield f"plus {count} imagined, of 100 workers, unidentified at 15 years", fit(rows=base + (unseen,) * count)


def sensitivity_report() -> str:
    """The Gamma model under other readings of the rows, other priors, and without each row."""
    result = fit()
    a, b, _ = _grid()
    left_out = left_out_weights(result)
    names = [row.programme for row in result.rows]
    text = ""
    for label, values in (("mean at 100", np.exp(a)), ("mean at 1,000", _mean(1000.0, a, b)), ("slope", b)):
        means = [float(np.sum(weights * values)) for weights in left_out]
        least, most = int(np.argmin(means)), int(np.argmax(means))
        text += (
            f"- {label}, posterior mean without one row: {means[least]:.2f} (without {names[least]})"
            f" to {means[most]:.2f} (without {names[most]})\n"
        )
    table = _table(FIT_HEADER, (_line(*pair) for pair in _sensitivities()))
    return f"## Sensitivity (Gamma)\n\n{table}{text}\n"


def _uniformity(rows: tuple[Row, ...], name: str, transforms: np.ndarray) -> str:
    """Kolmogorov-Smirnov tests of the transforms; leaving out the censored rows leaves out short times, so also with."""
    censored = np.array([row.censoring == CENSORED for row in rows])
    text = ""
    for which, values in (
        ("uncensored rows", transforms[~censored]),
        ("rows, censored ones at half their transform", np.where(censored, 0.5 * transforms, transforms)),
    ):
        test = kstest(values, "uniform")
        text += (
            f"- Kolmogorov-Smirnov, {name}, {len(values)} {which}: D = {test.statistic:.2f}, p = {test.pvalue:.2f}; "
            f"mean {values.mean():.2f}; outside 5 to 95%: {np.sum(np.abs(values - 0.5) > 0.45)}\n"
        )
    return text


def residuals_report() -> str:
    """Each row beside what the shipped fit predicts for it, and whether the transforms are uniform."""
    result = fit()
    draws = draw(result)
    inside, left_out = integral_transforms(result)
    lines = []
    for row, own, other in zip(result.rows, inside, left_out, strict=True):
        low, median, high = predictive_quantiles(result, draws, row.workers)
        stated = {CENSORED: "<", "approximate": "~"}.get(row.censoring, "") + f"{row.years:g}"
        numbers = (f"{median:.1f}", f"{low:.1f} to {high:.1f}", f"{own:.2f}", f"{other:.2f}")
        lines.append([row.programme, f"{row.workers:g}", stated, *numbers])
    header = ["programme", "workers", "years", "median", "5 to 95%", "P(T < years)", "the same, row left out"]
    checks = (("fit to all rows", inside), ("row left out", left_out))
    text = "".join(_uniformity(result.rows, name, values) for name, values in checks)
    return f"## Residuals (Gamma, as shipped)\n\n{_table(header, lines)}{text}\n"


def shipped_report() -> str:
    """The shipped posterior, and how near the draws come to it."""
    result = fit()
    text = "".join(f"- {name}: {_spread(values, 3)}\n" for name, values in summary(result).items())
    draws = draw(result)
    ahead = result.weights[:, AXES[1] < -1e-9, :].sum() + 0.5 * result.weights[:, np.abs(AXES[1]) < 1e-9, :].sum()
    correlation = np.corrcoef(draws.T)
    text += (
        f"- P(b < 0): {ahead:.3f}; largest mass on a face of the grid: {edge_mass(result):.1g}\n"
        f"- draws: mean at 100 {np.exp(draws[:, 0]).mean():.3f}, slope {draws[:, 1].mean():.3f}, "
        f"shape {np.exp(-2.0 * draws[:, 2]).mean():.3f}; correlation of a and b {correlation[0, 1]:.2f}\n"
    )
    return f"## Shipped (Gamma): posterior mean (5 to 95%)\n\n{text}\n"


def main() -> None:
    """Write the draws, then print the report in Markdown."""
    write_draws(fit())
    for part in (shipped_report, models_report, published_report, sensitivity_report, residuals_report):
        sys.stdout.write(part())


if __name__ == "__main__":
    main()
