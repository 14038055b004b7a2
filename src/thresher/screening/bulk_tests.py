"""What counts alone can say, where no serial numbers are on record: chips beyond the limit of error, losses that add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from thresher.screening.engine import Engine
from thresher.screening.ledger import BULK, balance_lines
from thresher.screening.sequential import cumulative, independent_residuals, page_standard_deviations, page_statistic

Floats = NDArray[np.float64]


def keep_bulk_tests(engine: Engine, as_of: date, choice: Mapping[str, float]) -> tuple[ibis.Table, ibis.Table]:
    """Keep ``account_bulk`` and ``account_drift``: by entity (code) chips beyond the limit of error, and drift.

    Both have ``entity, strength, detail``. A series is an entity's balances of one type of chip, closed by the last count of
    each month; purchases that may not have come by then are left out of what is missing.
    """
    lines = balance_lines(engine, as_of, ("party", "chip"), "month", choice, (BULK,))
    closed = lines.filter(lines.unaccounted.notnull() & (lines.declared_on >= lines.period))
    columns = ("entity", "kind", "period", "unaccounted", "awaited", "declared", "squares", "limit_of_error")
    order = [(name, "ascending") for name in columns[:3]]
    table = closed.select(*columns).to_pyarrow().sort_by(order).combine_chunks()
    series = series_of(table, int(choice["most_balances"]))
    late = np.asarray(table["unaccounted"]) - np.asarray(table["awaited"])
    beyond = np.where(late[series.end] > np.asarray(table["limit_of_error"])[series.end], late[series.end], 0.0)
    bulk = _worst_first(
        series.entity,
        beyond,
        series.kind,
        ("By counts, ", " chips of ", " are received and not declared, beyond the limit of error."),
        "By counts, nothing is missing beyond the limit of error.",
        add=True,
    )
    drift = drift_of(series, late, np.asarray(table["declared"]), np.asarray(table["squares"]), choice)
    looked = ~np.isnan(drift)
    drifting = _worst_first(
        series.entity[looked],
        drift[looked],
        series.kind.filter(pa.array(looked)),
        ("Losses add up to ", " standard deviations in the balances of ", "."),
        "No losses add up over the balances.",
    )
    return engine.keep("account_bulk", bulk), engine.keep("account_drift", drifting)


class Series(NamedTuple):
    """Balances by entity and type, in a table sorted by both and the period: one series of them a row.

    ``rows`` are positions in the table, shape (series, balances), the latest of each series at most; -1 behind its end.
    ``whole`` says which series begins with its first count.
    """

    entity: NDArray[np.int64]
    kind: pa.Array
    rows: NDArray[np.int64]
    end: NDArray[np.int64]
    whole: NDArray[np.bool_]


def series_of(table: pa.Table, most: int) -> Series:
    """The series of a table of closed balances sorted by entity, kind and period; of each the latest ``most``."""
    entity = np.asarray(table["entity"], dtype=np.int64)
    kind = table["kind"].combine_chunks().dictionary_encode()
    kinds = np.asarray(kind.indices)
    new = np.append(True, (np.diff(entity) != 0) | (np.diff(kinds) != 0)) if len(table) else np.zeros(0, np.bool_)
    begin = np.flatnonzero(new)
    end = np.append(begin[1:], len(table)) - 1 if len(table) else begin
    length = np.minimum(end - begin + 1, most)
    place = np.arange(length.max(initial=0))
    rows = np.where(place < length[:, None], (end - length + 1)[:, None] + place, -1)
    return Series(entity[begin], kind.dictionary.take(pa.array(kinds[begin])), rows, end, end - begin < most)


def drift_of(
    series: Series, unaccounted: Floats, declared: Floats, squares: Floats, choice: Mapping[str, float]
) -> Floats:
    """Standard deviations by which losses add up in each series: the larger of its sum and of Page's test; NaN for few.

    Parameters
    ----------
    unaccounted, declared, squares
        Of each row of the table behind the series: expected less declared since the records began, the closing count, and
        the sum of squared flows so far.
    choice
        ``counting_error``, ``least_count_error_chips``, ``page_reference`` and ``least_balances``.
    """
    there = series.rows >= 0
    total, count, flows = (np.where(there, values[series.rows], np.nan) for values in (unaccounted, declared, squares))
    error, least = choice["counting_error"], choice["least_count_error_chips"]
    # a series that begins with a count of what was there already has no balance before it
    anchored = ~series.whole | (total[:, 0] <= 0.0) if total.size else np.zeros(len(series.entity), np.bool_)
    total = np.where(anchored[:, None], total - total[:, :1], total)
    counts = np.fmax(error * count, least)
    muf = np.diff(total, axis=-1, prepend=0.0)
    flow_sd = error * np.sqrt(np.maximum(np.diff(flows, axis=-1, prepend=0.0), 0.0))
    flow_sd[:, :1] = np.where(anchored[:, None], 0.0, flow_sd[:, :1])
    opening = np.where(anchored[:, None], counts[:, :1], least)
    sums, spread = cumulative(muf, np.concatenate([opening, counts], axis=-1), flow_sd)
    no_opening = np.where(anchored[:, None], np.nan, least)
    residuals = independent_residuals(muf, np.concatenate([no_opening, counts], axis=-1), flow_sd)
    balances = there.sum(axis=-1) - anchored
    last = np.maximum(there.sum(axis=-1) - 1, 0)[:, None]
    by_sum = np.take_along_axis(sums / spread, last, axis=-1)[:, 0] if total.size else np.zeros(0)
    reference = choice["page_reference"]
    highest = page_statistic(residuals, reference).max(axis=-1, initial=0.0)
    by_page = page_standard_deviations(highest, reference, np.maximum(balances, 1))
    return np.where(balances >= choice["least_balances"], np.maximum(np.maximum(by_sum, by_page), 0.0), np.nan)


def _worst_first(
    entity: NDArray[np.int64], strength: Floats, kind: pa.Array, words: Sequence[str], nothing: str, add: bool = False
) -> pa.Table:
    """One row an entity: the strongest of its types, or with ``add`` all of them, and the strongest in words."""
    order = np.lexsort((strength, entity))
    entity, strength, kind = entity[order], strength[order], kind.take(pa.array(order))
    last = np.append(entity[1:] != entity[:-1], True) if len(entity) else np.zeros(0, np.bool_)
    if add:
        whole = np.cumsum(strength)[last]
        total = np.diff(whole, prepend=0.0)
    else:
        total = strength[last]
    figures = pa.array(np.round(strength[last], 1 if not add else 0)).cast(pa.string())
    # a label is somebody's words, which a sentence carries to some length
    named = pc.utf8_slice_codeunits(kind.filter(pa.array(last)), 0, 60)
    told = pc.binary_join_element_wise(words[0], figures, words[1], named, words[2], "")
    return pa.table(
        {
            "entity": pa.array(entity[last], pa.int64()),
            "strength": pa.array(total, pa.float64()),
            "detail": pc.if_else(pa.array(strength[last] > 0.0), told, pa.scalar(nothing)),
        }
    )
