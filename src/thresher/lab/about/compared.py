"""Prediction beside measurement as the page shows it: a line for each comparison, and the charts of one of them."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from thresher.assessment.formats import many, percent, significant
from thresher.catalog import table_source
from thresher.lab.charts import Chart, Row
from thresher.lab.opening import Number, SourceLine
from thresher.lab.pages import address
from thresher.result import Explanation
from thresher.validation import Comparison, ComparisonRow
from thresher.validation.standing import (
    LEFT_OUT,
    key_of,
    left_out_predictions,
    row_sources,
    short_name,
    standing,
    standings,
)

OURS, THEIRS = "Thresher", "published calculator"
WHOSE = {OURS: "", THEIRS: " by the published calculator", LEFT_OUT: " by refits that leave the row out"}
LISTED = 3
"""Rows that the explanation of a median names."""
MOST_SOURCES = 6
MARGIN = 1.3
"""How far the line of equality reaches beyond the points, as a factor."""

_SIZED = re.compile(r"([\d.]+e\+\d+) (parameters|tokens)")
_LETTERS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (0.0, ""))


@dataclass(frozen=True, slots=True)
class Line:
    """One comparison of the summary; ``theirs`` and ``left_out`` are None where nobody else predicts it or no refit was made."""

    key: str
    address: str
    name: str
    what: str
    unit: str
    rows: int
    standing: str
    ours: Number
    theirs: Number | None
    left_out: Number | None
    root_mean_square: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One comparison in full: its line, how it was made, its source, the charts, and what they cannot show."""

    line: Line
    note: str
    source: str
    charts: tuple[Chart, ...]
    missing: str
    table: str


def address_of_comparison(one: Comparison, place: Iterable[tuple[str, object]] = ()) -> str:
    """Where a comparison's rows are shown; ``place`` is the rest of the page's state."""
    return f"{address('/model', [('table', key_of(one)), *place])}#compared"


def line_of(one: Comparison, place: Iterable[tuple[str, object]] = (), prefix: str = "all") -> Line:
    """A comparison as a line; ``place`` is the rest of the page's state, ``prefix`` parts its ids from those of other lines."""
    key = key_of(one)
    theirs = None if one.baseline_median_absolute_relative_error is None else _median(one, THEIRS, prefix)
    return Line(
        key, address_of_comparison(one, place), short_name(one), one.what, one.unit, len(one.rows),
        standing(one), _median(one, OURS, prefix), theirs, _median(one, LEFT_OUT, prefix) if left_out_predictions(one) else None,
        f"{significant(float(f'{one.root_mean_square_error:.3g}'))} {'' if one.unit in ('share', 'ratio') else one.unit}".strip(),
    )  # fmt: skip


def shown(one: Comparison, place: Iterable[tuple[str, object]] = ()) -> Shown:
    """A comparison in full."""
    rows = rows_of(one)
    logarithmic = all(row["measured"] > 0 and row["predicted"] > 0 for row in rows)
    source = table_source(one.table)
    return Shown(
        line_of(one, place, "one"), one.note, f"{source['title']}. {source['producer']}: {source['citation']}. {source['note']}",
        (_scatter(one, rows, logarithmic), _ratios(one, rows)), _missing(rows), one.table,
    )  # fmt: skip


@lru_cache(maxsize=64)
def rows_of(one: Comparison) -> tuple[Row, ...]:
    """Every prediction of a comparison, ours, the published calculator's, and that of refits, beside the measurement."""
    found: list[Row] = []
    for row, test, source in zip(one.rows, standings(one), row_sources(one), strict=True):
        found.append(_row(one, row, OURS, row.predicted, test, source))
        if row.baseline is not None:
            found.append(_row(one, row, THEIRS, row.baseline, THEIRS, source))
    by_label = {row.label: (row, source) for row, source in zip(one.rows, row_sources(one), strict=True)}
    for refit in left_out_predictions(one):
        row, source = by_label[refit.label]
        found.append(_row(one, row, OURS, refit.predicted, LEFT_OUT, source) | {"left_out": refit.what})
    return tuple(found)


def medians_chart(comparisons: Sequence[Comparison], place: Iterable[tuple[str, object]] = ()) -> Chart:
    """The median error of every comparison, ours beside the published calculator's."""
    rows: list[Row] = []
    for one in comparisons:
        line = line_of(one, place)
        for by, test, found in (
            (OURS, line.standing, line.ours), (THEIRS, THEIRS, line.theirs), (OURS, LEFT_OUT, line.left_out),
        ):  # fmt: skip
            if found is not None:
                rows.append({
                    "comparison": line.name, "by": by, "test": test, "error": found.explanation.value, "rows": line.rows,
                    "what": f"{line.what} ({line.unit})", "href": line.address,
                })  # fmt: skip
    caption = (
        "Median absolute relative error of each comparison. A shape says whether the numbers behind the prediction were set with"
        " the rows in sight; a mark leads to its rows."
    )
    return Chart("model-medians", "Median error of each comparison", caption, rows, "model-medians")


