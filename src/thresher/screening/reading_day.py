"""The day that records are read as of: the one asked for, or else that of the latest record."""

from __future__ import annotations

from datetime import UTC, date, datetime

from thresher.errors import InputError
from thresher.screening.engine import Engine

LAST_YEAR = 2999
"""Days after it are slips of the pen; arithmetic on dates ends with the year 9999."""
_DATED = {"custody": "at", "purchases": "date", "declarations": "declared_on", "power": "month", "pings": "at"}


def reading_day(engine: Engine, as_of: date | None, look_back_days: int) -> date:
    """The day asked for, or else that of the latest dated record, or today where one bears a later date.

    Raises
    ------
    InputError
        The look-back is no day at all, or no day is asked for and no record has a date.
    """
    if look_back_days < 1:
        raise InputError("look-back", "at least 1 day", look_back_days)
    if as_of is not None and as_of.year > LAST_YEAR:
        raise InputError("as of", f"a day up to the year {LAST_YEAR}", as_of.isoformat())
    if as_of is not None:
        return as_of
    days = [engine.table(table)[column].max().cast("date") for table, column in _DATED.items()]
    found = [day for day in (one.to_pyarrow().as_py() for one in days) if day is not None]
    if not found:
        raise InputError("the store", "records with a date (custody, purchases, declarations, power or pings)")
    latest: date = max(found)
    return min(latest, datetime.now(UTC).date())
