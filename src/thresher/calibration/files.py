"""The files that a calibration leaves: the posterior's draws, and how the families compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from thresher.calibration.fit import Fit
from thresher.learning.replica_model import COST_NAMES, REPLICA_NAMES, parameter_names

DIGITS_OF_A_COST = 5
DIGITS_OF_OTHERS = 4


def posterior_text(fits: Iterable[Fit]) -> str:
    """The draws as CSV: five digits of what an answer takes, four of what only predictions of losses take."""
    names = parameter_names()
    digits = [DIGITS_OF_A_COST if name in (*REPLICA_NAMES, *COST_NAMES) else DIGITS_OF_OTHERS for name in names]
    lines = [",".join(("family", *names))]
    for fit in fits:
        lines += [
            ",".join((fit.family, *(f"{value:.{many}g}" for value, many in zip(row, digits, strict=True))))
            for row in zip(*(fit.draws[name].tolist() for name in names), strict=True)
        ]
    return "\n".join(lines) + "\n"


def table_text(rows: Sequence[Mapping[str, object]]) -> str:
    """How the families compare, as CSV."""
    lines = [",".join(rows[0])]
    lines += [",".join(f"{one:.5g}" if isinstance(one, float) else str(one) for one in row.values()) for row in rows]
    return "\n".join(lines) + "\n"
