"""The whole calibration: every family fitted to all rows and without the largest, compared, and weighed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from thresher.calibration import compare
from thresher.calibration.fit import Fit, Settings, fit
from thresher.learning.loss_rows import Rows, measured_rows
from thresher.learning.replica_families import FAMILIES
from thresher.result import Result


@dataclass(frozen=True, slots=True)
class Calibration:
    """The fits to all rows, and a row of comparison for each family."""

    settings: Settings
    fits: Sequence[Fit]
    table: Sequence[Mapping[str, object]]

    def as_result(self) -> Result:
        """As a result file: settings, the comparison, and how well each number mixed."""
        diagnostics = {one.family: one.diagnostics for one in self.fits}
        return Result("calibration", asdict(self.settings), {"families": self.table, "diagnostics": diagnostics})


def calibrate(settings: Settings, progress: Callable[[str], None] = lambda _: None) -> Calibration:
    """Fit, compare and weigh the families; the same settings give the same numbers."""
    rows = measured_rows()
    without = compare.select(rows, ~compare.is_largest(rows))
    fits = {family: fit(family, rows, settings, progress) for family in FAMILIES}
    judged = {family: Judgement.of(one, fit(family, without, settings, progress), rows) for family, one in fits.items()}
    return Calibration(settings, list(fits.values()), _table(fits, judged, settings.seed))


@dataclass(frozen=True, slots=True)
class Judgement:
    """A family's densities and errors, row by row: of leave one out, and of leave the largest out."""

    loo: Any
    pareto: Any
    inside_loo: Any
    largest: Any
    error: Any
    inside_largest: Any
    at_size: Any
    at_replicas: Any

    @classmethod
    def of(cls, fitted: Fit, without: Fit, rows: Rows) -> Judgement:
        """Judge a fit to all rows, and one without the largest, on ``rows``."""
        held = compare.select(rows, compare.is_largest(rows))
        at_size = compare.at_largest_sizes(rows)
        return cls(
            *compare.leave_one_out(fitted, rows), *compare.leave_largest_out(without, rows),
            at_size, ~at_size & (held.source == compare.reference_source()),
        )  # fmt: skip


def _table(fits: Mapping[str, Fit], judged: Mapping[str, Judgement], seed: int) -> list[dict[str, object]]:
    loo = {family: one.loo for family, one in judged.items()}
    largest = {family: one.largest for family, one in judged.items()}
    stacked = compare.stack(loo), compare.stack(largest)
    weights = compare.with_floor({family: 0.5 * (stacked[0][family] + stacked[1][family]) for family in fits})
    alike = compare.pseudo_bma(loo, seed), compare.pseudo_bma(largest, seed)
    return [
        {
            "family": family,
            "weight": weights[family],
            "stacking_loo": stacked[0][family],
            "stacking_largest": stacked[1][family],
            "pseudo_bma_loo": alike[0][family],
            "pseudo_bma_largest": alike[1][family],
            "elpd_loo": float(one.loo.sum()),
            "elpd_loo_error": compare.difference_error(loo, family),
            "elpd_largest": float(one.largest.sum()),
            "elpd_largest_error": compare.difference_error(largest, family),
            "rmse_largest": _root_mean_square(one.error[one.at_size]),
            "rmse_replicas": _root_mean_square(one.error[one.at_replicas]),
            "coverage_loo": float(one.inside_loo.mean()),
            "coverage_largest": float(one.inside_largest.mean()),
            "max_pareto_k": float(one.pareto.max()),
            "max_rhat": fits[family].max_rhat,
            "min_ess": fits[family].min_ess,
            "divergences": fits[family].divergences,
        }
        for family, one in judged.items()
    ]


def _root_mean_square(error: Any) -> float:
    return float(np.sqrt(np.mean(error**2)))
