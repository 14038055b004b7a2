"""Prices: how far the price of a chip lies from what others paid for the same chip in the same currency.

Only sums in one currency are compared: the records hold no exchange rates. A lot of chips bought at half the price or
at twice it may be a sale between friends, a smuggler's premium, or a bundle with other goods: a reason to ask.
"""

from __future__ import annotations

import ibis

from thresher.screening.corroboration.common import (
    Period,
    as_citations,
    from_first_level,
    in_words,
    name_in_words,
    quantities,
    worst_first,
)
from thresher.screening.engine import Engine, Findings

FINDING = "price_off_the_market"


def corroborate_prices(engine: Engine, period: Period) -> Findings:
    """Finding ``price_off_the_market``, of buyers with some purchase that has enough like it.

    The strength is the size of z of the buyer's purchase farthest off, z = (x - median) / max(1.4826 MAD, s): x the logarithm of
    amount / chips, median and median absolute deviation over the purchases of the same chip and currency in the same
    quarter where others made enough of them, or else in the whole look-back; s the least spread
    (Rousseeuw and Croux 1993, for the robust scale).
    """
    bought = engine.table("purchases_resolved")
    bought = bought.filter(
        bought.date >= period.start, bought.date < period.end, bought.chips > 0, bought.amount > 0,
        bought.chip.notnull(), bought.currency.notnull(), bought.entity.notnull(),
    )  # fmt: skip
    priced = bought.select(
        "row_id", "entity", "chip", "currency", "date", "chips",
        quarter=bought.date.truncate("Q"), price=bought.amount.ln() - bought.chips.ln(),
    )  # fmt: skip
    at_large = _against(priced, ["chip", "currency"])
    in_quarter = _against(priced, ["chip", "currency", "quarter"])
    of_quarter = in_quarter.select("row_id", near="z", near_median="median", near_others="others")
    both = at_large.left_join(of_quarter, "row_id").drop("row_id_right")
    both = both.mutate(
        z=ibis.coalesce(both.near, both.z),
        median=ibis.coalesce(both.near_median, both["median"]),
        others=ibis.coalesce(both.near_others, both.others),
    )
    ranked = worst_first(both.mutate(strength=both.z.abs()), "row_id")
    ranked = engine.keep("corroborated_prices", ranked)
    worst = ranked.filter(ranked.place == 0)
    detail = (
        "Paid " + in_words(worst.price.exp(), 2) + " " + name_in_words(worst.currency) + " a chip for "
        + in_words(worst.chips) + " " + worst.chip + " on " + worst.date.cast("string") + ", "
        + in_words((worst.price - worst["median"]).exp(), 2) + " times the median of "
        + in_words(worst.others) + " purchases by others: " + in_words(worst.strength, 1)
        + " robust standard deviations " + ibis.ifelse(worst.z < 0, "below it.", "above it.")
    )  # fmt: skip
    findings = worst.select("entity", finding=ibis.literal(FINDING), strength="strength", detail=detail)
    cited = ranked.filter(ranked.place == 0).mutate(finding=ibis.literal(FINDING))
    return Findings(from_first_level(findings), as_citations(cited, "purchases"))


def _against(priced: ibis.Table, by: list[str]) -> ibis.Table:
    """The purchases that enough others resemble, with the ``median``, their number and ``z``; alike is the same ``by``."""
    given = quantities()
    median = priced.group_by(*by).agg(median=priced.price.median(), alike=priced.count())
    own = priced.group_by(*by, "entity").agg(own=priced.count())
    joined = priced.join(median, by).join(own, [*by, "entity"])
    joined = joined.mutate(others=joined.alike - joined.own, off=(joined.price - joined["median"]).abs())
    spread = joined.group_by(*by).agg(mad=joined.off.median())
    joined = joined.filter(joined.others >= given["comparable_purchases_at_least"].value).join(spread, by)
    scale = ibis.greatest(joined.mad * given["mad_per_standard_deviation"].value, given["least_price_spread"].value)
    return joined.mutate(z=(joined.price - joined["median"]) / scale).select(*priced.columns, "median", "others", "z")
