"""Model FLOP utilisation of one tightly coupled node or site, by chip generation and size, from published runs."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files

from thresher.arrays import Array, namespace
from thresher.catalog.chips import chip
from thresher.catalog.measurements import table
from thresher.sources import Quantity, load_quantities


@dataclass(frozen=True, slots=True)
class UtilisationRun:
    """A published one-site run: chips that worked as one unit, their generation, and the MFU in 6PD accounting."""

    run: str
    chips: float
    generation: str
    mfu: float
    fitted: bool


def default_mfu(
    *,
    generation_factor: Array,
    chips: Array,
    small_unit_mfu: Array,
    decline_exponent: Array,
    saturation_chips: Array,
    highest_seen_mfu: Array,
) -> Array:
    """The MFU to expect of one synchronous unit of co-located chips, for a plan that states none.

    MFU = min(highest, small x factor x max(1, chips / saturation) ^ -exponent)

    A factor for the generation, a slow decline with the number of chips, and none below ``saturation_chips``: the units
    of 8 to 64 H100s that were published reach what hundreds reach, so a straight line in the logarithms would promise
    small units more than was ever seen. Fitted (``tools/fit_utilisation.py``, soft L1 loss in log MFU, scale 0.1) to 26
    runs on 8 to 16,384 chips: median absolute residual 0.08 in log MFU, root mean square 0.19; a run beside
    the formula is the parameter ``mfu_factor``. It knows nothing of model, batch or layout, as `iteration_parts` does.

    Parameters
    ----------
    generation_factor
        Relative to ``hopper``; the value of `generation_factor`. Broadcasts against ``chips``.
    chips
        Chips that compute as one synchronous unit, at least 1; floating point if an array.
    small_unit_mfu, decline_exponent, saturation_chips, highest_seen_mfu
        Fitted; see ``data/utilisation.yaml`` and `utilisation_parameters`.

    Returns
    -------
    Array
        Shares of the dense peak that 6 x parameters x tokens makes up; at most ``highest_seen_mfu``.
    """
    xp = namespace(generation_factor, chips, small_unit_mfu, decline_exponent, saturation_chips, highest_seen_mfu)
    excess = xp.maximum(xp.asarray(chips / saturation_chips), xp.asarray(1.0))
    return xp.minimum(
        xp.asarray(small_unit_mfu * generation_factor * xp.exp(-decline_exponent * xp.log(excess))),
        xp.asarray(highest_seen_mfu),
    )


def generation_factor(generation: str) -> Quantity:
    """The factor of a chip generation of the catalog; ``generation_factor_other`` for one with no published run."""
    quantities = load_quantities("thresher.training", "utilisation.yaml")
    return quantities.get(f"generation_factor_{generation}", quantities["generation_factor_other"])


def utilisation_parameters() -> dict[str, float]:
    """The arguments of `default_mfu` that are constants of the model, by name."""
    quantities = load_quantities("thresher.training", "utilisation.yaml")
    names = ("small_unit_mfu", "decline_exponent", "saturation_chips", "highest_seen_mfu")
    return {name: quantities[name].value for name in names}


def published_runs() -> list[UtilisationRun]:
    """Every published one-site MFU that ships: the catalog's ``published_mfu``, then ``data/utilisation_runs.csv``."""
    runs = [
        UtilisationRun(
            str(row["model"]), float(row["chips"] or 0), chip(str(row["chip"])).generation,
            float(row["mfu_published"] or 0), True,
        )
        for row in table("published_mfu")
    ]  # fmt: skip
    text = files("thresher.training").joinpath("data", "utilisation_runs.csv").read_text("utf-8")
    for row in csv.DictReader(text.splitlines()):
        fitted = row["fitted"] == "yes"
        runs.append(UtilisationRun(row["run"], float(row["chips"]), row["generation"], float(row["mfu"]), fitted))
    return runs