def in_sight(comparisons: Iterable[Comparison]) -> str:
    """How many rows are a test, as a sentence."""
    counts: dict[str, int] = {}
    for one in comparisons:
        for how in standings(one):
            counts[how] = counts.get(how, 0) + 1
    total = sum(counts.values())
    listed = ", ".join(f"{count} {how}" for how, count in sorted(counts.items(), key=lambda item: -item[1]))
    return f"{many(total, 'row')} in all: {listed}."


def _row(one: Comparison, row: ComparisonRow, by: str, predicted: float, test: str, source: str) -> dict[str, object]:
    ratio = predicted / row.measured if row.measured and predicted / row.measured > 0 else None
    return {
        "row": row.label, "by": by, "test": test, "measured": row.measured, "predicted": predicted, "ratio": ratio,
        "error": None if not row.measured else predicted / row.measured - 1.0, "unit": one.unit, "source": source,
    }  # fmt: skip


def _median(one: Comparison, by: str, prefix: str) -> Number:
    """A median error that opens to the largest errors behind it."""
    rows = [row for row in rows_of(one) if _is_of(row, by) and row["error"] is not None]
    errors = [abs(row["error"]) for row in rows]
    worst = sorted(rows, key=lambda row: -abs(row["error"]))[:LISTED]
    parts = tuple(
        Explanation(
            f"{row['row']}{', without ' + str(row['left_out']) if 'left_out' in row else ''}", abs(row["error"]), "share",
            f"predicted {row['predicted']:.4g}, measured {row['measured']:.4g} {one.unit}",
        )
        for row in worst
    )  # fmt: skip
    how = f"median of |predicted / measured - 1| over {many(len(rows), 'row')}{WHOSE[by]}; the furthest off:"
    value = statistics.median(errors)
    explanation = Explanation(f"median error, {short_name(one)}", value, "share", how, parts)
    number_id = f"{prefix}-{key_of(one).replace('.', '-')}-{by.split(maxsplit=1)[0].lower()}"
    return Number(
        number_id, percent(value), explanation, tuple(map(SourceLine, dict.fromkeys(row_sources(one))))[:MOST_SOURCES]
    )


def _is_of(row: Row, by: str) -> bool:
    """Whether a prediction is ours, the published calculator's, or that of a refit."""
    return bool(by == LEFT_OUT if row["test"] == LEFT_OUT else row["by"] == by)


def _scatter(one: Comparison, rows: Sequence[Row], logarithmic: bool) -> Chart:
    caption = (
        f"{one.what[0].upper()}{one.what[1:]}, {one.unit}. On the line the prediction is right; above it is too high."
        f" {'Both axes are logarithmic' if logarithmic else 'The axes are linear, since some rows are zero or negative'}."
    )
    values = [value for row in rows for value in (row["measured"], row["predicted"])]
    low, high = min(values), max(values)
    low, high = (low / MARGIN, high * MARGIN) if logarithmic else (min(low, 0.0), high)
    return Chart(
        "model-scatter" if logarithmic else "model-scatter-linear", "Prediction against measurement", caption, rows,
        f"model-scatter-{key_of(one)}",
        {"equal": [{"measured": low, "predicted": low, "measured_to": high, "predicted_to": high}]},
    )  # fmt: skip


def _ratios(one: Comparison, rows: Sequence[Row]) -> Chart:
    """Predicted over measured, row by row, from the lowest of ours to the highest."""
    short = _shortened(one)
    ours = {row["row"]: row["ratio"] or 0.0 for row in rows if row["by"] == OURS and row["test"] != LEFT_OUT}
    ordered = sorted(({**row, "name": short[row["row"]]} for row in rows), key=lambda row: -ours[row["row"]])
    caption = "Predicted over measured for each row, on a logarithmic axis: right of 1 the prediction is too high."
    shown_rows = [row for row in ordered if row["ratio"]]
    return Chart("model-ratios", "Row by row", caption, shown_rows, f"model-ratios-{key_of(one)}")


def _shortened(one: Comparison) -> dict[str, str]:
    """Labels in few letters: sizes as 200M, without the source where they differ without it (it stands in the tooltip)."""
    small = {row.label: _SIZED.sub(_sized, row.label).removeprefix("arXiv ").removesuffix(", none") for row in one.rows}
    short = {label: text.partition(": ")[2] if label.startswith("arXiv") else text for label, text in small.items()}
    names = list(short.values())
    return {label: small[label] if names.count(name) > 1 else name for label, name in short.items()}


def _sized(found: re.Match[str]) -> str:
    value, noun = float(found[1]), found[2]
    size, letter = next((size, letter) for size, letter in _LETTERS if value >= size)
    return f"{significant(value / size)}{letter}" + ("" if noun == "parameters" else f" {noun}")


def _missing(rows: Sequence[Row]) -> str:
    """Which rows have no ratio."""
    without = {row["row"] for row in rows if row["ratio"] is None}
    if not without:
        return ""
    count = many(len(without), "row")
    return f"{count} measured as zero, or with the other sign, have no ratio and stand in the first chart alone."
