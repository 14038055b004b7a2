"""Refits the default model FLOP utilisation to the published runs and prints the numbers of utilisation.yaml.

Run from the root of the repository with scipy installed: ``python tools/fit_utilisation.py``.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.optimize import least_squares

from thresher.training.utilisation import published_runs, utilisation_parameters

REFERENCE = "hopper"
OUTLIER_SCALE = 0.1
"""Log residual beyond which the soft L1 loss grows linearly."""


def report(saturation_chips: float | None = None) -> dict[str, float]:
    """The fitted numbers by their names in utilisation.yaml, and ``rows``, ``residual_rms``, ``residual_median``.

    The saturation is chosen, not fitted: the loss hardly depends on it between 1 and 256 chips.
    """
    saturation_chips = saturation_chips or utilisation_parameters()["saturation_chips"]
    runs = [run for run in published_runs() if run.fitted]
    others = sorted({run.generation for run in runs} - {REFERENCE})
    generations = np.asarray([[run.generation == name for name in others] for run in runs], dtype=float)
    log_excess = np.log(np.maximum([run.chips / saturation_chips for run in runs], 1.0))
    design = np.column_stack([np.ones(len(runs)), -log_excess, generations])
    log_mfu = np.log([run.mfu for run in runs])
    start = np.concatenate([[np.mean(log_mfu)], np.zeros(design.shape[1] - 1)])
    result = least_squares(lambda x: design @ x - log_mfu, start, loss="soft_l1", f_scale=OUTLIER_SCALE)
    residual = design @ result.x - log_mfu
    values = {"small_unit_mfu": np.exp(result.x[0]), "decline_exponent": result.x[1]}
    values |= {f"generation_factor_{name}": np.exp(x) for name, x in zip(others, result.x[2:], strict=True)}
    values |= {
        "rows": len(runs),
        "loss": result.cost,
        "residual_rms": np.sqrt(np.mean(residual**2)),
        "residual_median": np.median(np.abs(residual)),
        "residual_5_percent": np.quantile(-residual, 0.05),
        "residual_95_percent": np.quantile(-residual, 0.95),
    }
    return {name: float(value) for name, value in values.items()}


if __name__ == "__main__":
    sys.stdout.writelines(f"{name}: {value:.4g}\n" for name, value in report().items())
