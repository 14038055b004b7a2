"""Corroborate: what power, round trips, sizes of purchases and prices say beside the register."""

from __future__ import annotations

import datetime

import ibis

from thresher.regime import Regime, load_regime
from thresher.screening.corroboration.common import look_back
from thresher.screening.corroboration.pings import corroborate_pings
from thresher.screening.corroboration.power import corroborate_power
from thresher.screening.corroboration.prices import corroborate_prices
from thresher.screening.corroboration.structuring import corroborate_structuring
from thresher.screening.engine import Engine, Findings

__all__ = ["corroborate"]


def corroborate(
    engine: Engine,
    as_of: datetime.date,
    look_back_days: int = 365,
    regime: Regime | None = None,
    owners: ibis.Table | None = None,
) -> Findings:
    """What measurements and invoices say beside the register, entity by entity.

    Parameters
    ----------
    engine
        Holds the evidence, and ``identity``, ``chip_labels``, ``purchases_resolved``, ``sites_resolved`` and ``held``.
    as_of
        The day from which all is seen: later records do not count.
    look_back_days
        The days, up to that one, whose meter readings, round trips and purchases count.
    regime
        The rule whose line purchases may lie under; ``miri-2026-memory`` by default.
    owners
        ``entity, owner``: where given, the purchases of all entities of an owner are read together.

    Returns
    -------
    Findings ``power_above_declared``, ``power_below_declared``, ``ping_contradicts_site``, ``purchases_under_the_line`` and
    ``price_off_the_market``. A strength below a finding's first level is 0: looked at, and nothing found.
    """
    period = look_back(as_of, look_back_days)
    rule = load_regime("miri-2026-memory") if regime is None else regime
    parts = [
        corroborate_power(engine, period),
        corroborate_pings(engine, period),
        corroborate_structuring(engine, period, rule, owners),
        corroborate_prices(engine, period),
    ]
    found, citations = (ibis.union(*tables) for tables in zip(*parts, strict=True))
    return Findings(engine.keep("corroborated", found), citations)
