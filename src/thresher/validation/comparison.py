"""A comparison: predictions beside measurements, their errors, and a baseline's."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from thresher.errors import InfeasiblePlanError


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One measurement and its prediction; ``relative_error`` is None where the measurement is zero."""

    label: str
    predicted: float
    measured: float
    relative_error: float | None
    baseline: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The predictions of one quantity of one table, row by row, in ``unit``.

    ``median_absolute_relative_error`` leaves out rows without a relative error; ``baseline_`` is the same of the
    published calculator, None where there is none; ``root_mean_square_error`` is in ``unit``. ``note`` says how the
    predictions were made, what was assumed, what is in sample, and what the model misses.
    """

    table: str
    what: str
    unit: str
    rows: tuple[ComparisonRow, ...]
    median_absolute_relative_error: float | None
    baseline_median_absolute_relative_error: float | None
    root_mean_square_error: float
    note: str


def comparison(
    *,
    table: str,
    what: str,
    unit: str,
    note: str,
    labels: Sequence[str],
    predicted: Iterable[float],
    measured: Iterable[float],
    baseline: Iterable[float] | None = None,
) -> Comparison:
    """Put predictions beside measurements; all sequences of one length, at least one row.

    Raises
    ------
    InfeasiblePlanError
        A row for which the model has no prediction, since it holds that such a plan cannot run.
    """
    measured = [float(value) for value in measured]
    predicted = [float(value) for value in predicted]
    for label, value in zip(labels, predicted, strict=True):
        if not math.isfinite(value):
            raise InfeasiblePlanError(f"{table}: {label}: the model holds that this cannot run, so predicts no {what}")
    others = [None] * len(measured) if baseline is None else [float(value) for value in baseline]
    rows = tuple(
        ComparisonRow(label, value, truth, _relative(value, truth), other)
        for label, value, truth, other in zip(labels, predicted, measured, others, strict=True)
    )
    return Comparison(
        table,
        what,
        unit,
        rows,
        _median(row.relative_error for row in rows),
        _median(None if row.baseline is None else _relative(row.baseline, row.measured) for row in rows),
        math.sqrt(statistics.fmean((row.predicted - row.measured) ** 2 for row in rows)),
        note,
    )


def as_json(comparisons: Iterable[Comparison]) -> list[dict[str, Any]]:
    """The comparisons as JSON values; None where there is no number."""
    return [asdict(one) | {"rows": [asdict(row) for row in one.rows]} for one in comparisons]


def summary_lines(comparisons: Iterable[Comparison]) -> list[tuple[str, str, str, str, str]]:
    """One line per comparison: table, quantity, rows, median error, and the baseline's ("" where there is none)."""
    return [
        (
            one.table,
            f"{one.what} ({one.unit})",
            str(len(one.rows)),
            _percent(one.median_absolute_relative_error),
            _percent(one.baseline_median_absolute_relative_error),
        )
        for one in comparisons
    ]


def _relative(value: float, truth: float) -> float | None:
    return value / truth - 1.0 if truth else None


def _median(errors: Iterable[float | None]) -> float | None:
    known = [abs(error) for error in errors if error is not None]
    return statistics.median(known) if known else None


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100.0 * share:.1f}%"
