"""Refits the constants of the iteration time inside a site, cross-validates them and prints both as in site.yaml.

Run from the root of the repository with scipy installed: ``python tools/fit_site.py``.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from thresher.training.site import iteration_seconds, measured_iterations, site_parameters

FITTED = ("matmul_efficiency", "half_rate_elements", "memory_passes", "network_efficiency")
START = (0.8, 5e5, 10.0, 0.5)
LOWER, UPPER = (0.3, 1e3, 0.1, 0.05), (1.0, 1e8, 100.0, 1.0)
OUTLIER_SCALE = 0.05
"""Log error beyond which a row counts as an outlier: the Cauchy loss then hardly follows it."""


def seconds(inputs: dict[str, Any], fitted: Any) -> Any:
    """The model's seconds with the fitted constants replaced."""
    return iteration_seconds(**inputs, **(site_parameters() | dict(zip(FITTED, fitted, strict=True))))


def select(inputs: dict[str, Any], rows: Any) -> dict[str, Any]:
    """The inputs of some of the rows."""
    return {name: value[rows] if isinstance(value, np.ndarray) else value for name, value in inputs.items()}


def fit(inputs: dict[str, Any], measured: Any) -> Any:
    """The constants that minimise the Cauchy loss of the log errors."""
    result = least_squares(
        lambda logs: np.log(seconds(inputs, np.exp(logs)) / measured),
        np.log(START),
        bounds=(np.log(LOWER), np.log(UPPER)),
        loss="cauchy",
        f_scale=OUTLIER_SCALE,
    )
    return np.exp(result.x)


def left_out_seconds(inputs: dict[str, Any], measured: Any, column: str) -> Any:
    """Seconds of rows predicted by a fit to the rows with another value in ``column``."""
    predicted = np.empty_like(measured)
    for value in np.unique(inputs[column]):
        out = inputs[column] == value
        fitted = fit(select(inputs, ~out), measured[~out])
        predicted[out] = seconds(select(inputs, out), fitted)
    return predicted


def left_out(inputs: dict[str, Any], measured: Any, column: str) -> Any:
    """Absolute relative errors of rows predicted by a fit to the rows with another value in ``column``."""
    return np.abs(left_out_seconds(inputs, measured, column) / measured - 1.0)


def report() -> dict[str, float]:
    """The fitted constants and the errors, by their names in site.yaml."""
    inputs, measured = measured_iterations()
    fitted = fit(inputs, measured)
    values = dict(zip(FITTED, fitted, strict=True))
    errors = {
        "in_sample": np.abs(seconds(inputs, fitted) / measured - 1.0),
        "size_left_out": left_out(inputs, measured, "params"),
        "tensor_left_out": left_out(inputs, measured, "tensor"),
    }
    for name, error in errors.items():
        values[f"error_{name}_median"] = np.median(error)
        values[f"error_{name}_p90"] = np.quantile(error, 0.9)
    return {name: float(value) for name, value in values.items()}


if __name__ == "__main__":
    sys.stdout.writelines(f"{name}: {value:.4g}\n" for name, value in report().items())
