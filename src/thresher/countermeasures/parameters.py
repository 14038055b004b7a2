"""The parameters of detection: every file of numbers with its source, and draws of all that is uncertain in them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files

import numpy as np

from thresher.distributions import quantile
from thresher.errors import InputError
from thresher.sources import Quantity, load_quantities, read_yaml

FILES = ("parameters.yaml", "shared.yaml")
PRICES = ("cost_", "burden_")
"""What the names of parameters begin with that say what settings cost."""
LEAK_CASE, LEAK_MODEL, IDENTIFICATION_ROW = "leak_case", "leak_model", "identification_row"
"""Uniform dimensions that stand for no single parameter: a case of Grimes, a member of the ensemble, a row of the refit."""
LUCK = ("location_luck", "reconciliation_luck", "purchase_luck", "contract_luck")
"""Uniform dimensions of what is either so or not, however often one looks: whether displaced chips contradict, holders are
seen to be short, and purchases or contracts can be tied together. So if the dimension is below its chance."""
_CASE = "leak_rate_"
KEPT = 4
"""Draws that are kept for whoever asks for the same again."""


@cache
def quantities() -> dict[str, Quantity]:
    """Every parameter of detection with its source, by name."""
    merged: dict[str, Quantity] = {}
    for file in FILES:
        rows = load_quantities("thresher.countermeasures", file)
        if twice := merged.keys() & rows.keys():
            raise InputError(rows.origin, "names that no other parameter file uses", sorted(twice))
        merged.update(rows)
    return merged


def table(file: str) -> list[dict[str, str]]:
    """The rows of a table of this room."""
    text = files("thresher.countermeasures").joinpath("data", file).read_text("utf-8")
    return list(csv.DictReader(io.StringIO(text)))


def document(file: str) -> Mapping[str, object]:
    """A YAML file of this room."""
    text = files("thresher.countermeasures").joinpath("data", file).read_text("utf-8")
    found: Mapping[str, object] = read_yaml(text, f"thresher/countermeasures/data/{file}")
    return found


@cache
def leak_rates() -> Mapping[str, float]:
    """Grimes's three cases: leaks per person and year."""
    return {name.removeprefix(_CASE): row.value for name, row in quantities().items() if name.startswith(_CASE)}


@cache
def identification_rows() -> Mapping[str, np.ndarray]:
    """The posterior of the refit to covert programmes: mean years at 100 workers, slope over log10 workers, shape; in order
    of the mean."""
    rows = table("identification_draws.csv")
    values = {name: np.asarray([float(row[name]) for row in rows]) for name in rows[0]}
    order = np.argsort(values["mean_years_at_100"], kind="stable")
    return {
        "identification_mean_years": values["mean_years_at_100"][order],
        "identification_slope": values["log10_workers_slope"][order],
        "identification_shape": values["shape"][order],
    }


@lru_cache(maxsize=KEPT)
def detection_draws(draws: int, seed: int) -> Mapping[str, np.ndarray]:
    """``draw_detection``, the last few of them kept."""
    return draw_detection(draws, seed)


def draw_detection(draws: int, seed: int) -> dict[str, np.ndarray]:
    """Every parameter of detection as an array of draws: a Latin hypercube over all that has a range.

    Independent of the worlds of `simulation.draws`, with which they are paired. The same seed gives the same numbers.
    """
    from scipy.stats import qmc  # noqa: PLC0415 - heavy, and only where draws are made

    varied = [name for name, row in quantities().items() if row.distribution != "fixed"]
    names = [*varied, LEAK_CASE, LEAK_MODEL, IDENTIFICATION_ROW, *LUCK]
    points = qmc.LatinHypercube(len(names), rng=np.random.default_rng([seed, len(names)])).random(draws)
    unit = dict(zip(names, points.T, strict=True))
    drawn = {name: np.full(draws, row.value) for name, row in quantities().items()}
    drawn |= {name: quantile(quantities()[name], unit[name]) for name in varied}
    rows, rates = identification_rows(), np.asarray(list(leak_rates().values()))
    row = (unit[IDENTIFICATION_ROW] * len(rows["identification_shape"])).astype(int)
    drawn |= {name: values[row] for name, values in rows.items()}
    drawn["leak_rate"] = rates[(unit[LEAK_CASE] * len(rates)).astype(int)]
    drawn |= {name: unit[name] for name in (LEAK_MODEL, *LUCK)}
    return drawn
