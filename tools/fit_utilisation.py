"""Refits the default model FLOP utilisation to the published runs and prints the numbers of utilisation.yaml.

Run from the root of the repository with scipy installed: ``python tools/fit_utilisation.py``.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.optimize import OptimizeResult, least_squares

from thresher.training.utilisation import published_runs, utilisation_parameters

REFERENCE = "hopper"
OUTLIER_SCALE = 0.1
"""Log residual beyond which the soft L1 loss grows linearly."""
SEED = 0


def _fitted() -> tuple[np.ndarray, list[str]]:
    """Generation of each fitted run, and the generations that get a factor."""
    generations = np.asarray([run.generation for run in published_runs() if run.fitted])
    return generations, sorted({*generations} - {REFERENCE})


def _design(saturation_chips: float) -> tuple[np.ndarray, np.ndarray]:
    """The matrix of the fit, a column each for the constant, the decline and the generations; and the log MFUs."""
    runs = [run for run in published_runs() if run.fitted]
    generations, others = _fitted()
    log_excess = np.log(np.maximum([run.chips / saturation_chips for run in runs], 1.0))
    factors = np.asarray(generations[:, None] == others, dtype=float)
    return np.column_stack([np.ones(len(runs)), -log_excess, factors]), np.log([run.mfu for run in runs])


def _fit(design: np.ndarray, log_mfu: np.ndarray) -> OptimizeResult:
    start = np.concatenate([[np.mean(log_mfu)], np.zeros(design.shape[1] - 1)])
    return least_squares(lambda x: design @ x - log_mfu, start, loss="soft_l1", f_scale=OUTLIER_SCALE)


def report(saturation_chips: float | None = None) -> dict[str, float]:
    """The fitted numbers by their names in utilisation.yaml, and ``rows``, ``residual_rms``, ``residual_median``.

    The saturation is chosen, not fitted: the loss hardly depends on it between 1 and 256 chips.
    """
    saturation_chips = saturation_chips or utilisation_parameters()["saturation_chips"]
    design, log_mfu = _design(saturation_chips)
    result = _fit(design, log_mfu)
    residual = design @ result.x - log_mfu
    values = {"small_unit_mfu": np.exp(result.x[0]), "decline_exponent": result.x[1]}
    values |= {f"generation_factor_{name}": np.exp(x) for name, x in zip(_fitted()[1], result.x[2:], strict=True)}
    values |= {
        "rows": len(log_mfu),
        "loss": result.cost,
        "residual_rms": np.sqrt(np.mean(residual**2)),
        "residual_median": np.median(np.abs(residual)),
        "residual_5_percent": np.quantile(-residual, 0.05),
        "residual_95_percent": np.quantile(-residual, 0.95),
    }
    return {name: float(value) for name, value in values.items()}


def left_out_residuals() -> np.ndarray:
    """Log MFU of each run less the formula fitted to the others; not of a run that is alone in its generation."""
    log_mfu = _design(utilisation_parameters()["saturation_chips"])[1]
    return np.asarray([log_mfu[row] - np.log(mfu) for row, mfu in left_out_mfu().items()])


def left_out_mfu() -> dict[int, float]:
    """MFU of each run by the formula fitted to the others, by its place; not of a run that is alone in its generation."""
    design, log_mfu = _design(utilisation_parameters()["saturation_chips"])
    generations, _ = _fitted()
    several = [row for row, name in enumerate(generations) if np.sum(generations == name) > 1]
    others = np.arange(len(log_mfu))
    fits = (_fit(design[others != row], log_mfu[others != row]).x for row in several)
    return {row: float(np.exp(design[row] @ x)) for row, x in zip(several, fits, strict=True)}


def bootstrap(refits: int = 1000) -> dict[str, np.ndarray]:
    """The fitted numbers of refits to runs drawn with replacement within each generation, by name."""
    design, log_mfu = _design(utilisation_parameters()["saturation_chips"])
    generations, others = _fitted()
    alike = [np.flatnonzero(generations == name) for name in (REFERENCE, *others)]
    rng = np.random.default_rng(SEED)
    samples = (np.concatenate([rng.choice(rows, len(rows)) for rows in alike]) for _ in range(refits))
    draws = np.asarray([_fit(design[rows], log_mfu[rows]).x for rows in samples])
    values = {"small_unit_mfu": np.exp(draws[:, 0]), "decline_exponent": draws[:, 1]}
    return values | {f"generation_factor_{name}": np.exp(x) for name, x in zip(others, draws[:, 2:].T, strict=True)}


def main() -> None:
    """Print the fit, then the quantiles of what is refitted."""
    sys.stdout.writelines(f"{name}: {value:.4g}\n" for name, value in report().items())
    spreads = {"mfu_factor (left out)": np.exp(left_out_residuals()), **bootstrap()}
    for name, values in spreads.items():
        quantiles = ", ".join(f"{value:.4g}" for value in np.quantile(values, [0.005, 0.05, 0.5, 0.95, 0.995]))
        sys.stdout.write(f"{name}, 0.5, 5, 50, 95 and 99.5%: {quantiles}\n")


if __name__ == "__main__":
    main()
